"""Where a body can stand and how far it walks: `walkable` makes the surface, `geodesic` measures ways on it."""
