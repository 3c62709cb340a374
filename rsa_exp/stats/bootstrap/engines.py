"""Scores of ROIs in draws of images: one interface for all metrics, the fastest way for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from rsa_exp.stats.bootstrap.inner_products import DrawScores, WeightedModels
from rsa_exp.stats.bootstrap.ranks import SortedPairs, sort_pairs, weighted_rank_scores
from rsa_exp.stats.bootstrap.resampling import resampled_scores
from rsa_exp.stats.condensed import Counts, Rdm
from rsa_exp.stats.metrics.ranks import prepare_ranks
from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.stats.parallel import in_order

__all__ = ["DrawScorer", "ResamplingScorer", "can_weight", "make_scorer"]


class DrawScorer(Protocol):
    """A model's layers, ready to be scored against ROIs in draws of images."""

    def score(self, rois: Sequence[Sequence[Rdm]]) -> list[DrawScores]:
        """Score every layer against brain RDMs in every draw.

        Parameters
        ----------
        rois : sequence of sequence of Rdm
            RDMs of each ROI's members, then of their peers; they may be overwritten.

        Returns
        -------
        list of DrawScores
            One for each ROI.
        """


class _RankScorer:
    def __init__(self, metric: Metric, models: Sequence[Rdm], weights: Counts) -> None:
        self._method, self._weights, self._models = metric.name, weights, self._prepare(models)

    def _prepare(self, rdms: Sequence[Rdm]) -> list[SortedPairs]:
        return list(in_order(lambda rdm: sort_pairs(prepare_ranks(rdm)), rdms))

    def score(self, rois: Sequence[Sequence[Rdm]]) -> list[DrawScores]:
        brains = self._prepare([rdm for roi in rois for rdm in roi])
        scores = weighted_rank_scores(brains, self._models, self._weights, self._method)
        return [DrawScores(part) for part in np.split(scores, len(rois))]


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

    def score(self, rois: Sequence[Sequence[Rdm]], most: int | None = None) -> list[DrawScores]:
        """Score as `DrawScorer.score`, in the first `most` draws alone if that is given."""
        counts = np.concatenate([self.counts, self.halves], axis=1)[:, :most]
        brains = [rdm for roi in rois for rdm in roi]
        scores = resampled_scores(brains, self.models, self.metric, counts)
        return [DrawScores(part) for part in np.split(scores, len(rois))]


def can_weight(metric: Metric, rdms: Sequence[Rdm]) -> bool:
    """Whether draws can be weights on the images, so that no RDM has to be resampled.

    Then a draw costs a matrix product (inner products) or a cumulative sum (ranks) instead of a
    whole comparison. Ranks and whitened metrics need complete RDMs for it.
    """
    complete = not any(len(rdm.missing) for rdm in rdms)
    if metric.bootstrap == "weights":
        return complete or not metric.whitened
    return complete and metric.bootstrap == "ranks"


def make_scorer(
    metric: Metric,
    models: Sequence[Rdm],
    counts: Counts,
    halves: Counts,
    n_member: int,
    *,
    n_peer: int = 0,
    folder: Path | None = None,
) -> DrawScorer:
    """Prepare a model's layers for draws in the fastest way that the metric and the RDMs allow.

    Parameters
    ----------
    metric : Metric
        Any.
    models : sequence of Rdm
        The layers; overwritten if `can_weight`.
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
    if not can_weight(metric, models):
        return ResamplingScorer(metric, models, counts, halves)
    if metric.bootstrap == "weights":
        return WeightedModels(metric, models, counts, halves, n_member, n_peer, folder)
    return _RankScorer(metric, models, np.concatenate([counts, halves], axis=1))
