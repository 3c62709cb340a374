"""Scores of ROIs in draws of images: one interface for all metrics, the fastest way for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np

from rsa_exp.stats.bootstrap.inner_products import DrawScores, WeightedModels
from rsa_exp.stats.bootstrap.ranks import SortedPairs, sort_pairs, weighted_rank_scores
from rsa_exp.stats.bootstrap.resampling import resampled_scores
from rsa_exp.stats.condensed import Counts, IntArray, Rdm
from rsa_exp.stats.metrics.ranks import prepare_ranks
from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.stats.parallel import Progress, ignore, in_order

__all__ = ["DrawScorer", "ResamplingScorer", "can_weight", "make_scorer"]


class DrawScorer(Protocol):
    """A model's layers, ready to be scored against ROIs in draws of images."""

    def score(
        self, rois: Iterable[Sequence[Rdm]], on_progress: Progress = ignore
    ) -> list[DrawScores]:
        """Score every layer against brain RDMs in every draw.

        Parameters
        ----------
        rois : iterable of sequence of Rdm
            RDMs of each ROI's members, then of their peers; they may be overwritten.
        on_progress : callable, optional
            Called in the calling thread with the number of ROIs, or the part of one, just finished.

        Returns
        -------
        list of DrawScores
            One for each ROI.
        """


def _sorted(rdm: Rdm) -> SortedPairs:
    return sort_pairs(prepare_ranks(rdm))


class _RankScorer:
    def __init__(
        self, metric: Metric, models: Sequence[Callable[[], Rdm]], weights: Counts
    ) -> None:
        self._method, self._weights = metric.name, weights
        self._models = list(in_order(lambda read: _sorted(read()), models))

    def score(
        self, rois: Iterable[Sequence[Rdm]], on_progress: Progress = ignore
    ) -> list[DrawScores]:
        brains = [list(in_order(_sorted, rdms)) for rdms in rois]
        if not brains:
            return []
        scores = weighted_rank_scores(
            list(chain.from_iterable(brains)),
            self._models,
            self._weights,
            self._method,
            lambda share: on_progress(share * len(brains)),
        )
        return [DrawScores(part) for part in np.split(scores, len(brains))]


@dataclass(frozen=True)
class ResamplingScorer:
    """Scorer that resamples the RDMs in each draw, for any metric.

    Attributes
    ----------
    metric, models, counts, halves
        As in `make_scorer`; the models are left as they are.
    """

    metric: Metric
    models: Sequence[Rdm]
    counts: Counts
    halves: Counts

    def score(
        self,
        rois: Iterable[Sequence[Rdm]],
        on_progress: Progress = ignore,
        most: int | None = None,
    ) -> list[DrawScores]:
        """Score as `DrawScorer.score`, in the first `most` draws alone if that is given."""
        counts = np.concatenate([self.counts, self.halves], axis=1)[:, :most]
        given = list(rois)
        brains = list(chain.from_iterable(given))
        scores = resampled_scores(
            brains, self.models, self.metric, counts, lambda share: on_progress(share * len(given))
        )
        return [DrawScores(part) for part in np.split(scores, len(given))]


def can_weight(metric: Metric, missing: Sequence[IntArray]) -> bool:
    """Whether draws of RDMs that miss some pairs can be weights on the images.

    Then no RDM is resampled: a draw costs a matrix product (inner products) or a cumulative sum
    (ranks) instead of a whole comparison. Ranks and whitened metrics need complete RDMs for it.
    """
    complete = not any(map(len, missing))
    if metric.bootstrap == "weights":
        return complete or not metric.whitened
    return complete and metric.bootstrap == "ranks"


def make_scorer(
    metric: Metric,
    models: Sequence[Callable[[], Rdm]],
    counts: Counts,
    halves: Counts,
    n_member: int,
    *,
    n_peer: int = 0,
    folder: Path | None = None,
) -> DrawScorer:
    """Prepare a model's layers for draws as weights, the fastest way.

    Parameters
    ----------
    metric : Metric
        One of inner products or ranks.
    models : sequence of functions that return an Rdm
        The layers, read on all cores, of which `can_weight` is true; they are overwritten.
    counts, halves : ndarray of uint8, shape (n_cond, n_draw)
        How often each image is in each bootstrap draw, and in each half; the columns of results
        are those of both.
    n_member : int
        How many subjects of an ROI are scored: the first ones.
    n_peer : int
        How many more an ROI can have, who only serve the noise ceiling of inner products.
    folder : Path, optional
        Where sums over pairs are kept for other analyses, as in `KeptSums`.
    """
    if metric.bootstrap == "weights":
        return WeightedModels(metric, models, counts, halves, n_member, n_peer, folder)
    return _RankScorer(metric, models, np.concatenate([counts, halves], axis=1))
