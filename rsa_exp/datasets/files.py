"""Names of the files of the simulated study's patterns; plain values, for any module."""

__all__ = ["FEATURE_FILE", "PATTERN_FILE"]

PATTERN_FILE = "CSI{subject}_patterns.h5"
"""A subject's voxel patterns."""
FEATURE_FILE = "ResNet50_features.h5"
"""The features of the network's layers."""
