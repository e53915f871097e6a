"""Recurrent cores: the policy's memory."""
