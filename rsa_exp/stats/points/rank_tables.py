"""All dissimilarities of an RDM given by points, in order, from passes over tiles of the RDM.

Each pass forms the dissimilarities anew, tile by tile, with the same bits each time.

1. A dissimilarity becomes an integer of the same order, its code: the leading part is a bucket, the
   rest its place there. Buckets are laid by the dissimilarities among some of the images, so that
   each receives about as many pairs. The first pass counts the pairs of each bucket.
2. The second pass puts the rest of each code into its bucket; then each bucket is sorted. This is
   the RDM's table: 2 bytes a pair and 8 a bucket of 32 pairs.
3. Any later pass finds each pair's midrank in the table.

Dissimilarities with equal codes count as tied, and equal dissimilarities always have equal codes.
Different ones share a code only if they differ by less than 2^-34 of the range that the points'
lengths allow, and by far less where many pairs lie: there are 2048 codes for each pair, and 2^27
where the table has 4 bytes a pair, as it has up to 16,384 images. With 2048, a score
changed by 1e-13 at 12,000 images, and the change falls with more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, fsum, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import FloatArray, IntArray, count_pairs
from rsa_exp.stats.parallel import in_order, n_workers, one_blas_thread
from rsa_exp.stats.points.points import Points

__all__ = ["RankTable", "Tile", "table_bytes", "tiles", "work_bytes"]

# Images on each side of a tile.
_TILE = 1024
# Images of which the dissimilarities say where buckets are needed.
_SAMPLE = 2048
# Equal parts of the range, each with as many codes as it has pairs in the sample, or a few.
_PARTS = 1 << 14
# Pairs in a bucket: few, so that a pair is found in one or two cache lines.
_BUCKET = 32
_LEAST_BUCKETS = 1 << 16
# A bucket with more pairs than this (many are tied) is searched by halves.
_CROWDED = 128
# Up to so many pairs, tables have 4 bytes a pair.
_WIDE_PAIRS = 1 << 27
# Buckets that are sorted by one worker at a time.
_CHUNK = 1 << 16

Codes = IntArray
Tile = tuple[int, int]
"""First row and first column of a tile."""


@compiled
def _encode(
    values: FloatArray, low: float, scale: float, first: Codes, width: FloatArray, codes: Codes
) -> None:
    """Code of each value: the first one of its part of the range, and how far it lies in it."""
    for k in range(values.shape[0]):
        place = (values[k] - low) * scale
        part = min(max(int(place), 0), first.shape[0] - 1)
        within = int((place - part) * width[part])
        codes[k] = first[part] + min(max(within, 0), int(width[part]) - 1)


@compiled
def _count(codes: Codes, bits: int, ends: IntArray) -> None:
    """Count each bucket's pairs, two places above the bucket."""
    for code in codes:
        ends[(code >> bits) + 2] += 1


@compiled
def _place(codes: Codes, bits: int, ends: IntArray, rests: NDArray[Any]) -> bool:
    """Put the rests of codes into their buckets; False if there is no room.

    Bucket `b` starts at ``ends[b + 1]``, which moves on and becomes its end.
    """
    mask = (1 << bits) - 1
    for code in codes:
        k = ends[(code >> bits) + 1]
        if k >= rests.shape[0]:
            return False
        rests[k] = code & mask
        ends[(code >> bits) + 1] = k + 1
    return True


@compiled
def _position(rests: NDArray[Any], begin: int, end: int, rest: int) -> int:
    """First place from `begin` on where `rest` or more stands; `end` if there is none."""
    while begin < end:
        middle = (begin + end) >> 1
        if rests[middle] < rest:
            begin = middle + 1
        else:
            end = middle
    return begin


