"""Metrics of ranks: Spearman's rho, rho-a, Kendall's tau-a and tau-b.

Each RDM is sorted once. Sorting is done on 64-bit keys of the value's leading bits and its
index, which are sorted many times faster than values with an index beside them; values
that the leading bits do not tell apart are put in order afterwards, so ranks are exact.

Ranks are kept as twice the midrank, an integer also for ties.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import FloatArray, IntArray, Rdm
from rsa_exp.stats.metrics.inner_products import BLOCK
from rsa_exp.stats.metrics.kendall import inversions
from rsa_exp.stats.missing_pairs import group_by_missing

__all__ = [
    "Ranks", "compare_rho_a", "compare_spearman", "compare_tau_a", "compare_tau_b", "prepare_ranks",
]  # fmt: skip

Codes = NDArray[np.int32]
Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class Ranks:
    """An RDM's ranks.

    Attributes
    ----------
    codes : ndarray of int32, shape (n_pairs,)
        Twice the midrank (2 for the smallest of all, if it is alone); 0 at missing pairs.
    square : float
        Sum of squares of the centred midranks; 0 marks a constant RDM.
    missing : ndarray of int
        Indices of missing pairs.
    n_cond : int
        Images.
    """

    codes: Codes
    square: float
    missing: IntArray
    n_cond: int

    @cached_property
    def ties(self) -> int:
        """Pairs of tied entries."""
        return int(_tied_pairs(self.codes)) if len(self.codes) else 0


@compiled
def _pack(values: FloatArray, low: float, scale: float, bits: int, keys: Keys) -> None:
    """Key of each value: leading bits of where it lies between low and high, then its index."""
    for i in range(values.shape[0]):
        leading = np.uint64((values[i] - low) * scale)
        keys[i] = (leading << np.uint64(bits)) | np.uint64(i)


@compiled
def _unpack(keys: Keys, values: FloatArray, bits: int, codes: Codes) -> None:
    """Give each value twice its midrank, from sorted keys."""
    n = keys.shape[0]
    shift = np.uint64(bits)
    mask = (np.uint64(1) << shift) - np.uint64(1)
    start = 0
    while start < n:
        leading = keys[start] >> shift
        stop = start + 1
        while stop < n and (keys[stop] >> shift) == leading:
            stop += 1
        if stop == start + 1:
            codes[keys[start] & mask] = 2 * stop
        else:
            _rank_group(keys[start:stop] & mask, values, start, codes)
        start = stop


@compiled
def _rank_group(indices: Keys, values: FloatArray, before: int, codes: Codes) -> None:
    """Rank values that share their leading bits: most often they are equal."""
    first = values[indices[0]]
    equal = True
    for index in indices:
        if values[index] != first:
            equal = False
            break
    n = indices.shape[0]
    if equal:
        for index in indices:
            codes[index] = 2 * before + n + 1
        return
    group = np.empty(n)
    for i in range(n):
        group[i] = values[indices[i]]
    order = np.argsort(group)
    start = 0
    while start < n:
        stop = start + 1
        while stop < n and group[order[stop]] == group[order[start]]:
            stop += 1
        for i in range(start, stop):
            codes[indices[order[i]]] = 2 * before + start + stop + 1
        start = stop


@compiled
def _tied_pairs(codes: Codes) -> int:
    """Pairs of equal codes, zeros not counted."""
    counts = np.zeros(codes.max() + 1, dtype=np.int64)
    for code in codes:
        counts[code] += 1
    ties = 0
    for code in range(1, counts.shape[0]):
        ties += counts[code] * (counts[code] - 1) // 2
    return ties


@compiled
def _without(codes: Codes, gone: Codes, skip: NDArray[np.bool_], below: Codes, out: Codes) -> None:
    """Twice the midranks among the entries not skipped, those with codes `gone` being left out.

    Each entry left out lowers the codes above it by 2, and those it was tied with by 1. `below`, an
    array of zeros, receives the number of entries left out up to each code.
    """
    for code in gone:
        below[code] += 1
    for code in range(1, below.shape[0]):
        below[code] += below[code - 1]
    k = 0
    for i in range(codes.shape[0]):
        if not skip[i]:
            code = codes[i]
            out[k] = code - below[code] - below[code - 1]
            k += 1


def prepare_ranks(rdm: Rdm) -> Ranks:
    """Rank an RDM's dissimilarities, ties by their midrank, missing pairs left out."""
    values = np.delete(rdm.values, rdm.missing) if len(rdm.missing) else rdm.values
    codes = _codes(values)
    if len(rdm.missing):
        present = np.ones(len(rdm.values), dtype=bool)
        present[rdm.missing] = False
        whole = np.zeros(len(rdm.values), dtype=np.int32)
        whole[present] = codes
    else:
        whole = codes
    return Ranks(whole, _sum_of_products(codes, codes), rdm.missing, rdm.n_cond)


