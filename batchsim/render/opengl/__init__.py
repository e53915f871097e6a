"""OpenGL plumbing: contexts, device selection, buffers shared with torch, error handling."""
