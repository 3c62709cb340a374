"""From an aligned study to scores and what they can be trusted for."""
