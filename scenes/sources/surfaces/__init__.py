"""What every reader of 3D files shares: the surfaces they return, and access to files, images, text and polygons."""
