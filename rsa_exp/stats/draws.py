"""Random draws, each from a stream of its own.

A stream depends on the seed, on what is drawn and on how many there are to draw from, so that ROIs,
layers, subjects and metrics share their draws, within a run and across the runs of a sweep, and
every difference between them is a paired one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsa_exp.stats.condensed import IntArray

__all__ = ["bootstrap_counts", "halves", "permutations"]

Counts = NDArray[np.uint8]

_PURPOSES = ("images", "subjects", "halves", "permutation")


def _generator(seed: int, purpose: str, size: int) -> np.random.Generator:
    key = (_PURPOSES.index(purpose), size)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def bootstrap_counts(seed: int, purpose: str, size: int, n_draw: int) -> Counts:
    """How often each of `size` images (or subjects) is in each bootstrap draw.

    Parameters
    ----------
    seed : int
        The run's.
    purpose : {'images', 'subjects'}
        What is drawn.
    size, n_draw : int
        How many there are, and how many draws to make.

    Returns
    -------
    ndarray of uint8, shape (size, n_draw)
        Columns sum to `size`.
    """
    rng = _generator(seed, purpose, size)
    counts = np.empty((size, n_draw), dtype=np.uint8)
    for draw in range(n_draw):
        counts[:, draw] = np.bincount(rng.integers(0, size, size), minlength=size)
    return counts


def halves(seed: int, size: int, n_split: int) -> Counts:
    """Split images into two random halves, many times.

    Returns
    -------
    ndarray of uint8, shape (size, 2 * n_split)
        1 for images in a half: of the first halves, then of the second ones. Where `size` is odd
        the first half is one smaller.
    """
    rng = _generator(seed, "halves", size)
    first = np.zeros((size, n_split), dtype=np.uint8)
    for split in range(n_split):
        first[rng.permutation(size)[: size // 2], split] = 1
    return np.concatenate([first, 1 - first], axis=1)


def permutations(seed: int, size: int, n_draw: int) -> IntArray:
    """Permutations of the images.

    Returns
    -------
    ndarray of int, shape (n_draw, size)
        Each row the images in another order.
    """
    rng = _generator(seed, "permutation", size)
    return np.array([rng.permutation(size) for _ in range(n_draw)], dtype=np.int64).reshape(
        n_draw, size
    )
