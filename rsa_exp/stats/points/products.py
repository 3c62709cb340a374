"""Products of tall matrices, from panels (`rsa_exp.stats.panels`) that stay in the cache.

Half as fast again as the BLAS that numpy brings where that does not know the processor, and with
the same bits on every processor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.compiled import compiled
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.panels import DEPTH, ROWS, columns_of, multiply

__all__ = ["columns_beside", "multiply_panels", "right_panels"]

# Left panels that stay in the cache while they meet all right ones.
_GROUP = 20


@compiled
def _lay(values: NDArray[Any], panels: NDArray[Any]) -> None:
    width = panels.shape[2]
    for p in range(panels.shape[0]):
        panel, first = panels[p], p * width
        for k in range(values.shape[0]):
            for lane in range(min(width, values.shape[1] - first)):
                panel[k, lane] = values[k, first + lane]


def columns_beside(values: NDArray[Any], width: int) -> NDArray[Any]:
    """Lay the columns of a contiguous matrix side by side.

    Returns
    -------
    ndarray of shape (n_panel, n_row, width)
        Behind the last column are zeros.
    """
    shape = -(-values.shape[1] // width), len(values), width
    panels = np.zeros(shape, dtype=values.dtype)
    _lay(values, panels)
    return panels


def right_panels(values: NDArray[Any], dtype: type) -> NDArray[Any]:
    """Lay a matrix's columns side by side in a type, as right panels."""
    return columns_beside(np.ascontiguousarray(values, dtype=dtype), columns_of(dtype))


@compiled
def _add(left: NDArray[Any], first: int, right: NDArray[Any], out: FloatArray) -> None:
    length, width = right.shape[1], right.shape[2]
    part = np.empty((ROWS, width), dtype=left.dtype)
    for start in range(0, length, DEPTH):
        stop = min(start + DEPTH, length)
        for group in range(0, left.shape[0], _GROUP):
            for q in range(right.shape[0]):
                panel = right[q]
                for p in range(group, min(group + _GROUP, left.shape[0])):
                    rows = left[p]
                    multiply(rows[first + start : first + stop], panel[start:stop], part)
                    for r in range(ROWS):
                        for c in range(width):
                            out[p * ROWS + r, q * width + c] += part[r, c]


def multiply_panels(left: NDArray[Any], right: NDArray[Any], first: int = 0) -> FloatArray:
    """Multiply all left panels with all right ones.

    Parameters
    ----------
    left : ndarray of shape (n_left, length, ROWS)
        From `columns_beside`, or `rsa_exp.stats.panels.pack`.
    right : ndarray of shape (n_right, n, width)
        From `right_panels`; n is at most ``length - first``.
    first : int
        Where in the left panels the numbers begin that meet those of the right ones.

    Returns
    -------
    ndarray of shape (n_left * ROWS, n_right * width)
        Sums of 512 products at most are in the panels' type, and added in double precision.
    """
    out = np.zeros((len(left) * ROWS, len(right) * right.shape[2]))
    _add(left, first, right, out)
    return out
