"""Scores in bootstrap draws of images, without resampling where the metric allows it."""
