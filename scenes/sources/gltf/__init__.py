"""glTF 2.0 (.gltf, .glb) to surfaces: plain arrays, decoded images, every node put in its place.

`reader` is the entry point; `header` types the JSON, `container` finds the bytes, `accessors` and `compression` turn
them into arrays, `extensions` says which extensions are understood, `materials` and `textures` give looks,
`primitives` gives triangles, and `nodes` their places.
"""
