"""Random draws of images and subjects, each purpose with a random stream of its own.

A stream depends on the seed, the purpose and the number of images or subjects alone. So ROIs,
layers, subjects and metrics share their draws, within a run and across the runs of a sweep, and
every difference between them is paired.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from rsa_exp.stats.condensed import Counts, IntArray

__all__ = ["Permutations", "bootstrap_counts", "halves"]

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


@dataclass(frozen=True)
class Permutations:
    """Random permutations of images, each a combination of one of R row and one of C column ones.

    A pair of RDMs is scored under R x C permutations by permuting one R times, the other C times,
    and multiplying all with all: permuting costs about the root of what it does one by one, and
    what is left is one large matrix product.

    Nothing is lost by that. Any two of these permutations are independent (given the row, both are
    uniform), so the variance of a p value is that of independent ones. And the test is exact: if
    the labels of the images mean nothing, the R x C scores are exchangeable in rows and in columns,
    so the unpermuted one, which is in the first row and column, has each rank among them with
    the same probability (Hemerik & Goeman 2018, TEST 27:811, on random subsets of permutations).
    The same holds among a random subset, which is drawn where R x C is more than what is asked for.

    Attributes
    ----------
    rows : ndarray of int, shape (n_row, n_cond)
        The first is the identity.
    columns : ndarray of int, shape (n_column, n_cond)
        The first is the identity.
    chosen : ndarray of int, shape (1 + n_draw,)
        Which combinations to use, as ``row * n_column + column``, ascending; the first is 0, the
        identity.
    """

    rows: IntArray
    columns: IntArray
    chosen: IntArray

    @classmethod
    def draw(cls, seed: int, size: int, n_draw: int) -> Permutations:
        """Draw permutations of `size` images; the identity is one more."""
        rng = _generator(seed, "permutation", size)
        n_row = ceil(sqrt(1 + n_draw))
        n_column = -(-(1 + n_draw) // n_row)
        identity = np.arange(size)
        rows, columns = (
            np.stack([identity, *(rng.permutation(size) for _ in range(count - 1))])
            for count in (n_row, n_column)
        )
        others = 1 + rng.choice(n_row * n_column - 1, n_draw, replace=False)
        return cls(rows, columns, np.concatenate([[0], np.sort(others)]))

    def orders(self) -> IntArray:
        """One permutation for each combination in use, of shape (1 + n_draw, n_cond).

        Permuting a model by it gives the same score as permuting the brain RDM by the row and the
        model by the column.
        """
        row, column = np.divmod(self.chosen, len(self.columns))
        orders = np.empty((len(row), self.rows.shape[1]), dtype=np.int64)
        np.put_along_axis(orders, self.rows[row], self.columns[column], axis=1)
        return orders
