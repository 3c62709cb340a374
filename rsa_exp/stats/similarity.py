"""Many brain RDMs against many model RDMs, with missing entries left out and counted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import squareform

from rsa_exp.stats.condensed import BoolArray, FloatArray, incident_pairs, n_cond_of
from rsa_exp.stats.metrics import METRICS, Metric, Prepared

__all__ = ["MIN_PAIRS", "ModelRDMs", "Similarity", "similarity"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Similarity:
    """Scores of brain RDMs against model RDMs.

    Attributes
    ----------
    scores : ndarray of shape (n_roi, n_layer)
        In the metric's units and range; NaN where the metric is undefined (`Metric.undefined`).
    n_pairs : ndarray of int, shape (n_roi, n_layer)
        Pairs of images that a score rests on.
    n_images : ndarray of int, shape (n_roi, n_layer)
        Images that a score rests on.
    """

    scores: FloatArray
    n_pairs: IntArray
    n_images: IntArray


class ModelRDMs:
    """Model RDMs prepared once, to be compared with any number of brain RDMs.

    Parameters
    ----------
    rdms : ndarray of shape (n_layer, n_pairs)
        Condensed model RDMs; NaN marks a missing pair. Not changed.
    method : str
        A key of `METRICS`.

    Raises
    ------
    KeyError
        If `method` is not a key of `METRICS`.
    ValueError
        If the number of pairs belongs to no number of images, or the metric does not go so far.
    """

    def __init__(self, rdms: FloatArray, method: str) -> None:
        self.metric = METRICS[method]
        self.rdms = rdms
        self.n_cond = n_cond_of(rdms.shape[1])
        if self.metric.max_images is not None and self.n_cond > self.metric.max_images:
            raise ValueError(
                f"{method} can be computed for at most {self.metric.max_images} images, "
                f"not {self.n_cond}"
            )
        missing = np.isnan(rdms)
        self._missing = missing if missing.any() else None
        self._prepared: Prepared | None = None

    def compare(self, brain: FloatArray) -> Similarity:
        """Score brain RDMs against every model RDM.

        Parameters
        ----------
        brain : ndarray of shape (n_roi, n_pairs)
            Condensed brain RDMs; NaN marks a missing pair. Not changed.

        Returns
        -------
        Similarity
            Scores of shape (n_roi, n_layer). Where entries are missing in either RDM, those pairs
            (or, for matrix metrics, images) are left out for that ROI and layer alone.
        """
        if brain.shape[1] != self.rdms.shape[1]:
            raise ValueError(
                f"brain RDMs have {brain.shape[1]} pairs, model RDMs {self.rdms.shape[1]}"
            )
        missing = np.isnan(brain)
        if self._missing is None and not missing.any():
            if self._prepared is None:
                self._prepared = self.metric.prepare_models(self.rdms, None)
            scores = self.metric.compare(self.metric.prepare(brain, None), self._prepared)
            return Similarity(
                scores,
                np.full(scores.shape, self.rdms.shape[1]),
                np.full(scores.shape, self.n_cond),
            )
        return self._compare_partial(brain, missing)

    def _compare_partial(self, brain: FloatArray, missing: BoolArray) -> Similarity:
        """Each brain RDM with the model RDMs that share its missing entries, group by group."""
        shape = (len(brain), len(self.rdms))
        scores = np.full(shape, np.nan)
        n_pairs = np.zeros(shape, dtype=np.int64)
        n_images = np.zeros(shape, dtype=np.int64)
        groups = self._groups()
        for i, (row, gaps) in enumerate(zip(brain, missing, strict=True)):
            for layers in groups:
                joint = gaps if self._missing is None else gaps | self._missing[layers[0]]
                present, images = _present(joint, self.metric)
                n_pairs[i, layers], n_images[i, layers] = present.sum(), images
                if present.sum() < MIN_PAIRS:
                    continue
                whole = self.metric.missing == "images" or present.all()
                mask = None if whole else present
                scores[i, layers] = self.metric.compare(
                    self.metric.prepare(row[None, present], mask),
                    self.metric.prepare_models(self.rdms[layers][:, present], mask),
                )[0]
        return Similarity(scores, n_pairs, n_images)

    def _groups(self) -> list[list[int]]:
        """Layers with the same missing entries."""
        if self._missing is None:
            return [list(range(len(self.rdms)))]
        groups: dict[bytes, list[int]] = {}
        for layer, gaps in enumerate(self._missing):
            groups.setdefault(np.packbits(gaps).tobytes(), []).append(layer)
        return list(groups.values())


# Fewer pairs than these carry no correlation: with two, every r is 1 or -1.
MIN_PAIRS = 3


def _present(missing: BoolArray, metric: Metric) -> tuple[BoolArray, int]:
    """Mask of the pairs to use, and how many images they touch."""
    n_cond = n_cond_of(len(missing))
    if metric.missing == "images":
        keep = _complete_images(missing, n_cond)
        return incident_pairs(keep), int(keep.sum())
    if not missing.any():
        return ~missing, n_cond
    touched = squareform(~missing).any(axis=1)
    return ~missing, int(touched.sum())


def _complete_images(missing: BoolArray, n_cond: int) -> BoolArray:
    """Images left when the one with the most missing pairs is dropped until none is missing."""
    keep = np.ones(n_cond, dtype=bool)
    if not missing.any():
        return keep
    square = squareform(missing)
    counts = square.sum(axis=1)
    while counts.any():
        worst = int(counts.argmax())
        keep[worst] = False
        counts -= square[worst]
        counts[worst] = 0
        square[:, worst] = False
    return keep


def similarity(brain: FloatArray, model: FloatArray, method: str) -> Similarity:
    """Similarity of every brain RDM to every model RDM.

    Parameters
    ----------
    brain : ndarray of shape (n_roi, n_pairs)
        Condensed brain RDMs, n_pairs = n_cond (n_cond - 1) / 2; NaN marks a missing pair.
    model : ndarray of shape (n_layer, n_pairs)
        Condensed model RDMs over the same images in the same order.
    method : str
        A key of `METRICS`.

    Returns
    -------
    Similarity
        Scores, pairs and images, each of shape (n_roi, n_layer).

    Raises
    ------
    KeyError
        If `method` is not a key of `METRICS`.
    ValueError
        If the RDMs differ in size, or are too large for the metric.
    """
    return ModelRDMs(model, method).compare(brain)
