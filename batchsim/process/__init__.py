"""What concerns the whole process: signals and exit codes of commands, and an orderly exit."""
