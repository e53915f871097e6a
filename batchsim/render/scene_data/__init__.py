"""Scene geometry and textures in GPU memory."""
