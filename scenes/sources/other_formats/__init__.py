"""Formats that kept libraries read: STL, OFF and COLLADA through trimesh, USD through usd-core."""
