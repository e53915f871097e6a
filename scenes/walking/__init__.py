"""Where a body can stand and how far it has to walk.

Takes the place of Habitat's navmesh and pathfinder: `walkable` computes the surface that an agent can stand on,
`geodesic` the shortest paths and distances on it.
"""
