"""Spearman's rho and rho-a in many bootstrap samples of images, exactly, without sorting again.

A sample that contains image i w_i times gives the pair of images i, j the weight w_i w_j; pairs of
copies of one image drop out. In the order of an RDM's dissimilarities, a running sum of the weights
gives the weighted midranks. Ranks are twice the midrank less its mean: integers, so that only sums
of products are rounded.

A pass over the pairs of an RDM in its order writes their ranks in 31 samples at the pairs' indices,
for a range of pairs, a tile, that fits into memory; a second pass over the tile sums products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from threading import Semaphore
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rsa_exp.stats.bootstrap.lanes import LANES
from rsa_exp.stats.bootstrap.rank_loops import (
    CHUNK,
    DRAWS,
    STEPS,
    WORD,
    Codes,
    Shorts,
    Words,
    multiply_ranks,
    rank_pairs,
)  # fmt: skip
from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import Counts, FloatArray, IntArray, count_pairs
from rsa_exp.stats.metrics.ranks import Ranks
from rsa_exp.stats.parallel import Progress, ignore, in_order, n_workers
from rsa_exp.vocabulary import MIN_PAIRS

__all__ = ["SortedPairs", "sort_pairs", "weighted_rank_scores"]

Task = Callable[[], object]

# Most brain RDMs at a time, for as many threads.
_MOST_BRAINS = 8
# Bytes for the tiles of all RDMs at work: in all, and a pair of images where those are so many that
# tiles would otherwise shrink, and the passes over all pairs would multiply.
_ROOM, _ROOM_PER_PAIR = 1 << 30, 48
# Pairs in a part of a sum, at least, and most parts: fixed, as the last bits depend on them.
_PART, _PARTS = 1 << 16, 48


@dataclass(frozen=True)
class SortedPairs:
    """The pairs of an RDM in the order of their dissimilarities, in four bytes a pair.

    Attributes
    ----------
    images : ndarray of uint16, shape (2, n_pairs + 64)
        The two images i < j of each pair, smallest dissimilarity first; then zeros.
    tied : ndarray of uint64
        A bit for each pair: whether it is tied with the next.
    n_cond : int
        Images.
    """

    images: Shorts
    tied: Words
    n_cond: int


def sort_pairs(ranks: Ranks) -> SortedPairs:
    """Sort the pairs of an RDM by dissimilarity; ValueError if any are missing."""
    if len(ranks.missing):
        raise ValueError(f"{len(ranks.missing)} pairs are missing: weights need complete RDMs")
    n_pairs = len(ranks.codes)
    images = np.zeros((2, n_pairs + WORD), dtype=np.uint16)
    tied = np.zeros(n_pairs // WORD + 2, dtype=np.uint64)
    _sort(ranks.codes, ranks.n_cond, images, tied)
    return SortedPairs(images, tied, ranks.n_cond)


@compiled
def _sort(codes: Codes, n_cond: int, images: Shorts, tied: Words) -> None:
    """Sort pairs by counting."""
    starts = np.zeros(codes.max() + 2, dtype=np.uint32)
    for code in codes:
        starts[code + 1] += 1
    for code in range(1, starts.shape[0]):
        starts[code] += starts[code - 1]
    index = 0
    for i in range(n_cond - 1):
        for j in range(i + 1, n_cond):
            slot = starts[codes[index]]
            images[0, slot], images[1, slot] = i, j
            starts[codes[index]] += 1
            index += 1
    # Where a code's pairs started is now where they end.
    for code in range(starts.shape[0]):
        for k in range(0 if code == 0 else starts[code - 1], np.int64(starts[code]) - 1):
            tied[k >> 6] |= np.uint64(1) << np.uint64(k & 63)


def _aligned(shape: tuple[int, ...], kind: DTypeLike) -> NDArray[Any]:
    """Memory that starts with a cache line, so that no row crosses one."""
    size = np.dtype(kind).itemsize * int(np.prod(shape))
    memory = np.empty(size + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(kind).reshape(shape)


def _phases(
    brains: Sequence[SortedPairs], models: Sequence[SortedPairs], packs: Counts, totals: IntArray,
    products: FloatArray, squares: FloatArray, on_progress: Progress,
) -> Iterator[list[Task]]:  # fmt: skip
    """Yield phases: tasks that may run at once, each phase only after the one before is done."""
    n_cond, n_brain, n_model = packs.shape[1], len(brains), len(models)
    n_pairs = count_pairs(n_cond)
    # Parts of about as many pairs: those from image i on are a share of (1 - i / n)^2.
    n_part = min(max(n_pairs // _PART, 1), _PARTS)
    images = [round((n_cond - 1) * (1 - (1 - k / n_part) ** 0.5)) for k in range(n_part + 1)]
    pairs = [n_pairs - count_pairs(n_cond - image) for image in images]
    n_side = 2 * -(-min(n_workers(), n_brain, _MOST_BRAINS) // 2)  # brain RDMs at a time
    bytes_needed = 2 * LANES * n_pairs * (n_model + n_side)
    n_tile = min(-(-bytes_needed // max(_ROOM, _ROOM_PER_PAIR * n_pairs)), n_part)
    tiles = list(pairwise(n_part * k // n_tile for k in range(n_tile + 1)))
    longest = max(pairs[last] - pairs[first] for first, last in tiles)
    ranks = _aligned((n_model + n_side, longest, LANES), np.uint16)
    steps = _aligned((n_model + n_side, STEPS, LANES), np.int32)
    # Of each part and two brain RDMs.
    multiplied = np.empty((n_part, *products.shape[1:]))
    squared = np.zeros((n_part, *squares.shape[1:]))

    def rank(rdm: SortedPairs, slot: int, pack: int, tile: tuple[int, int]) -> None:
        sums = _aligned((WORD + 2, LANES), np.uint16)
        part = packs[pack], totals[pack], images[tile[0]], images[tile[1]]
        if not rank_pairs(rdm.images, rdm.tied, *part, sums, ranks[slot], steps[slot]):
            raise ValueError("samples of so many images are too uneven to weight their ranks")

    def multiply(brain: int, first: int, part: int, pack: int, origin: int) -> None:
        slot = n_model + brain - first
        slots = slot, min(slot + 1, n_model + n_brain - 1 - first)
        fresh = 2 if brain else 2 + n_model
        room = _aligned((4 * CHUNK, LANES), np.float64)
        sums = multiplied[part, brain // 2], squared[part, brain // 2]
        span = images[part], images[part + 1]
        multiply_ranks(packs[pack], ranks, steps, slots, fresh, origin, *span, room, *sums)

    for pack in range(len(packs)):
        for tile in tiles:
            phase: list[Task] = [partial(rank, rdm, k, pack, tile) for k, rdm in enumerate(models)]
            for first in range(0, n_brain, n_side):
                group = brains[first : first + n_side]
                for slot, rdm in enumerate(group, n_model):
                    phase.append(partial(rank, rdm, slot, pack, tile))
                yield phase
                yield [
                    partial(multiply, brain, first, part, pack, pairs[tile[0]])
                    for brain in range(first, first + len(group), 2)
                    for part in range(*tile)
                ]
                phase = []
                on_progress(len(group) / (n_brain * len(tiles) * len(packs)))
        products[pack], squares[pack] = multiplied.sum(axis=0), squared.sum(axis=0)


def _run(phases: Iterator[list[Task]]) -> None:
    """Run all phases in one pool of threads."""
    finished = Semaphore(0)

    def work(task: Task) -> None:
        try:
            task()
        finally:
            finished.release()

    def tasks() -> Iterator[Task]:
        for phase in phases:
            yield from phase
            for _ in phase:
                finished.acquire()

    for _ in in_order(work, tasks()):
        pass


def weighted_rank_scores(
    brains: Sequence[SortedPairs],
    models: Sequence[SortedPairs],
    weights: Counts,
    method: str,
    on_progress: Progress = ignore,
) -> FloatArray:
    """Scores of brain RDMs against model RDMs in bootstrap samples of images.

    Each equals rsatoolbox's ``compare`` of the two RDMs after ``subsample_pattern``, and has the
    same bits for any number of threads, and whatever other RDMs and samples are scored with it.

    Memory: 1.1 GB at most up to 6687 images, 48 bytes a pair beyond.

    Parameters
    ----------
    brains, models : sequence of SortedPairs
        RDMs of the same images. Models are ranked once for all brain RDMs of a call.
    weights : ndarray of uint8, shape (n_cond, n_draw)
        How often each sample contains each image.
    method : {'spearman', 'rho-a'}
        What to compute.
    on_progress : callable, optional
        Called in this thread with the share of the work that was done since it was last called.

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
    n_draw, n_brain, n_model = weights.shape[1], len(brains), len(models)
    if 0 in (n_draw, n_brain, n_model):
        return np.empty((n_brain, n_model, n_draw))
    packs = _aligned((-(-n_draw // DRAWS), len(weights), LANES), np.uint8)
    packs[:] = 0
    for k, draw in enumerate(weights.T):
        packs[k // DRAWS, :, k % DRAWS] = draw
    totals = (packs.sum(1, np.int64) ** 2 - np.square(packs, dtype=np.int64).sum(1)) // 2
    if totals.max() >= 2**31:
        raise ValueError(f"a sample has {totals.max()} pairs; there can be 2^31 - 1")
    n_two = -(-n_brain // 2)
    products = np.empty((len(packs), n_two, n_model, 2, LANES))
    squares = np.empty((len(packs), n_two, 2 + n_model, LANES))
    _run(_phases(brains, models, packs, totals, products, squares, on_progress))
    products = products.swapaxes(2, 3)
    left, right = squares[:, :, :2, None], squares[:, :1, None, 2:]
    sizes_ = totals[:, None, None, None].astype(np.float64)
    # Of rho-a's factor 12, 4 is in the products, as ranks are doubled.
    norms = np.sqrt(left * right) if method == "spearman" else (sizes_**3 - sizes_) / 3
    valid = (left > 0) & (right > 0) & (sizes_ >= MIN_PAIRS)
    scores = np.clip(products / np.where(valid, norms, np.nan), -1, 1)[..., :DRAWS]
    scores = scores.transpose(1, 2, 3, 0, 4).reshape(2 * n_two, n_model, -1)
    return scores[:n_brain, :, :n_draw]
