"""Episode sets: sampling them, and reading and writing Habitat's episode files."""
