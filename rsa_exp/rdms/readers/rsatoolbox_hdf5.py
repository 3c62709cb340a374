"""rsatoolbox's HDF5 files of RDMs, read one row at a time.

Layout (``rsatoolbox.rdm.RDMs.save(..., file_type='hdf5')``): ``/dissimilarities`` of shape
(n_rdm, n_pairs), and the groups ``rdm_descriptors`` (one value a row) and ``pattern_descriptors``
(one value an image). A row of 4916 images takes 97 MB, so rows are read and files are not.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import h5py
import numpy as np

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.chunks import check_chunks
from rsa_exp.rdms.readers.hdf5 import (
    MAGIC,
    StoredDescriptor,
    damage_reported,
    find_descriptors,
    find_table,
    read_descriptors,
)
from rsa_exp.rdms.readers.rdm_source import RdmSource
from rsa_exp.rdms.readers.source import Naming
from rsa_exp.stats.condensed import FloatArray

__all__ = ["DESCRIPTION", "RsatoolboxHdf5", "can_read", "open_file"]

DESCRIPTION = "an HDF5 file written by rsatoolbox's RDMs.save(..., file_type='hdf5')"


def can_read(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Whether a file that begins with `head` is an HDF5 file."""
    return head.startswith(MAGIC)


class RsatoolboxHdf5(RdmSource):
    """An HDF5 file of RDMs, open for reading; arguments as in `rsa_exp.rdms.readers.open_rdms`.

    An `InputError` if it is damaged, truncated, or not laid out as rsatoolbox does it.
    """

    path: Path

    def __init__(self, path: Path, naming: Naming) -> None:
        super().__init__(path.name, path, naming.row_kind)
        with damage_reported(path):
            self._file = h5py.File(path, "r")
            try:
                self._read_layout(naming)
                self._descriptor = os.open(path, os.O_RDONLY)
            except BaseException:
                self._file.close()
                raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        os.close(self._descriptor)

    def _read_layout(self, naming: Naming) -> None:
        """Find the rows and read the names of images and rows."""
        values = self._dissimilarities = find_table(self._file, "dissimilarities", self.path)
        given, images = naming.images, None
        if given is None:
            images = self._find("pattern_descriptors", naming.image_key, "image")
        rows = self._find("rdm_descriptors", naming.row_key, self.row_kind)
        n_images = images.length if images else len(given or ())
        self._check_counts(values.shape, n_images, rows.length)
        *labels, names = read_descriptors(self.path, [d for d in (images, rows) if d])
        self._set_labels(labels[0] if labels else given or (), names)
        self._offset = _contiguous_offset(values)

    def _find(self, group_name: str, key: str, kind: str) -> StoredDescriptor:
        """Return the descriptor that names the images or the rows."""
        found = find_descriptors(self._file, group_name, self.path)
        if found is None:
            raise InputError(
                f"{self.name} has no group '{group_name}' with the names of its {kind}s; write it "
                "with rsatoolbox's RDMs.save(..., file_type='hdf5')"
            )
        is_text = {name: d.is_text and d.length > 0 for name, d in found.items()}
        return found[self._choose(is_text, key, kind)]

    def _fetch(self, row: int) -> FloatArray:
        """Read a row into this thread's buffer; several threads may do so at once."""
        with damage_reported(self.path):
            values = _buffer(self._dissimilarities.shape[1])
            if self._offset is not None:
                self._read_contiguous(values, self._offset + row * values.nbytes)
            else:
                check_chunks(self._dissimilarities, self.path, row)
                self._dissimilarities.read_direct(values, source_sel=np.s_[row, :])
        return values

    def _read_contiguous(self, values: FloatArray, offset: int) -> None:
        """Read a row past HDF5, whose library lets one thread in at a time."""
        view = values.data.cast("B")
        while len(view):
            count = os.preadv(self._descriptor, [view], offset)
            if count == 0:
                raise OSError("end of file")
            view, offset = view[count:], offset + count


_memory = threading.local()


def _buffer(n_pairs: int) -> FloatArray:
    """One row's memory for each thread, for every file: new pages cost as much as reading."""
    if getattr(_memory, "values", None) is None or len(_memory.values) != n_pairs:
        _memory.values = np.empty(n_pairs)
    values: FloatArray = _memory.values
    return values


def _contiguous_offset(values: h5py.Dataset) -> int | None:
    """Byte of the file at which the rows begin, if they lie there plainly as native float64."""
    plain = values.chunks is None and values.dtype == np.dtype("<f8") == np.dtype(float)
    offset = values.id.get_offset() if plain and hasattr(os, "preadv") else None
    return None if offset is None else int(offset)


open_file = RsatoolboxHdf5
