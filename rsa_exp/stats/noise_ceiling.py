"""Noise ceilings by pooling whole RDMs: for metrics of ranks, and for RDMs with missing pairs.

The lower ceiling is each subject's score against the pool of the others, the upper one that against
the pool of all (Nili et al. 2014, PLoS Comput. Biol. 10:e1003553). Pooled are, as in rsatoolbox,
ranks (the pool is ranked again), or RDMs of unit mean square. For inner products of complete RDMs
the ceilings follow from a Gram matrix, in every draw
(`rsa_exp.stats.bootstrap.inner_products.Pool`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from rsa_exp.stats.bootstrap.resampling import resample
from rsa_exp.stats.condensed import Counts, FloatArray, IntArray, Rdm
from rsa_exp.stats.metrics.ranks import Ranks, prepare_ranks
from rsa_exp.stats.metrics.registry import Metric
from rsa_exp.stats.missing_pairs import union
from rsa_exp.stats.parallel import in_order

__all__ = ["bootstrap_rank_ceilings", "pooled_ceilings", "rank_ceilings"]


def _common_ranks(rdms: Sequence[Rdm]) -> list[Ranks]:
    """Ranks over the pairs that all of several RDMs have."""
    missing = reduce(union, (rdm.missing for rdm in rdms))
    return [prepare_ranks(Rdm(rdm.values, missing, rdm.n_cond)) for rdm in rdms]


def _ceilings(ranks: Sequence[Ranks], metric: Metric, counts: Counts) -> FloatArray:
    """Score of each subject against the pool of the others and of all, shape (2, n_subject)."""
    result = np.full((2, len(ranks)), np.nan)
    drawn: list[int] = np.flatnonzero(counts).tolist()
    if len(drawn) < 2:
        return result
    missing, n_cond = ranks[0].missing, ranks[0].n_cond
    # Integers: exact in any order.
    total = np.zeros(len(ranks[0].codes), dtype=np.int64)
    for subject in drawn:
        total += ranks[subject].codes.astype(np.int64) * int(counts[subject])

    def prepare(pool: IntArray) -> Ranks:
        return prepare_ranks(Rdm(pool.astype(np.float64), missing, n_cond))

    everyone = prepare(total)
    for subject in drawn:
        others = total - ranks[subject].codes.astype(np.int64) * int(counts[subject])
        result[:, subject] = metric.compare(ranks[subject], [prepare(others), everyone])
    return result


def pooled_ceilings(rdms: Sequence[Rdm], metric: Metric) -> FloatArray:
    """Lower and upper noise ceiling of each subject of an ROI, by an inner product.

    For RDMs with missing pairs, over those that all have; `Pool` does the same for many draws of
    complete ones.

    Parameters
    ----------
    rdms : sequence of Rdm
        One for each subject; left as they are.
    metric : Metric
        An inner product.

    Returns
    -------
    ndarray of shape (2, n_subject)
        NaN with one subject.
    """
    missing, n_cond = reduce(union, (rdm.missing for rdm in rdms)), rdms[0].n_cond
    result = np.full((2, len(rdms)), np.nan)
    if len(rdms) < 2:
        return result
    scaled = []
    for rdm in rdms:
        values = rdm.values.copy()
        values[missing] = np.nan
        values -= np.nanmean(values) if metric.centred else 0.0
        scaled.append(values / np.sqrt(np.nanmean(values**2)))
    total = np.sum(scaled, axis=0)

    def prepare(values: FloatArray) -> object:
        return metric.prepare(Rdm(values.copy(), missing, n_cond), np.float64)

    everyone = prepare(total)
    for subject, values in enumerate(scaled):
        pools = [prepare(total - values), everyone]
        result[:, subject] = metric.compare(prepare(values), pools)
    return result


def rank_ceilings(rdms: Sequence[Rdm], metric: Metric) -> FloatArray:
    """Lower and upper noise ceiling by a metric of ranks, otherwise as `pooled_ceilings`."""
    return _ceilings(_common_ranks(rdms), metric, np.ones(len(rdms), dtype=np.uint8))


def bootstrap_rank_ceilings(
    rdms: Sequence[Rdm],
    metric: Metric,
    images: Counts | None,
    subjects: Counts | None,
) -> FloatArray:
    """Noise ceilings in each bootstrap draw: of both, of subjects alone, and of images alone.

    Costs a sort of every subject's and of every pool's ranks in each draw.

    Parameters
    ----------
    rdms, metric
        As in `rank_ceilings`.
    images : ndarray of uint8, shape (n_cond, n_draw), or None
        How often each image is drawn; None draws subjects alone.
    subjects : ndarray of uint8, shape (n_subject, n_draw), or None
        How often each subject is drawn; None draws images alone.

    Returns
    -------
    ndarray of shape (n_way, 2, n_subject, n_draw)
        Three ways, or the one that is drawn. Lower and upper; NaN for subjects that are not drawn,
        and for all where fewer than two are.
    """
    whole = _common_ranks(rdms)
    once = np.ones(len(rdms), dtype=np.uint8)

    def work(draw: int) -> FloatArray:
        times = once if subjects is None else subjects[:, draw]
        of_subjects = [] if subjects is None else [_ceilings(whole, metric, times)]
        if images is None:
            return np.stack(of_subjects)
        order = np.repeat(np.arange(len(images)), images[:, draw])
        drawn = _common_ranks([Rdm.of(resample(rdm, order)) for rdm in rdms])
        of_images = _ceilings(drawn, metric, once)
        both = [] if subjects is None else [_ceilings(drawn, metric, times)]
        return np.stack([*both, *of_subjects, of_images])

    counts = [drawn for drawn in (images, subjects) if drawn is not None]
    return np.stack(list(in_order(work, range(counts[0].shape[1]))), axis=-1)
