"""Floor plans of homes: rooms, doorways, stairs."""
