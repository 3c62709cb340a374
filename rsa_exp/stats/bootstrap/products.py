"""Which products of RDMs have to be summed, with masks where pairs are missing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from rsa_exp.stats.bootstrap.pair_sums import Factors
from rsa_exp.stats.condensed import IntArray
from rsa_exp.stats.missing_pairs import union

__all__ = ["MaskedProducts", "Products"]


class Products:
    """A list of products of factors, each once; the first is the empty product, which is 1.

    Attributes
    ----------
    named : list of tuple of int
        The factors of each product, ascending.
    """

    def __init__(self, named: Sequence[tuple[int, ...]] = ((),)) -> None:
        self.named = list(named)
        self._indices = {product: index for index, product in enumerate(self.named)}

    def copy(self) -> Products:
        """Return a list of the same products that can grow by itself."""
        return Products(self.named)

    def index(self, *factors: int) -> int:
        """Return the index of a product, which is appended if it is new."""
        product = tuple(sorted(factors))
        if product not in self._indices:
            self._indices[product] = len(self.named)
            self.named.append(product)
        return self._indices[product]


class MaskedProducts:
    """Products whose sums are over the pairs that two RDMs have in common.

    A mask, 1 where both RDMs have the pair and 0 elsewhere, is one factor more, behind the RDMs.

    Parameters
    ----------
    missing : sequence of ndarray of int
        Missing pairs of each RDM, which is 0 there.
    products : Products
        Products are appended to it as they are needed.
    """

    def __init__(self, missing: Sequence[IntArray], products: Products) -> None:
        self._missing, self._products = missing, products
        self._masked: dict[bytes, IntArray] = {}

    def cell(self, left: int, right: int, missing: IntArray | None = None) -> list[int]:
        """Return the indices of the sums of 1, x, y, xx, yy, xy over the pairs not in `missing`.

        By default `missing` are the pairs that either RDM lacks; they must include these.
        """
        if missing is None:
            missing = union(self._missing[left], self._missing[right])
        names = [(), (left,), (right,), (left, left), (right, right), (left, right)]
        return [self._index(name, missing) for name in names]

    def _index(self, name: tuple[int, ...], missing: IntArray) -> int:
        # An RDM is 0 at its own missing pairs: a mask is needed only for others.
        known = reduce(union, (self._missing[factor] for factor in name), missing[:0])
        if len(known) == len(missing):
            return self._products.index(*name)
        self._masked.setdefault(missing.tobytes(), missing)
        mask = list(self._masked).index(missing.tobytes())
        return self._products.index(*name, len(self._missing) + mask)

    def extend(self, factors: Factors) -> Factors:
        """Append the masks to the RDMs, an array of shape (n_factor, n_pairs)."""
        if not self._masked:
            return factors
        masks = np.ones((len(self._masked), factors.shape[1]), dtype=factors.dtype)
        for mask, missing in zip(masks, self._masked.values(), strict=True):
            mask[missing] = 0
        return np.concatenate([factors[: len(self._missing)], masks])
