"""Random draws of images and subjects, each purpose with a random stream of its own.

A stream depends on the seed, the purpose and the number of images or subjects alone. So ROIs,
layers, subjects and metrics share their draws, within a run and across the runs of a sweep, and
every difference between them is paired.
"""

from __future__ import annotations

import numpy as np

from rsa_exp.stats.condensed import Counts, IntArray

__all__ = ["bootstrap_counts", "halves", "permutations"]

# A purpose's position is part of its stream's key: the order must not change.
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
        Number of images or subjects, and of draws.

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
    """Random permutations of the images.

    Returns
    -------
    ndarray of int, shape (n_draw, size)
        Each row is a permutation of 0 to size - 1.
    """
    rng = _generator(seed, "permutation", size)
    return np.array([rng.permutation(size) for _ in range(n_draw)], dtype=np.int64).reshape(
        n_draw, size
    )
