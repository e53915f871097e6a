"""Scenes as Habitat stores them: dataset configurations, stages with object instances, and their semantics."""
