"""Scores in bootstrap draws of images, as weighted sums where the metric allows it."""
