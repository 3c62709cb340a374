"""The published result that the simulated study plants, and the mixtures that give it.

Why that works: with independent projections an ROI's expected RDM is a non-negative mixture of
the layers' RDMs, so its score vector is ``r = C a / sqrt(d s2)`` for the layers' RDM correlations
C, mixing variances a, feature dimension d and RDM variance s2; a follows by non-negative least
squares. The shared part sets how much subjects' RDMs correlate, hence the joint scores.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy  # its parts are imported at first use

from rsa_exp.stats.condensed import FloatArray

__all__ = [
    "LAYERS", "NEIGHBOURS", "N_FEATURES", "N_VOXELS", "REGIONS", "ROIS", "SUBJECTS", "Mixture",
    "mixture", "published_scores",
]  # fmt: skip

SUBJECTS = ("1", "2", "3")
REGIONS = ("EarlyVis", "LOC", "OPA", "PPA", "RSC")
ROIS = tuple(side + region for side in ("LH", "RH") for region in REGIONS)
LAYERS = ("conv1", "layer1", "layer2", "layer3", "layer4")

# Correlations between the RDMs of neighbouring layers; with these every published score is in the
# cone of non-negative mixtures.
NEIGHBOURS = (0.5, 0.6, 0.35, 0.45)
N_FEATURES = 48
N_VOXELS = 400


def published_scores() -> dict[tuple[str, str], FloatArray]:
    """Return the planted truth: (group, ROI) to Pearson r per layer, shape (5,).

    Groups are ``1``, ``2``, ``3`` (subjects) and ``joint`` (the mean RDM of the three).
    """
    return dict(_planted())


@cache
def _planted() -> dict[tuple[str, str], FloatArray]:
    text = Path(__file__).with_name("published_scores.csv").read_text(encoding="utf-8")
    table: dict[tuple[str, str], dict[str, float]] = {}
    for row in csv.DictReader(text.splitlines()):
        group = row["group"].removeprefix("subj")
        table.setdefault((group, row["roi"]), {})[row["layer"]] = float(row["r"])
    return {key: np.array([row[layer] for layer in LAYERS]) for key, row in table.items()}


def _layer_correlations() -> FloatArray:
    """Return the expected correlations of the layers' RDMs: products along the chain, (5, 5)."""
    n_layer = len(LAYERS)
    table: FloatArray = np.eye(n_layer)
    for i in range(n_layer):
        for j in range(i):
            table[i, j] = table[j, i] = np.prod(NEIGHBOURS[j:i])
    return table


class Mixture(NamedTuple):
    """Shares of an ROI's pattern variance, which sum to 1.

    Those of the features of each layer, shape (5,), of what all subjects share and no layer has,
    and of voxel noise.
    """

    layers: FloatArray
    shared: float
    noise: float


@cache
def mixture(subject: str, roi: str) -> Mixture:
    """Shares that give the published scores.

    An entry of an ROI's RDM varies by ``s2 = a'Ca / d + h^2 / d + 1 / v`` over pairs, for mixing
    variances a, shared part h, d features and v voxels (one lost to the mean). Scores ask for
    ``C a = r sqrt(d s2)``; s2 depends on a only slightly, so a few rounds settle both. Subjects'
    RDMs then correlate at ``rho = (a'Ca + h^2) / (d s2)``, and the mean of three has scores
    ``sum r / sqrt(3 + 6 rho)``: the published joint scores give rho, and so h.
    """
    scores = _planted()
    summed = np.sum([scores[s, roi] for s in SUBJECTS], axis=0)
    joint = scores["joint", roi]
    ratio = float(summed @ joint / (joint @ joint))
    rho = max((ratio**2 - len(SUBJECTS)) / 6, 0.0)
    table, d, v = _layer_correlations(), N_FEATURES - 1, N_VOXELS - 1
    variance, layers, shared = 1 / v, np.zeros(len(LAYERS)), 0.0
    for _ in range(30):
        layers = np.asarray(
            scipy.optimize.nnls(table, scores[subject, roi] * np.sqrt(d * variance))[0]
        )
        signal = float(layers @ table @ layers) / d
        shared = float(np.sqrt(max(rho * variance - signal, 0.0) * d))
        variance = 1 / v + signal + shared**2 / d
    return Mixture(layers, shared, 1 - float(layers.sum()) - shared)
