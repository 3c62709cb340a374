"""The pairs of an RDM in order, and their ranks in 31 bootstrap samples of images at a time.

See `rsa_exp.stats.bootstrap.ranks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.bootstrap.lanes import (
    LANES,
    finish,
    greatest,
    inside,
    leading_zeros,
    shorts,
    store,
    store_past,
    trailing_zeros,
)
from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import Counts, IntArray
from rsa_exp.stats.metrics.ranks import Ranks

__all__ = ["DRAWS", "STEPS", "WORD", "Codes", "Shorts", "SortedPairs", "sort_pairs", "write_ranks"]

Codes = NDArray[np.int32]
Shorts = NDArray[np.uint16]
Words = NDArray[np.uint64]

DRAWS = LANES - 1
"""Samples at a time; the last of the lanes holds the step."""

WORD = 64
"""Pairs whose running sums are in the first-level cache: as many as there are bits in a word."""

STEPS = 1 << 16
"""Most steps of an RDM: their numbers have 16 bits."""

# Largest sum of weights in a step, so that ranks have 16 bits.
_STEP = (1 << 15) - 1


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
    start = np.int64(0)
    for end in starts:
        for k in range(start, np.int64(end) - 1):
            tied[k >> 6] |= np.uint64(1) << np.uint64(k & 63)
        start = np.int64(end)


@compiled
def _rank_short(
    images: Shorts, tied: Words, weights: Counts, first: int, last: int, start: int, most: int,
    full: int, sums: Shorts, ranks: Shorts,
) -> int:  # fmt: skip
    """Rank pairs from `start` until the step is full or a group of ties too long for `sums` comes.

    Return where that is. Nothing is called in the loop, so that vectors stay in registers.
    """
    lows, highs = images[0], images[1]
    n_cond, n_pairs = weights.shape[0], len(lows) - WORD
    origin = ((first * (2 * n_cond - first - 3)) >> 1) + first + 1
    one, every = np.uint64(1), ~np.uint64(0)
    total, label = shorts(sums, 0), shorts(sums, WORD + 1)
    while start < n_pairs:
        # As many pairs as are looked at together, without those of a group of ties that goes on.
        shift = np.uint64(start & 63)
        ties = tied[start >> 6] >> shift | tied[(start >> 6) + 1] << one << np.uint64(63) - shift
        size = min(most, n_pairs - start)
        size -= leading_zeros(~(ties << np.uint64(WORD - size)))
        if size == 0 or greatest(total) > full:
            break
        store(sums, 0, total)
        some_lows, some_highs = lows[start:], highs[start:]
        for k in range(WORD):
            total = total + shorts(weights, some_lows[k]) * shorts(weights, some_highs[k])
            store(sums, k + 1, total)
        total = shorts(sums, size)
        chosen = inside(lows, start, first, last - first) & every >> np.uint64(WORD - size)
        while chosen != 0:
            bit = np.uint64(trailing_zeros(chosen))
            chosen &= chosen - one
            # Ranks are of all pairs that this one is tied with: they start at `low`.
            low = np.int64(bit) - leading_zeros(~(ties << one << np.uint64(63) - bit))
            high = np.int64(bit) + trailing_zeros(~(ties >> bit)) + 1
            i, j = np.int64(some_lows[bit]), np.int64(some_highs[bit])
            row = ((i * (2 * n_cond - i - 3)) >> 1) + j - origin
            store_past(ranks, row, shorts(sums, low) + shorts(sums, high) + label)
        start += size
    store(sums, 0, total)
    return start


@compiled
def write_ranks(
    images: Shorts, tied: Words, weights: Counts, totals: IntArray, first: int, last: int,
    sums: Shorts, ranks: Shorts, steps: Codes,
) -> bool:  # fmt: skip
    """Write the ranks of pairs whose first image is in a range; False if there are too many steps.

    A rank is the sum of its entry in `ranks` and of the row of `steps` that this entry's last lane
    names. The rows of `sums`: running sums in a step, and in the last row the number of the step.
    """
    n_cond, n_pairs = weights.shape[0], images.shape[1] - WORD
    origin = ((first * (2 * n_cond - first - 3)) >> 1) + first + 1
    largest: Any = max(np.int64(weights.max()) ** 2, 1)
    most = min(max((_STEP >> 1) // largest, 1), WORD)
    full = max(_STEP - largest * most, 0)
    before, group = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    sums[0], sums[-1] = 0, 0
    start = 0
    for step in range(STEPS):
        steps[step], sums[-1, DRAWS] = 2 * before - totals, step
        while True:
            start = _rank_short(images, tied, weights, first, last, start, most, full, sums, ranks)
            if start == n_pairs:
                finish()
                return True
            group[:] = 0
            end, more = start, True
            while more:
                i, j = images[0, end], images[1, end]
                for lane in range(LANES):
                    group[lane] += np.int64(weights[i, lane]) * np.int64(weights[j, lane])
                more = (tied[end >> 6] >> np.uint64(end & 63)) & np.uint64(1) != 0
                end += 1
            used, weight = np.int64(sums[0].max()), group.max()
            if used > full or (used > 0 and used + weight > _STEP):
                break
            # A group that is too large for any step has one of its own, and there a single rank.
            alone = weight > _STEP
            if alone:
                steps[step], sums[1] = steps[step] + group, 0
            else:
                sums[1], sums[0] = 2 * sums[0] + group, sums[0] + group
            rank = shorts(sums, 1) + shorts(sums, WORD + 1)
            for k in range(start, end):
                i, j = np.int64(images[0, k]), np.int64(images[1, k])
                if first <= i < last:
                    store_past(ranks, ((i * (2 * n_cond - i - 3)) >> 1) + j - origin, rank)
            start = end
            if alone:
                before += group
                break
        before += sums[0]
        sums[0] = 0
    return False