@compiled
def _sort(ends: IntArray, rests: NDArray[Any], first: int, sums: FloatArray) -> None:
    """Sort buckets from `first` on; sum of squares of twice the centred midranks in each."""
    for bucket in range(sums.shape[0]):
        begin, end = ends[first + bucket], ends[first + bucket + 1]
        if end - begin > _CROWDED:
            rests[begin:end].sort()
        else:
            for k in range(begin + 1, end):
                rest = rests[k]
                place = k
                while place > begin and rests[np.uint64(place - 1)] > rest:
                    rests[place] = rests[np.uint64(place - 1)]
                    place -= 1
                rests[place] = rest
        total = 0.0
        while begin < end:
            stop = begin + 1
            while stop < end and rests[stop] == rests[begin]:
                stop += 1
            centred = float(begin + stop - rests.shape[0])
            total += (stop - begin) * centred * centred
            begin = stop
        sums[bucket] = total


@compiled
def _find(
    codes: Codes, bits: int, ends: IntArray, rests: NDArray[Any], centred: FloatArray
) -> None:
    """Twice the centred midrank of each code: how many lie below it less how many lie above.

    Of an unsigned index numba does not ask whether it counts from the end: a fifth of the time.
    """
    mask = (1 << bits) - 1
    for k in range(codes.shape[0]):
        bucket, rest = codes[k] >> bits, codes[k] & mask
        begin, end = ends[np.uint64(bucket)], ends[np.uint64(bucket + 1)]
        if end - begin > _CROWDED:
            left = _position(rests, begin, end, rest)
            right = _position(rests, left, end, rest + 1)
        else:
            left = begin + (((end - begin) * rest) >> bits)
            while left > begin and rests[np.uint64(left - 1)] >= rest:
                left -= 1
            while left < end and rests[np.uint64(left)] < rest:
                left += 1
            right = left
            while right < end and rests[np.uint64(right)] == rest:
                right += 1
        centred[k] = left + right - rests.shape[0]


class _Coder:
    """Codes of the dissimilarities of points, tile by tile."""

    def __init__(self, points: Points) -> None:
        n_cond = points.n_cond
        self._points = points
        self.n_dim = points.n_dim
        blocks = [(first, min(first + _TILE, n_cond)) for first in range(0, n_cond, _TILE)]
        self._squares = np.empty(n_cond)
        lengths = np.empty(n_cond)
        with np.errstate(over="ignore", invalid="ignore"):
            total = sum(points.read(*block).sum(axis=0, dtype=np.float64) for block in blocks)
            self._mean: FloatArray = total / n_cond
            for first, stop in blocks:
                left = self._read(first, stop)
                self._squares[first:stop] = np.einsum("ij,ij->i", left, self._signed(left))
                lengths[first:stop] = np.einsum("ij,ij->i", left, left)
            longest = float(lengths.max())
            if not isfinite(8 * longest):
                raise InputError("points of an RDM are not finite, or too large: change their unit")
        n_pairs = count_pairs(n_cond)
        self.bits = _bits(n_pairs)
        self.n_buckets = _n_buckets(n_pairs)
        self._low = 0.0 if points.signs is None else -4 * longest
        span = 4 * longest - self._low
        self._scale = min(_PARTS / span, 1e300) if span > 0 else 0.0
        self._lay_codes()

    def _lay_codes(self) -> None:
        """Give each part of the range its codes."""
        chosen = list(range(0, self._points.n_cond, ceil(self._points.n_cond / _SAMPLE)))
        sample = np.concatenate([self._read(k, k + 1) for k in chosen])
        values = _above_diagonal(self._between(sample, chosen, sample, chosen))
        parts = ((values - self._low) * self._scale).astype(np.int64)
        counts = np.bincount(np.clip(parts, 0, _PARTS - 1), minlength=_PARTS)
        shares = np.cumsum(counts + max(len(values), 1) / (8 * _PARTS))
        ends = np.floor(shares / shares[-1] * (self.n_buckets << self.bits))
        self._width = np.diff(ends, prepend=0)
        self._first = (ends - self._width).astype(np.int64)

    def _signed(self, values: FloatArray) -> FloatArray:
        return values if self._points.signs is None else values * self._points.signs

    def _read(self, start: int, stop: int) -> FloatArray:
        return self._points.read(start, stop).astype(np.float64) - self._mean

    def _between(self, left: FloatArray, rows: Any, right: FloatArray, columns: Any) -> FloatArray:
        """Dissimilarities as `condensed_rdm` forms them."""
        block: FloatArray = left @ self._signed(right).T
        block *= -2
        block += self._squares[rows, None]
        block += self._squares[columns]
        if self._points.signs is None:
            np.maximum(block, 0, out=block)
        return block

    def codes(self, tile: Tile) -> Codes:
        """Codes of a tile's pairs, given its first row and its first column."""
        rows, columns = (slice(first, min(first + _TILE, len(self._squares))) for first in tile)
        left = self._read(rows.start, rows.stop)
        right = left if rows == columns else self._read(columns.start, columns.stop)
        block = self._between(left, rows, right, columns)
        values = _above_diagonal(block) if rows == columns else block.ravel()
        codes = np.empty(len(values), dtype=np.int64)
        _encode(values, self._low, self._scale, self._first, self._width, codes)
        return codes


