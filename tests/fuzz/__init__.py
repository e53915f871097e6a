"""Fuzzing: mutated files and odd options give a result or the project's own error, soon and in little memory."""
