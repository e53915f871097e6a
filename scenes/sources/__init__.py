"""Where scenes come from.

`library` turns names, files and folders into sources, `scene_source` says how each kind of source loads its scene,
`importer` and `worlds` supply meshes beside `batchsim.scenes.homes`, and `bake_many` makes many sources ready at once.
"""
