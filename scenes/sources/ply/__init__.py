"""PLY files to surfaces: `header` says what a file holds, `records` reads it, `reader` makes triangles of it."""
