"""From a mesh to a scene ready for simulation, and the file in which it is kept.

`bake` is the way there, `bvh` the hierarchy that rays walk, `scene` the result, `scene_file` its file, and `cache` the
folder of such files that spares baking again.
"""
