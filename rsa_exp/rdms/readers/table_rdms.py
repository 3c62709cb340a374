"""An RDM in a table (``.csv``, ``.tsv``): square, with names in the first row and column.

As ``pandas.DataFrame(rdm, images, images).to_csv("V1.csv")`` writes it; called by the file's name.
An empty field is a missing pair.
"""

from __future__ import annotations

from pathlib import Path

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.in_memory import ArrayRdms, Arrays
from rsa_exp.rdms.readers.rdm_source import RdmSource
from rsa_exp.rdms.readers.source import Naming
from rsa_exp.rdms.readers.tables import SUFFIXES, read_csv

__all__ = ["DESCRIPTION", "can_read", "open_file"]

DESCRIPTION = "a .csv or .tsv table of a square RDM"


def can_read(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Whether a file's name ends in ``.csv`` or ``.tsv``; text says nothing of what it is."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def open_file(path: Path, naming: Naming) -> RdmSource:
    """Open a table; arguments as in `rsa_exp.rdms.readers.open_rdms`.

    Raises
    ------
    InputError
        If it is not square, its rows and columns have other names, or it is no RDM.
    """
    table = read_csv(path)
    first, *columns = map(str, table.frame.columns)
    rows = [str(label) for label in table.labels(first)]
    if rows != columns:
        raise InputError(
            f"{path.name}: the first column names {len(rows)} images and the first row "
            f"{len(columns)}; expected the same names in the same order, each once"
        )
    if "" in rows:
        raise InputError(f"{path.name}: image {rows.index('') + 1} has no name")
    rdm = {path.stem: table.matrix(columns)}
    images = rows if naming.images is None else naming.images
    return ArrayRdms(Arrays(rdm, images), row_kind=naming.row_kind, name=path.name, path=path)
