"""Many brain RDMs against many model RDMs, with missing entries left out and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rsa_exp.stats.condensed import (
    FloatArray,
    IntArray,
    Rdm,
    complete_images,
    count_pairs,
    images_touched,
    n_cond_of,
)
from rsa_exp.stats.metrics.registry import METRICS, PRECISIONS, Metric
from rsa_exp.stats.missing_pairs import union
from rsa_exp.stats.parallel import in_order
from rsa_exp.vocabulary import MIN_PAIRS

__all__ = ["ModelRDMs", "Similarity", "similarity"]


@dataclass(frozen=True)
class Similarity:
    """Scores of brain RDMs against model RDMs.

    Attributes
    ----------
    scores : ndarray of shape (n_roi, n_layer)
        In the metric's units and range; NaN where the metric is undefined (`Metric.undefined`).
    n_pairs, n_images : ndarray of int, shape (n_roi, n_layer)
        Pairs of images, and images, that a score rests on.
    """

    scores: FloatArray
    n_pairs: IntArray
    n_images: IntArray

    @classmethod
    def stack(cls, parts: Iterable[Similarity], axis: int = 0) -> Similarity:
        """Join tables along ROIs (axis 0) or layers (axis 1)."""
        tables = list(parts)
        columns = ([getattr(part, name) for part in tables] for name in vars(tables[0]))
        return cls(*(np.concatenate(column, axis) for column in columns))


class ModelRDMs:
    """Model RDMs prepared once, to be compared with any number of brain RDMs.

    Parameters
    ----------
    rdms : iterable of ndarray of shape (n_pairs,), or of functions that return one
        Condensed model RDMs, read by the functions and prepared on all cores, and overwritten; NaN
        marks a missing pair.
    method : str
        A key of `METRICS`.
    precision : {'float64', 'float32'}
        What prepared RDMs are kept in; float32 halves memory and time where the metric allows it,
        with an error below 1e-6.

    Raises
    ------
    KeyError
        If `method` is not a key of `METRICS`.
    ValueError
        If the number of pairs belongs to no number of images, or the metric does not go so far or
        not in that precision.
    """

    def __init__(
        self,
        rdms: Iterable[FloatArray | Callable[[], FloatArray]],
        method: str,
        precision: str = "float64",
    ) -> None:
        self.metric = METRICS[method]
        self._dtype = PRECISIONS[precision]
        if precision == "float32" and not self.metric.single_precision:
            raise ValueError(f"{method} is computed in float64 only")
        self._models: list[Any] = list(in_order(self._prepare, rdms))

    def _prepare(self, source: FloatArray | Callable[[], FloatArray]) -> Any:
        values = source() if callable(source) else source
        n_cond = n_cond_of(len(values))
        if self.metric.max_images is not None and n_cond > self.metric.max_images:
            raise ValueError(
                f"{self.metric.name} can be computed for at most {self.metric.max_images} images, "
                f"not {n_cond}"
            )
        return self.metric.prepare(Rdm.of(values), self._dtype)

    def compare(self, values: FloatArray) -> Similarity:
        """Score one brain RDM against every model RDM, in the calling thread.

        Parameters
        ----------
        values : ndarray of shape (n_pairs,)
            A condensed brain RDM, which is overwritten; NaN marks a missing pair.

        Returns
        -------
        Similarity
            Scores of shape (1, n_layer). Where entries are missing in either RDM, those pairs (or,
            for matrix metrics, images) are left out for that layer alone.
        """
        brain = self._prepare(values)
        if any(model.n_cond != brain.n_cond for model in self._models):
            raise ValueError(
                f"the brain RDM has {len(values)} pairs, the model RDMs have "
                f"{count_pairs(self._models[0].n_cond)}"
            )
        counts = [_count(brain, model, self.metric) for model in self._models]
        scores = np.full(len(self._models), np.nan)
        usable = [k for k, (pairs, _) in enumerate(counts) if pairs >= MIN_PAIRS]
        scores[usable] = self.metric.compare(brain, [self._models[k] for k in usable])
        table = np.array(counts, dtype=np.int64)[:, None]
        return Similarity(scores[None], table[..., 0].T, table[..., 1].T)


def _count(brain: Any, model: Any, metric: Metric) -> tuple[int, int]:
    """Pairs and images that two RDMs have in common."""
    n_cond = brain.n_cond
    if not (len(brain.missing) or len(model.missing)):
        return count_pairs(n_cond), n_cond
    missing = union(brain.missing, model.missing)
    if metric.missing == "images":
        kept = int(complete_images(missing, n_cond).sum())
        return count_pairs(kept), kept
    return count_pairs(n_cond) - len(missing), images_touched(missing, n_cond)


def similarity(
    brain: FloatArray, model: FloatArray, method: str, precision: str = "float64"
) -> Similarity:
    """Similarity of every brain RDM to every model RDM.

    Parameters
    ----------
    brain, model : ndarray of shape (n_roi, n_pairs) and (n_layer, n_pairs)
        Condensed RDMs over the same images in the same order; NaN marks a missing pair.
    method, precision : str
        As in `ModelRDMs`, and so is what is raised; ValueError also if RDMs differ in size.
    """
    models = ModelRDMs((row.astype(np.float64) for row in model), method, precision)
    copies = (row.astype(np.float64) for row in brain)
    return Similarity.stack(in_order(models.compare, copies))
