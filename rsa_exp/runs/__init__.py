"""Recorded runs: what is on disk of them, what they depend on, how two of them compare."""
