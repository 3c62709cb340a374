"""Inner products of long vectors, the same to the last bit for any number of threads."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from rsa_exp.stats.condensed import FloatArray

__all__ = ["inner_products", "n_workers"]

# Entries of each vector per block: the unit of work and of summation. Part of the result's last
# bits, hence a constant and not a setting.
BLOCK = 1 << 17


def n_workers() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def inner_products(left: FloatArray, right: FloatArray) -> FloatArray:
    """All inner products between the rows of two arrays.

    BLAS sums in an order that depends on its thread count and on the block it is given. Here each
    block has a fixed size and one BLAS thread; blocks run in parallel and are added in order.

    Parameters
    ----------
    left : ndarray of shape (n_left, n_pairs)
        Rows without NaN.
    right : ndarray of shape (n_right, n_pairs)
        Rows without NaN.

    Returns
    -------
    ndarray of shape (n_left, n_right)
        ``left @ right.T``.
    """

    def block(start: int) -> FloatArray:
        return left[:, start : start + BLOCK] @ right[:, start : start + BLOCK].T

    starts = range(0, left.shape[1], BLOCK)
    total = np.zeros((len(left), len(right)))
    with threadpool_limits(limits=1, user_api="blas"):
        if len(starts) == 1:
            return block(0)
        with ThreadPoolExecutor(n_workers()) as pool:
            for part in pool.map(block, starts):
                total += part
    return total
