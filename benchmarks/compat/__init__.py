"""Tries batchsim's adapters with the trainers they are for, and writes the table of `docs/compat.md`."""
