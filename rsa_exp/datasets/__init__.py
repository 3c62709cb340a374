"""Data sets that need no setting up: the simulated study."""
