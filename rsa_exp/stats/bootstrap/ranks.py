"""Spearman's rho and rho-a in many bootstrap samples of images, exactly, without sorting again.

A sample that contains image i w_i times gives the pair of images i, j the weight w_i w_j; pairs of
copies of one image drop out. In the order of an RDM's dissimilarities, a running sum of the weights
gives the weighted midranks. For eight samples side by side, one pass in an RDM's order writes their
ranks at the pairs' indices; a second pass over the pairs sums products, of four brain RDMs and all
models. Ranks are twice the midrank less its mean: integers, so that only sums are rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from threading import Semaphore

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.bootstrap.lanes import LANES, load, load_ahead, store
from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import BoolArray, FloatArray, count_pairs
from rsa_exp.stats.metrics.ranks import Ranks
from rsa_exp.stats.parallel import in_order
from rsa_exp.vocabulary import MIN_PAIRS

__all__ = ["SortedPairs", "sort_pairs", "weighted_rank_scores"]

Codes = NDArray[np.int32]
Images = NDArray[np.uint16]
Weights = NDArray[np.uint8]
# Work, and the array to which its result is added.
Task = tuple[Callable[[], FloatArray], FloatArray]

# Brain RDMs at a time: enough sums under way to keep the processor busy.
_TILE = 4
# Pairs at a time, which stay in the first-level cache.
_CHUNK = 64
# Bytes for the ranks of a block of model RDMs.
_ROOM = 1_200_000_000
# Parts of a sum over pairs: fixed, as the last bits depend on them.
_PARTS = 16


@dataclass(frozen=True)
class SortedPairs:
    """The pairs of an RDM in the order of their dissimilarities, in five bytes a pair.

    Attributes
    ----------
    images : ndarray of uint16, shape (n_pairs, 2)
        The two images i < j of each pair, smallest dissimilarity first.
    tied : ndarray of bool, shape (n_pairs,)
        Whether a pair is tied with the next.
    n_cond : int
        Images.
    """

    images: Images
    tied: BoolArray
    n_cond: int


def sort_pairs(ranks: Ranks) -> SortedPairs:
    """Sort the pairs of an RDM by dissimilarity; ValueError if any are missing."""
    if len(ranks.missing):
        raise ValueError(f"{len(ranks.missing)} pairs are missing: weights need complete RDMs")
    n_pairs = len(ranks.codes)
    images, tied = np.empty((n_pairs, 2), dtype=np.uint16), np.ones(n_pairs, dtype=bool)
    _sort(ranks.codes, ranks.n_cond, images, tied)
    return SortedPairs(images, tied, ranks.n_cond)


@compiled
def _sort(codes: Codes, n_cond: int, images: Images, tied: BoolArray) -> None:
    """Sort pairs by counting; `tied` comes as all true."""
    starts = np.zeros(codes.max() + 2, dtype=np.uint32)
    for code in codes:
        starts[code + 1] += 1
    for code in range(1, starts.shape[0]):
        starts[code] += starts[code - 1]
    index = 0
    for i in range(n_cond - 1):
        for j in range(i + 1, n_cond):
            slot = starts[codes[index]]
            images[slot, 0], images[slot, 1] = i, j
            starts[codes[index]] += 1
            index += 1
    # Where a code's pairs started is now where they end.
    for end in starts:
        if end > 0:
            tied[end - 1] = False


@compiled
def _rank(
    images: Images, tied: BoolArray, weights: Weights, totals: FloatArray, ranks: Codes
) -> FloatArray:
    """Write ranks in eight samples at the pairs' indices; return their weighted sums of squares."""
    n_cond = weights.shape[0]
    total = load(totals, 0)
    before = rank = square = total - total
    end = 0
    for k in range(images.shape[0]):
        i, j = np.int64(images[k, 0]), np.int64(images[k, 1])
        weight = load(weights, i) * load(weights, j)
        if k == end:
            group = weight
            while tied[end]:
                end += 1
                group = group + load(weights, images[end, 0]) * load(weights, images[end, 1])
            end += 1
            rank = before + before + group - total
            before = before + group
        square = square + weight * rank * rank
        store(ranks, ((i * (2 * n_cond - i - 3)) >> 1) + j - 1, rank)
    squares = np.empty(LANES)
    store(squares, 0, square)
    return squares


