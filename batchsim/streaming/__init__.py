"""Scene streaming: keep K scenes in memory and swap in others while episodes run."""
