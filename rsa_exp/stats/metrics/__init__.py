"""Similarity metrics: one registry, and how each is computed."""
