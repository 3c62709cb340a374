"""The loops of weighted ranks, limited by memory: what they write is kept short and in order.

A rank takes 16 bits. The order of an RDM's dissimilarities is cut into steps, each so short that
the ranks in it fit; they are kept relative to where the step starts. Ranks in 31 samples, with the
number of the step in the place of a 32nd, are a cache line: it is written without being read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.bootstrap.lanes import (
    LANES,
    ask,
    finish,
    greatest,
    inside,
    lanes,
    leading_zeros,
    shorts,
    store,
    store_past,
    sums_of,
    trailing_zeros,
)
from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import Counts, FloatArray, IntArray

__all__ = [
    "CHUNK", "DRAWS", "STEPS", "WORD", "Codes", "Shorts", "Words", "multiply_ranks", "rank_pairs",
]  # fmt: skip

Codes = NDArray[np.int32]
Shorts = NDArray[np.uint16]
Words = NDArray[np.uint64]

# Samples at a time; the last of the lanes holds the step.
DRAWS = LANES - 1
# Pairs whose running sums are in the first-level cache: as many as there are bits in a word.
WORD = 64
# Largest sum of weights in a step, and most steps of an RDM: ranks and steps have 16 bits.
_FULL, STEPS = (1 << 15) - 1, 1 << 16
# Pairs of an image at a time whose products are summed, and how far ahead they are asked for.
CHUNK, _AHEAD = 16, 64


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
            place = np.uint64(trailing_zeros(chosen))
            chosen &= chosen - one
            # Ranks are of all pairs that this one is tied with: they start at `low`.
            low = np.int64(place) - leading_zeros(~(ties << one << np.uint64(63) - place))
            high = np.int64(place) + trailing_zeros(~(ties >> place)) + 1
            i, j = np.int64(some_lows[place]), np.int64(some_highs[place])
            row = ((i * (2 * n_cond - i - 3)) >> 1) + j - origin
            store_past(ranks, row, shorts(sums, low) + shorts(sums, high) + label)
        start += size
    store(sums, 0, total)
    return start


@compiled
def rank_pairs(
    images: Shorts, tied: Words, weights: Counts, totals: IntArray, first: int, last: int,
    sums: Shorts, ranks: Shorts, steps: Codes,
) -> bool:  # fmt: skip
    """Write the ranks of pairs whose first image is in a range; False if there are too many steps.

    A rank is the sum of its entry in `ranks` and of the row of `steps` that this entry's last lane
    names. The rows of `sums`: running sums in a step, and in the last row the number of the step.
    """
    n_cond, n_pairs = weights.shape[0], images.shape[1] - WORD
    origin = ((first * (2 * n_cond - first - 3)) >> 1) + first + 1
    largest = max(int(weights.max()) ** 2, 1)
    most = min(max((_FULL >> 1) // largest, 1), WORD)
    full = max(_FULL - largest * most, 0)
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
            if used > full or (used > 0 and used + weight > _FULL):
                break
            # A group that is too large for any step has one of its own, and there a single rank.
            alone = weight > _FULL
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


@compiled
def multiply_ranks(
    weights: Counts, ranks: Shorts, steps: Codes, brains: tuple[int, int], n_fresh: int,
    origin: int, first: int, last: int, room: FloatArray, products: FloatArray, squares: FloatArray,
) -> None:  # fmt: skip
    """Sum products of two brain RDMs' ranks and all models', and squares of the first of all ranks.

    Over the pairs whose first image is in a range. In `ranks` and `steps` models come before
    brains, in `squares` after them; `products` has the shape (n_model, 2, 32).
    """
    n_cond, n_model, size = weights.shape[0], products.shape[0], ranks.shape[1]
    weighing = 3 * CHUNK  # rows of room: weighted ranks of each brain, those of models, weights
    products[:], squares[:] = 0, 0
    for i in range(first, last):
        mine = lanes(weights, i)
        for start in range(i + 1, n_cond, CHUNK):
            count = min(CHUNK, n_cond - start)
            index = ((i * (2 * n_cond - i - 3)) >> 1) + start - 1 - origin
            for k in range(count):
                store(room, weighing + k, mine * lanes(weights, start + k))
            for r in range(n_fresh):
                rdm = brains[r] if r < 2 else r - 2
                row, scratch = rdm * size + index, min(r, 2) * CHUNK
                square = lanes(squares, r)
                for k in range(count):
                    ask(ranks, row + k + _AHEAD)
                    step = rdm * STEPS + ranks[rdm, index + k, DRAWS]
                    rank = sums_of(ranks, row + k, steps, step)
                    weighted = lanes(room, weighing + k) * rank
                    square = square + weighted * rank
                    store(room, scratch + k, weighted)
                store(squares, r, square)
            for rdm in range(n_model):
                row = rdm * size + index
                left, right = lanes(products, 2 * rdm), lanes(products, 2 * rdm + 1)
                for k in range(count):
                    ask(ranks, row + k + _AHEAD)
                    step = rdm * STEPS + ranks[rdm, index + k, DRAWS]
                    rank = sums_of(ranks, row + k, steps, step)
                    left = left + lanes(room, k) * rank
                    right = right + lanes(room, CHUNK + k) * rank
                store(products, 2 * rdm, left)
                store(products, 2 * rdm + 1, right)
