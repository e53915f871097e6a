"""The report's gallery of episodes: maps, players, videos."""
