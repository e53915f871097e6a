"""Episode sets: samples them, and reads and writes Habitat's episode files."""
