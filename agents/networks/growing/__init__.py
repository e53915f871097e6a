"""Makes networks larger without changing what they do (Net2Net)."""
