"""RDMs of several sources, over the images that were matched."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from rsa_exp.errors import InputError
from rsa_exp.rdms.alignment import Alignment
from rsa_exp.rdms.pair_gather import PairGather
from rsa_exp.rdms.readers import RdmSource
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.points.points import Points

__all__ = ["AlignedSources"]


class AlignedSources:
    """Sources whose RDMs come out over the same images; several threads may read at once.

    Parameters
    ----------
    sources : sequence of RdmSource
        Open.
    alignment : Alignment
        Of these sources, in this order.
    """

    def __init__(self, sources: Sequence[RdmSource], alignment: Alignment) -> None:
        self._sources, self._positions = sources, alignment.positions
        self._gathers: dict[bytes, PairGather] = {}
        self._lock = threading.Lock()

    def rdm(self, index: int, row: int) -> FloatArray:
        """Return a row of a source, in memory of its own; an `InputError` if it is not finite."""
        source = self._sources[index]
        values = source.rdm(row, self._positions[index], lambda: self._gather_of(index))
        if np.isinf(values).any():
            raise InputError(
                f"{source.name}: {source.row_kind} '{source.row_names[row]}' has infinite "
                "dissimilarities; mark missing pairs with NaN"
            )
        return values

    def points(self, index: int, row: int) -> Points | None:
        """Return the points whose squared distances are a row of a source, if it has them."""
        return self._sources[index].points(row, self._positions[index])

    def _gather_of(self, index: int) -> PairGather:
        """Return the gather for a source's order of images; sources of one order share it."""
        positions, n_cond = self._positions[index], len(self._sources[index].images)
        key = positions.tobytes() + n_cond.to_bytes(8, "little")
        with self._lock:
            if key not in self._gathers:
                self._gathers[key] = PairGather(positions, n_cond)
            return self._gathers[key]
