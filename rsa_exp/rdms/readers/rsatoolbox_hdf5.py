"""rsatoolbox's HDF5 files of RDMs, read one row at a time.

Layout (``rsatoolbox.rdm.RDMs.save(..., file_type='hdf5')``): ``/dissimilarities`` of shape
(n_rdm, n_pairs), and the groups ``rdm_descriptors`` (one value a row) and ``pattern_descriptors``
(one value an image). A row of 4916 images takes 97 MB, so rows are read and files are not.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import xxhash
from numpy.typing import NDArray

from rsa_exp.errors import InputError, listing, suggestion
from rsa_exp.rdms.readers.chunks import CompressedRows
from rsa_exp.rdms.readers.hdf5 import Column, columns, damage_told, open_hdf5, table

__all__ = ["FloatArray", "RdmFile"]

FloatArray = NDArray[np.float64]


class RdmFile:
    """An RDM file opened for reading; a context manager.

    Parameters
    ----------
    path : Path
        An HDF5 file as rsatoolbox writes it.
    image_key : str
        Pattern descriptor that names images; if the file has none of that name, its only string
        descriptor is used.
    row_key : str
        Descriptor that names RDMs (an ROI, a layer), with the same rule.
    row_kind : str
        What a row is, for messages: ``ROI`` or ``layer``.
    hint : str
        Where the file can be had, added to the message when it is missing.

    Attributes
    ----------
    images : list of str
        Image labels in the order of the file, length n_cond.
    row_names : list of str
        Name of each row, length n_rdm; names may repeat.
    names : list of str
        The distinct row names in order of appearance.
    guessed : list of str
        What to tell the user about descriptors that are not called as configured.

    Raises
    ------
    InputError
        If the file is missing, no HDF5 file, a pickle, truncated, or not laid out as above.
    """

    def __init__(
        self, path: Path, *, image_key: str, row_key: str, row_kind: str, hint: str = ""
    ) -> None:
        self.path = path
        self.row_kind = row_kind
        self._digests: dict[int, str] = {}
        self.guessed: list[str] = []
        self._file = open_hdf5(path, hint)
        try:
            with damage_told(path):
                self._read_layout(image_key, row_key)
            self._descriptor = os.open(path, os.O_RDONLY)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> RdmFile:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; reading after this is an error."""
        self._file.close()
        os.close(self._descriptor)

    def rows_of(self, name: str) -> list[int]:
        """Rows that carry `name`.

        Raises
        ------
        InputError
            If no row does.
        """
        rows = [i for i, row_name in enumerate(self.row_names) if row_name == name]
        if not rows:
            raise InputError(
                f"{self.path.name} has no {self.row_kind} '{name}' (it has {listing(self.names)})"
                f"{suggestion(name, self.names)}"
            )
        return rows

    def read_row(self, row: int) -> FloatArray:
        """Read one RDM as it stands in the file, in the file's image order.

        May be called from several threads. The array is this thread's buffer: its contents last
        until the thread reads its next row of any file.

        Parameters
        ----------
        row : int
            Row number.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Dissimilarities in float64; NaN marks a missing pair.

        Raises
        ------
        InputError
            If the row cannot be read (a truncated file).
        """
        try:
            values = _buffer(self._dissimilarities.shape[1])
            if self._offset is not None:
                self._read_contiguous(values, self._offset + row * values.nbytes)
            elif self._compressed is not None:
                self._compressed.read(row, values)
            else:
                self._dissimilarities.read_direct(values, source_sel=np.s_[row, :])
        except MemoryError as error:
            raise InputError(
                f"{self.path}: a row of {self._dissimilarities.shape[1]} dissimilarities does not "
                "fit into this machine's memory"
            ) from error
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"{self.path} cannot be read to its end: it is truncated or damaged; copy it again"
            ) from error
        self._digests[row] = xxhash.xxh3_128_hexdigest(values.data)
        return values

    def _read_contiguous(self, values: FloatArray, offset: int) -> None:
        """Read a row past HDF5, whose library lets one thread in at a time."""
        view = values.data.cast("B")
        while len(view):
            count = os.preadv(self._descriptor, [view], offset)
            if count == 0:
                raise OSError("end of file")
            view, offset = view[count:], offset + count

    def row_digests(self) -> dict[str, str]:
        """Content digests (xxh3_128) of the rows read so far, keyed ``name`` or ``name#row``."""
        return {self._key(row): digest for row, digest in sorted(self._digests.items())}

    def row_of_key(self, key: str) -> int | None:
        """Return the row that `row_digests` keys so; None if there is none."""
        return next((row for row in range(len(self.row_names)) if self._key(row) == key), None)

    def _key(self, row: int) -> str:
        name = self.row_names[row]
        return name if self._counts[name] == 1 else f"{name}#{row}"

    def digest(self) -> str:
        """Content digest (xxh3_128, 32 hex digits) of the image names and of the rows read."""
        state = xxhash.xxh3_128("\0".join(self.images).encode())
        for name, digest in self.row_digests().items():
            state.update(f"\0{name}\0{digest}".encode())
        return state.hexdigest()

    def _read_layout(self, image_key: str, row_key: str) -> None:
        """Find the rows and read the names of images and rows."""
        values = self._dissimilarities = table(self._file, "dissimilarities", self.path)
        n_rdm, n_pairs = values.shape
        images = self._column("pattern_descriptors", image_key, "image")
        self.n_cond = images.length
        if n_pairs != self.n_cond * (self.n_cond - 1) // 2:
            raise InputError(
                f"{self.path.name}: rows have {n_pairs} dissimilarities but the file names "
                f"{self.n_cond} images, which make {self.n_cond * (self.n_cond - 1) // 2} "
                "pairs; write the file again with rsatoolbox"
            )
        rows = self._column("rdm_descriptors", row_key, self.row_kind)
        if rows.length != n_rdm:
            raise InputError(
                f"{self.path.name}: {n_rdm} RDMs but {rows.length} {self.row_kind} names"
            )
        self.images, self.row_names = images.read(), rows.read()
        self.names = list(dict.fromkeys(self.row_names))
        self._counts = Counter(self.row_names)
        self._offset = _contiguous_offset(values)
        compressed = values.id.get_create_plist().get_nfilters() > 0
        self._compressed = CompressedRows(values, self.path) if compressed else None

    def _column(self, group_name: str, key: str, what: str) -> Column:
        """Return the descriptor called `key`, or the group's only string descriptor."""
        named = columns(self._file, group_name, self.path)
        if named is None:
            raise InputError(
                f"{self.path.name} has no group '{group_name}' that would say which {what} is "
                "which; write it with rsatoolbox's RDMs.save(..., file_type='hdf5')"
            )
        if key in named:
            return named[key]
        strings = {
            name: column for name, column in named.items() if column.is_text and column.length
        }
        if len(strings) == 1:
            name, column = strings.popitem()
            self.guessed.append(
                f"{self.path.name}: '{name}' names the {what}s (none is called '{key}')"
            )
            return column
        setting = {"image": "data.image_key", "ROI": "data.roi_key"}.get(what, "data.layer_key")
        found = (
            f"several descriptors could name the {what}s ({listing(strings)})"
            if strings
            else f"no descriptor names the {what}s (it has {listing(named)})"
        )
        raise InputError(
            f"{self.path.name}: {found} and none is called '{key}'; say which with {setting}=NAME"
        )


_memory = threading.local()


def _buffer(n_pairs: int) -> FloatArray:
    """One row's memory for each thread, for every file: new pages cost as much as reading."""
    if getattr(_memory, "values", None) is None or len(_memory.values) != n_pairs:
        _memory.values = np.empty(n_pairs)
    values: FloatArray = _memory.values
    return values


def _contiguous_offset(values: h5py.Dataset) -> int | None:
    """Where the rows begin in the file, if they lie there plainly as native float64."""
    plain = values.chunks is None and values.dtype == np.dtype("<f8") == np.dtype(float)
    offset = values.id.get_offset() if plain and hasattr(os, "preadv") else None
    return None if offset is None else int(offset)
