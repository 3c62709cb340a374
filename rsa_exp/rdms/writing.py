"""RDMs written as rsatoolbox's HDF5 files, one row at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from rsa_exp.rdms.readers import RdmSource
from rsa_exp.stats.condensed import count_pairs
from rsa_exp.stats.parallel import Progress, ignore, in_order

__all__ = ["rdm_file", "write_rdms"]


@contextmanager
def rdm_file(
    path: Path,
    key: str,
    rows: Sequence[str],
    images: Sequence[str],
    *,
    measure: str = "correlation",
    notes: Mapping[str, str] | None = None,
) -> Iterator[h5py.Dataset]:
    """Open a file of RDMs to be written, which `rsatoolbox.rdm.load_rdm` reads when it is closed.

    Parameters
    ----------
    path : Path
        File to write.
    key : str
        RDM descriptor with the names of the rows: ``roi`` or ``layer``.
    rows, images : sequence of str
        Names of the RDMs and of the images.
    measure : str
        Its dissimilarity measure.
    notes : mapping of str to str, optional
        Attributes of the file, which say where it comes from.

    Yields
    ------
    h5py.Dataset
        Of shape (n_rdm, n_pairs) and type float64, to be filled.
    """
    with h5py.File(path, "w") as file:
        file.attrs["dissimilarity_measure"] = measure
        for name, text in (notes or {}).items():
            file.attrs[name] = text
        file.create_group("descriptors")
        descriptors = {"rdm_descriptors": (key, rows), "pattern_descriptors": ("image", images)}
        for group, (name, values) in descriptors.items():
            file[f"{group}/{name}"] = np.array([text.encode() for text in values])
            file[f"{group}/index"] = np.arange(len(values))
        shape = len(rows), count_pairs(len(images))
        yield file.create_dataset("dissimilarities", shape, "<f8")


def write_rdms(
    path: Path,
    source: RdmSource,
    key: str,
    *,
    measure: str,
    notes: Mapping[str, str],
    on_progress: Progress = ignore,
) -> None:
    """Write all RDMs of a source over all of its images, in their order.

    Parameters
    ----------
    path, key, measure, notes
        As in `rdm_file`.
    source : RdmSource
        Open. One RDM is held in memory for each core.
    on_progress : callable, optional
        Called with 1 after each RDM.
    """
    whole = np.arange(len(source.images))

    def read(row: int) -> np.ndarray:
        return source.whole_rdm(row, whole)

    rows = range(len(source.row_names))
    with rdm_file(path, key, source.row_names, source.images, measure=measure, notes=notes) as out:
        for row, values in zip(rows, in_order(read, rows), strict=True):
            out[row] = values
            on_progress(1)