@compiled
def _multiply(weights: Weights, brains: Codes, models: Codes, first: int, last: int) -> FloatArray:
    """Sum products, of shape (n_model, 4, 8), over the pairs whose first image is in a range."""
    n_cond, n_model, n_pairs = weights.shape[0], models.shape[0], models.shape[1]
    sums = np.zeros((n_model, _TILE, LANES))
    room = np.empty((_CHUNK, _TILE, LANES))
    for i in range(first, last):
        mine = load(weights, i)
        for start in range(i + 1, n_cond, _CHUNK):
            size = min(_CHUNK, n_cond - start)
            index = ((i * (2 * n_cond - i - 3)) >> 1) + start - 1
            for k in range(size):
                weight = mine * load(weights, start + k)
                for b in range(_TILE):
                    row = b * n_pairs + index + k
                    store(room, _TILE * k + b, weight * load_ahead(brains, row))
            for m in range(n_model):
                row = m * n_pairs + index
                sum0, sum1 = load(sums, 4 * m), load(sums, 4 * m + 1)
                sum2, sum3 = load(sums, 4 * m + 2), load(sums, 4 * m + 3)
                for k in range(size):
                    rank = load_ahead(models, row + k)
                    sum0 = sum0 + load(room, 4 * k) * rank
                    sum1 = sum1 + load(room, 4 * k + 1) * rank
                    sum2 = sum2 + load(room, 4 * k + 2) * rank
                    sum3 = sum3 + load(room, 4 * k + 3) * rank
                store(sums, 4 * m, sum0)
                store(sums, 4 * m + 1, sum1)
                store(sums, 4 * m + 2, sum2)
                store(sums, 4 * m + 3, sum3)
    return sums


def _room(n_rdm: int, n_pairs: int) -> Codes:
    """Memory for ranks in eight samples, aligned so that no row crosses a cache line."""
    room = np.empty(n_rdm * n_pairs * LANES + 16, dtype=np.int32)
    start = -room.ctypes.data % 64 // 4
    return room[start : len(room) - 16 + start].reshape(n_rdm, n_pairs, LANES)


