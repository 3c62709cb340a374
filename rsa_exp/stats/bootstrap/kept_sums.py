"""Sums over pairs that stay on disk, found again by the content of what was summed.

Subjects of a study are compared with the same layers in the same draws, and pooled into the same
noise ceilings: most sums of one subject's analysis are those of the next one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash

from rsa_exp.errors import InputError
from rsa_exp.files import whole_file
from rsa_exp.stats.bootstrap.pair_sums import Columns, Factors, PairSums, pair_sums
from rsa_exp.stats.condensed import FloatArray

__all__ = ["KeptSums"]

# Below so many multiplications a sum is computed as fast as it is written and read.
_WORTH_KEEPING = 2_000_000_000


class KeptSums:
    """Sums over pairs under one set of weightings, kept in a folder if one is given.

    A sum has the same bits whether it is found or computed (see `pair_sums`), so that any number of
    processes may share a folder. What cannot be read is computed again; what cannot be written is
    not kept.

    Parameters
    ----------
    columns : Columns
        The weightings of the images.
    folder : Path or None
        Where sums are, one file each: 8 bytes for each image and each column. Of studies so small
        that this would save no time, none are kept.
    """

    def __init__(self, columns: Columns, folder: Path | None) -> None:
        n_cond, n_column = columns.deviation.shape
        is_worth_it = n_cond**2 * n_column > _WORTH_KEEPING
        self._columns, self._folder = columns, folder if is_worth_it else None
        self._digest = b""
        if self._folder is not None:
            state = xxhash.xxh3_128(columns.deviation.data)
            state.update(columns.centre.data)
            self._digest = state.digest()

    def digests(self, factors: Factors) -> list[bytes]:
        """Return what identifies each factor; nothing is computed where no sum is kept."""
        return [xxhash.xxh3_128_digest(f.data) if self._folder else b"" for f in factors]

    def pair_sums(
        self, factors: Factors, digests: Sequence[bytes], products: Sequence[tuple[int, ...]]
    ) -> PairSums:
        """Return what `pair_sums` does; `digests` are those of the factors."""
        names = [self._name([digests[factor] for factor in product]) for product in products]
        found = {index: sums for index, name in enumerate(names) if (sums := self._read(name))}
        missing = [index for index in range(len(products)) if index not in found]
        if missing:
            new = pair_sums(factors, [products[index] for index in missing], self._columns)
            for row, index in enumerate(missing):
                found[index] = PairSums(*(part[row : row + 1] for part in vars(new).values()))
                self._write(names[index], found[index])
        return PairSums.stack([found[index] for index in range(len(products))])

    def _name(self, factors: Sequence[bytes]) -> str:
        return xxhash.xxh3_128_hexdigest(b"".join([self._digest, *sorted(factors)]))

    def _read(self, name: str) -> PairSums | None:
        if self._folder is None:
            return None
        try:
            sums: FloatArray = np.load(self._folder / f"{name}.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        n_cond, n_column = self._columns.deviation.shape
        if sums.shape != (1 + n_cond + n_column,) or sums.dtype != np.float64:
            return None
        return PairSums(sums[:1], sums[None, 1 : 1 + n_cond], sums[None, 1 + n_cond :])

    def _write(self, name: str, sums: PairSums) -> None:
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self._folder / f"{name}.npy") as part, part.open("wb") as stream:
                np.save(stream, np.concatenate([values.ravel() for values in vars(sums).values()]))
        except (OSError, InputError):
            return
