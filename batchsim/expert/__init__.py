"""The expert: best actions and distances of all actions, from the map."""