def _codes(values: FloatArray) -> Codes:
    """Twice the midrank of each of some finite values."""
    codes = np.empty(len(values), dtype=np.int32)
    if not len(values):
        return codes
    low, high = float(values.min()), float(values.max())
    bits = max(int(len(values) - 1).bit_length(), 1)
    # Slightly below the largest key, so that rounding cannot push the highest value beyond it.
    # Where the range of values is too small or too large, all share a key and are ranked as one
    # group.
    with np.errstate(over="ignore"):
        span = float(np.subtract(high, low))
    scale = 2.0 ** (64 - bits) * (1 - 2.0**-50) / span if 0 < span < np.inf else 0.0
    if scale == 0:
        low = 0.0
    keys = np.empty(len(values), dtype=np.uint64)
    _pack(values, low, min(scale, 1e300), bits, keys)
    keys.sort()
    _unpack(keys, values, bits, codes)
    return codes


def _sum_of_products(left: Codes, right: Codes) -> float:
    """Sum of products of centred midranks, block by block in a fixed order.

    Centred codes are below 2^26 for 12 million pairs, products below 2^52: exact before the sum.
    """
    middle = len(left) + 1
    total = 0.0
    for start in range(0, len(left), BLOCK):
        a = left[start : start + BLOCK].astype(np.float64) - middle
        b = a if right is left else right[start : start + BLOCK].astype(np.float64) - middle
        total += float(a @ b)
    return total / 4


def _reduce(side: Ranks, missing: IntArray, skip: NDArray[np.bool_]) -> Ranks:
    """Ranks among the pairs that are not skipped; no sorting."""
    if not len(missing):
        return side
    n_pairs, none = len(side.codes) - len(missing), np.empty(0, np.int64)
    if len(missing) == len(side.missing):
        return Ranks(side.codes[~skip], side.square, none, side.n_cond)
    gone = side.codes[missing]
    codes = np.empty(n_pairs, dtype=np.int32)
    below = np.zeros(int(side.codes.max()) + 1, dtype=np.int32)
    _without(side.codes, gone[gone > 0], skip, below, codes)
    return Ranks(codes, _sum_of_products(codes, codes), none, side.n_cond)


def _each(
    score: Callable[[Ranks, Ranks], float],
) -> Callable[[Ranks, Sequence[Ranks]], FloatArray]:
    """Compare one RDM with several over the pairs both have; NaN where either is constant."""

    def compare(brain: Ranks, models: Sequence[Ranks]) -> FloatArray:
        scores = np.full(len(models), np.nan)
        for missing, members in group_by_missing(brain, models):
            skip = np.zeros(len(brain.codes), dtype=bool)
            skip[missing] = True
            left = _reduce(brain, missing, skip)
            for k in members:
                right = _reduce(models[k], missing, skip)
                if left.square > 0 and right.square > 0:
                    scores[k] = score(left, right)
        return scores

    return compare


def _spearman(left: Ranks, right: Ranks) -> float:
    r = _sum_of_products(left.codes, right.codes) / sqrt(left.square * right.square)
    return min(1.0, max(-1.0, r))


def _rho_a(left: Ranks, right: Ranks) -> float:
    n = float(len(left.codes))
    return 12 * _sum_of_products(left.codes, right.codes) / (n**3 - n)


def _concordance(left: Ranks, right: Ranks) -> tuple[int, int]:
    """Concordant minus discordant pairs of entries, and all pairs, by Knight's method."""
    n = len(left.codes)
    total = n * (n - 1) // 2
    sequence, both_tied = np.empty(n, dtype=np.int32), 0
    if right.ties:
        both_tied = int(_order_by_right_then_left(left.codes, right.codes, sequence))
    else:
        _order_by_right(left.codes, right.codes, sequence)
    discordant = int(inversions(sequence, np.empty_like(sequence)))
    return total - left.ties - right.ties + both_tied - 2 * discordant, total


def _tau_a(left: Ranks, right: Ranks) -> float:
    difference, total = _concordance(left, right)
    return difference / total


def _tau_b(left: Ranks, right: Ranks) -> float:
    difference, total = _concordance(left, right)
    # As scipy does it: two square roots, so that the product cannot overflow.
    tau = difference / sqrt(total - left.ties) / sqrt(total - right.ties)
    return min(1.0, max(-1.0, tau))


@compiled
def _order_by_right(left: Codes, right: Codes, out: Codes) -> None:
    """Put `left` in the order of `right`, which has no ties."""
    for i in range(left.shape[0]):
        out[right[i] // 2 - 1] = left[i]


@compiled
def _order_by_right_then_left(left: Codes, right: Codes, out: Codes) -> int:
    """Put `left` in the order of `right`, ties by `left`; return pairs tied in both."""
    n = left.shape[0]
    by_left = _counting_order(left, np.arange(n).astype(np.uint32))
    order = _counting_order(right, by_left)
    tied = 0
    alike = 0
    for k in range(n):
        out[k] = left[order[k]]
        if k > 0 and out[k] == out[k - 1] and right[order[k]] == right[order[k - 1]]:
            alike += 1
            tied += alike
        else:
            alike = 0
    return tied


@compiled
def _counting_order(codes: Codes, indices: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Stable order of `indices` by their codes."""
    starts = np.zeros(codes.max() + 2, dtype=np.uint32)
    for code in codes:
        starts[code + 1] += 1
    for k in range(1, starts.shape[0]):
        starts[k] += starts[k - 1]
    order = np.empty_like(indices)
    for index in indices:
        order[starts[codes[index]]] = index
        starts[codes[index]] += 1
    return order


compare_spearman = _each(_spearman)
compare_rho_a = _each(_rho_a)
compare_tau_a = _each(_tau_a)
compare_tau_b = _each(_tau_b)
