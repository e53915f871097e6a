"""Objects of a scene: what they are, from where they can be seen, and how far it is to them."""
