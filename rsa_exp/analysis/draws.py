"""The draws of an analysis."""

from __future__ import annotations

from dataclasses import dataclass

from rsa_exp.stats.condensed import Counts, FloatArray
from rsa_exp.stats.uncertainty import Sampling

__all__ = ["Drawn"]


@dataclass
class Drawn:
    """What was drawn; NaN is what is not defined or was not asked for.

    Attributes
    ----------
    sampling : Sampling or None
        What the bootstrap resampled.
    scores : ndarray of shape (n_way, n_roi, n_layer, n_boot)
        The mean score of the members in each bootstrap draw. The dual bootstrap has three ways:
        draws of both, of subjects alone, of images alone; others have one. The jackknife has a
        "draw" for each image, which is left out.
    member_scores : ndarray of shape (n_member, n_roi, n_layer, n_boot)
        Each member's score in draws of images; no draws where images are not resampled.
    ceilings : ndarray of shape (n_way, n_roi, 2, n_boot)
        Lower and upper noise ceiling in each draw.
    full_ceilings : ndarray of shape (n_roi, 2)
        From all data.
    member_ceilings : ndarray of shape (n_member, n_roi, 2)
        Of each member.
    halves : ndarray of shape (2, n_roi, n_layer, n_split)
        Scores on one half of the images and on the other.
    jackknife : ndarray of shape (n_roi, n_layer)
        Standard error over images from leaving out one each.
    image_counts : ndarray of uint8, shape (n_image, n_boot)
        How often each draw contains each image; no draws where images are not resampled.
    subject_counts : ndarray of uint8, shape (n_member, n_boot)
        How often each draw contains each member; no draws where they are not resampled.
    notices, warnings : list of str
        What was left out.
    """

    sampling: Sampling | None
    scores: FloatArray
    member_scores: FloatArray
    ceilings: FloatArray
    full_ceilings: FloatArray
    member_ceilings: FloatArray
    halves: FloatArray
    jackknife: FloatArray
    image_counts: Counts
    subject_counts: Counts
    notices: list[str]
    warnings: list[str]
