"""Visual encoders: from images to features."""
