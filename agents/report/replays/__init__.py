"""Videos of what agents saw, for the report."""
