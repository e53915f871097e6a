"""Rendering of many small views of many scenes in one request."""
