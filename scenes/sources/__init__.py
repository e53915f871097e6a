"""Where scenes come from.

`library` turns names, files and folders into sources, `scene_source` defines how each kind of source loads its scene,
`importer` and `worlds` supply meshes (as `batchsim.scenes.homes` does), and `bake_many` bakes many sources in parallel.
"""
