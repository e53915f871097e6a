"""Recurrent cores of policies."""
