"""Counting the pairs of a sequence that stand in the wrong order, in O(n log n)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.compiled import compiled

__all__ = ["inversions"]

Codes = NDArray[np.int32]

_RUN = 16
_CHUNK = 1 << 16


@compiled
def _sort_runs(source: Codes, target: Codes) -> int:
    """Sort runs of 16 by counting, without a branch; return the inversions within them."""
    n = source.shape[0]
    whole = n - n % _RUN
    inversions = 0
    for start in range(0, whole, _RUN):
        for i in range(_RUN):
            value = source[start + i]
            index = 0
            for j in range(_RUN):
                index += source[start + j] < value
            greater = 0
            for j in range(i):
                index += source[start + j] == value
                greater += source[start + j] > value
            inversions += greater
            target[start + index] = value
    for i in range(whole, n):
        value = source[i]
        j = i - 1
        while j >= whole and target[j] > value:
            target[j + 1] = target[j]
            j -= 1
        target[j + 1] = value
        inversions += i - 1 - j
    return inversions


@compiled
def _merge_even(source: Codes, target: Codes, start: int, width: int) -> int:
    """Merge two runs of one width from both ends at once; return the inversions between them.

    Neither end can run out of a run before the two meet, so there is nothing to check and nothing
    to predict; two independent chains keep the processor busy.
    """
    middle = start + width
    left, right, low = start, middle, start
    last_left, last_right, high = middle - 1, middle + width - 1, middle + width - 1
    inversions = 0
    for _ in range(width):
        a, b = source[left], source[right]
        take_right = int(b < a)
        target[low] = min(a, b)
        inversions += take_right * (middle - left)
        right += take_right
        left += 1 - take_right
        low += 1
        a, b = source[last_left], source[last_right]
        take_left = int(a > b)
        target[high] = max(a, b)
        inversions += (1 - take_left) * (middle - 1 - last_left)
        last_left -= take_left
        last_right -= 1 - take_left
        high -= 1
    return inversions


@compiled
def _merge_rest(source: Codes, target: Codes, start: int, middle: int, stop: int) -> int:
    """Merge two runs of any widths; return the inversions between them."""
    left, right = start, middle
    inversions = 0
    for k in range(start, stop):
        if right >= stop or (left < middle and source[left] <= source[right]):
            target[k] = source[left]
            left += 1
        else:
            target[k] = source[right]
            right += 1
            inversions += middle - left
    return inversions


@compiled
def _merge_level(source: Codes, target: Codes, start: int, stop: int, width: int) -> int:
    """Merge neighbouring runs between `start` and `stop`; return the inversions between them."""
    inversions = 0
    for first in range(start, stop, 2 * width):
        if first + 2 * width <= stop:
            inversions += _merge_even(source, target, first, width)
        else:
            middle = min(first + width, stop)
            inversions += _merge_rest(source, target, first, middle, stop)
    return inversions


@compiled
def inversions(sequence: Codes, spare: Codes) -> int:
    """Pairs in the wrong order, strictly: a bottom-up merge sort, cache-sized chunks first.

    Both arrays are overwritten.
    """
    n = sequence.shape[0]
    inversions = _sort_runs(sequence, spare)
    # 12 levels take runs of 16 to chunks of 65536, so that each chunk ends where it began.
    for start in range(0, n, _CHUNK):
        source, target = spare, sequence
        width = _RUN
        while width < _CHUNK:
            inversions += _merge_level(source, target, start, min(start + _CHUNK, n), width)
            source, target = target, source
            width *= 2
    source, target = spare, sequence
    width = _CHUNK
    while width < n:
        inversions += _merge_level(source, target, 0, n, width)
        source, target = target, source
        width *= 2
    return inversions
