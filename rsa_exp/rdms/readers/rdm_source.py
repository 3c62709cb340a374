"""A source of RDMs, whatever its format."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.source import LabelledSource
from rsa_exp.stats.condensed import FloatArray, count_pairs

if TYPE_CHECKING:
    from rsa_exp.rdms.pair_gather import PairGather
    from rsa_exp.stats.points.points import Points

__all__ = ["RdmSource", "Said"]


class Said(NamedTuple):
    """Something to be told of the patterns of an ROI or a layer: where, and what."""

    where: str
    text: str


class RdmSource(LabelledSource):
    """RDMs (rows) with names, over labelled images.

    A reader of a format finds the labels, calls `_set_labels`, and returns rows by `_fetch`.
    """

    is_made = False
    """Whether RDMs are made of patterns, and not read as such."""
    measure = ""
    """The dissimilarity of RDMs that are made of patterns."""

    @property
    def n_cond(self) -> int:
        """Number of images."""
        return len(self.images)

    @abstractmethod
    def _fetch(self, row: int) -> FloatArray:
        """Return a row, shape (n_pairs,), contiguous."""

    def read_row(self, row: int) -> FloatArray:
        """Read one RDM in the source's order of images.

        May be called from several threads.

        Parameters
        ----------
        row : int
            Row number.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Dissimilarities in float64; NaN marks a missing pair. Not to be written to, and perhaps
            this thread's buffer, whose values last until the thread reads its next row.

        Raises
        ------
        InputError
            If the row cannot be read (a truncated file).
        """
        values = self._fetch(row)
        self._digests[row] = xxhash.xxh3_128_hexdigest(values.data)
        return values

    def read_for_digests(self, keys: Iterable[str]) -> None:
        """Read rows for their digests alone; keys as of `row_digests`, others are left out."""
        for row in map(self.row_of_key, keys):
            if row is not None:
                self._read_for_digest(row)

    def _read_for_digest(self, row: int) -> None:
        self.read_row(row)

    def rdm(
        self,
        row: int,
        positions: NDArray[np.intp],  # noqa: ARG002  # patterns need them
        gather: Callable[[], PairGather],
    ) -> FloatArray:
        """Return one RDM of chosen images, in their order and memory of its own.

        Parameters
        ----------
        row : int
            Row number.
        positions : ndarray of int, shape (n_chosen,)
            Indices of the images.
        gather : callable
            Returns what takes their pairs from a row.
        """
        return gather()(self.read_row(row))

    def whole_rdm(self, row: int, images: NDArray[np.intp]) -> FloatArray:  # noqa: ARG002
        """Return one RDM of all images, numbered by `images`, in memory of its own."""
        return self.read_row(row).copy()

    def n_dim(self, row: int) -> int:  # noqa: ARG002
        """Return how many dimensions the points of a row would have; 0 of RDMs read as such."""
        return 0

    def points(self, row: int, positions: NDArray[np.intp]) -> Points | None:  # noqa: ARG002
        """Return the points whose squared distances are the RDM of chosen images, if it has them.

        None for RDMs that were read as such.
        """
        return None

    def facts(self, names: Collection[str]) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return what is known of the patterns of some names; nothing of what is read as RDMs."""
        return []

    def said(self, names: Collection[str]) -> tuple[list[Said], list[Said]]:  # noqa: ARG002
        """Return notices and warnings about the patterns of some names."""
        return [], []

    def _check_counts(self, shape: tuple[int, int], n_images: int, n_names: int) -> None:
        """Compare the shape (n_rdm, n_pairs) of the RDMs with the numbers of labels."""
        n_rdm, n_pairs = shape
        if n_pairs != count_pairs(n_images):
            raise InputError(
                f"{self.name}: rows have {n_pairs} dissimilarities but there are names of "
                f"{n_images} images, which make {count_pairs(n_images)} pairs"
            )
        if n_names != n_rdm:
            raise InputError(f"{self.name}: {n_rdm} RDMs but {n_names} {self.row_kind} names")