def _phases(
    rdms: tuple[Sequence[SortedPairs], Sequence[SortedPairs]], packs: Weights, totals: FloatArray,
    squares: Sequence[FloatArray], products: FloatArray,
) -> Iterator[list[Task]]:  # fmt: skip
    """Yield phases: tasks that may run at once, each phase only after the one before is done."""
    n_cond, (n_brain, n_model) = packs.shape[1], map(len, rdms)
    n_pairs = count_pairs(n_cond)
    block = max(min(_ROOM // (4 * LANES * n_pairs), n_model), 1)
    ranks = _room(_TILE, n_pairs), _room(block, n_pairs)
    # Parts of about as many pairs: those from image i on are a share of (1 - i / n)^2.
    ends = [round((n_cond - 1) * (1 - (1 - k / _PARTS) ** 0.5)) for k in range(_PARTS + 1)]

    def ranking(side: int, first: int, sums: FloatArray) -> list[Task]:
        members = zip(rdms[side][first:], ranks[side], sums[first:], strict=False)
        return [
            (partial(_rank, rdm.images, rdm.tied, packs[pack], totals[pack], indices), square)
            for rdm, indices, square in members
        ]

    for pack in range(len(packs)):
        again = np.zeros_like(squares[0][pack])  # repeated for another block of models: not used
        for model in range(0, n_model, block):
            phase = ranking(1, model, squares[1][pack])
            for brain in range(0, n_brain, _TILE):
                yield phase + ranking(0, brain, again if model else squares[0][pack])
                sums = products[pack, model : model + block, brain : brain + _TILE]
                work = partial(_multiply, packs[pack], ranks[0], ranks[1][: len(sums)])
                yield [(partial(work, *part), sums) for part in pairwise(ends)]
                phase = []


def _run(phases: Iterator[list[Task]]) -> None:
    """Run all phases in one pool of threads, and add the results in order."""
    finished = Semaphore(0)

    def work(task: Task) -> tuple[FloatArray, FloatArray]:
        try:
            return task[0](), task[1]
        finally:
            finished.release()

    def tasks() -> Iterator[Task]:
        for phase in phases:
            yield from phase
            for _ in phase:
                finished.acquire()

    for result, sums in in_order(work, tasks()):
        sums += result


def weighted_rank_scores(
    brains: Sequence[SortedPairs],
    models: Sequence[SortedPairs],
    weights: Weights,
    method: str,
) -> FloatArray:
    """Scores of brain RDMs against model RDMs in bootstrap samples of images.

    Each equals rsatoolbox's ``compare`` of the two RDMs after ``subsample_pattern``, and has the
    same bits for any number of threads.

    Memory: 32 bytes a pair for each RDM at work: four brain RDMs, and model RDMs in blocks of up to
    1.2 GB. With five models 0.6 + 0.7 GB for 2985 images, 1.5 + 1.2 GB for 4916 (in two blocks).

    Parameters
    ----------
    brains, models : sequence of SortedPairs
        RDMs of the same images.
    weights : ndarray of uint8, shape (n_cond, n_draw)
        How often each sample contains each image.
    method : {'spearman', 'rho-a'}
        What to compute.

    Returns
    -------
    ndarray of shape (n_brain, n_model, n_draw)
        In [-1, 1]; NaN where a sample has fewer than `MIN_PAIRS` pairs, or an RDM constant in it.

    Raises
    ------
    ValueError
        If the method is another, sizes do not agree, or a sample has 2^31 pairs or more.
    """
    if method not in ("spearman", "rho-a"):
        raise ValueError(f"ranks can be weighted for spearman and rho-a, not for {method!r}")
    if weights.dtype != np.uint8 or weights.ndim != 2:
        raise ValueError(f"weights are {weights.dtype} {weights.shape}, not uint8 (n_cond, n_draw)")
    if len(sizes := {len(weights), *(rdm.n_cond for rdm in (*brains, *models))}) > 1:
        raise ValueError(f"weights and RDMs are of different numbers of images: {sorted(sizes)}")
    n_draw, n_brain = weights.shape[1], len(brains)
    packs = np.zeros((-(-n_draw // LANES), len(weights), LANES), dtype=np.uint8)
    for k, draw in enumerate(weights.T):
        packs[k // LANES, :, k % LANES] = draw
    totals = (packs.sum(1, np.float64) ** 2 - np.square(packs, dtype=np.float64).sum(1)) / 2
    if totals.max(initial=0) >= 2**31:
        raise ValueError(f"a sample has {totals.max():.0f} pairs; there can be 2^31 - 1")
    squares = tuple(np.zeros((len(packs), len(rdms), LANES)) for rdms in (brains, models))
    products = np.zeros((len(packs), len(models), -(-n_brain // _TILE) * _TILE, LANES))
    _run(_phases((brains, models), packs, totals, squares, products))
    products, totals = products[:, :, :n_brain], totals[:, None, None]
    left, right = squares[0][:, None], squares[1][:, :, None]
    # Of rho-a's factor 12, 4 is in the products, as ranks are doubled.
    norms = np.sqrt(left * right) if method == "spearman" else (totals**3 - totals) / 3
    valid = (left > 0) & (right > 0) & (totals >= MIN_PAIRS)
    scores = np.clip(products / np.where(valid, norms, np.nan), -1, 1)
    return scores.transpose(2, 1, 0, 3).reshape(n_brain, len(models), totals.size)[..., :n_draw]
