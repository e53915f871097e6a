"""Materials and procedural textures of homes."""