def table_bytes(n_pairs: int) -> int:
    """Bytes of a table."""
    return n_pairs * _bits(n_pairs) // 8 + 8 * (_n_buckets(n_pairs) + 2)


def work_bytes() -> int:
    """Bytes of the tiles that are in work at the same time, nearly."""
    return 40 * (n_workers() + 2) * _TILE**2


@dataclass(frozen=True)
class RankTable:
    """All codes of an RDM in order.

    Attributes
    ----------
    coder : _Coder
        What gives the codes.
    ends : ndarray of int, shape (n_buckets + 2,)
        Bucket `b` is ``rests[ends[b]:ends[b + 1]]``.
    rests : ndarray of uint16 or uint32, shape (n_pairs,)
        The lower bits of the codes, in each bucket in order.
    square : float
        Sum of squares of twice the centred midranks; 0 marks a constant RDM.
    """

    coder: _Coder
    ends: IntArray
    rests: NDArray[Any]
    square: float

    @classmethod
    def of(cls, points: Points, advance: Callable[[int], None]) -> RankTable:
        """Make the table in two passes; `advance` is called with the dimensions after each tile."""
        with one_blas_thread():
            coder = _Coder(points)
        ends = np.zeros(coder.n_buckets + 2, dtype=np.int64)
        for codes in in_order(coder.codes, tiles(points.n_cond)):
            _count(codes, coder.bits, ends)
            advance(points.n_dim)
        np.cumsum(ends, out=ends)
        rests = np.empty(count_pairs(points.n_cond), dtype=f"u{coder.bits // 8}")
        for codes in in_order(coder.codes, tiles(points.n_cond)):
            if not _place(codes, coder.bits, ends, rests):
                raise InputError("the points of an RDM changed while they were read: start again")
            advance(points.n_dim)

        def sort(first: int) -> float:
            sums = np.empty(min(_CHUNK, coder.n_buckets - first))
            _sort(ends, rests, first, sums)
            return float(sums.sum())

        square = fsum(in_order(sort, range(0, coder.n_buckets, _CHUNK)))
        return cls(coder, ends, rests, square)

    def find(self, tile: Tile) -> FloatArray:
        """Twice the centred midranks of a tile's pairs."""
        codes = self.coder.codes(tile)
        centred = np.empty(len(codes))
        _find(codes, self.coder.bits, self.ends, self.rests, centred)
        return centred


def _above_diagonal(block: FloatArray) -> FloatArray:
    values: FloatArray = block[np.triu_indices(len(block), 1)]
    return values


def _bits(n_pairs: int) -> int:
    return 32 if n_pairs <= _WIDE_PAIRS else 16


def _n_buckets(n_pairs: int) -> int:
    return max(n_pairs // _BUCKET, _LEAST_BUCKETS)


def tiles(n_cond: int) -> Iterator[Tile]:
    """First row and first column of each tile on or above the diagonal."""
    starts = range(0, n_cond, _TILE)
    return ((row, column) for row in starts for column in starts if row <= column)
