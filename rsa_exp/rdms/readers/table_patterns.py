"""Patterns in tables: ``.csv`` and ``.tsv`` with a header, and parquet; a row for each measurement.

The column `image_key` has the names of the images (else the only column of text); columns called
`run_key` and `session_key`, where there are such, the run and session of each row. All other
columns are channels, of one matrix that is called by the file's name. Where all of them are called
``NAME:CHANNEL`` (``V1:0``, ``V1:1``, ``V2:0``), there is a matrix for each NAME.

Text is UTF-8; columns are separated by commas, tabs or semicolons and decimals written with a
point. An empty field is NaN. In parquet, an index with names counts as a column.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.matrix_patterns import LoadedArray, MatrixPatterns
from rsa_exp.rdms.readers.name_lists import find_images
from rsa_exp.rdms.readers.source import Naming
from rsa_exp.rdms.readers.tables import PARQUET_MAGIC, SUFFIXES, Table, read_csv, read_parquet

__all__ = ["DESCRIPTION", "TablePatterns", "can_read", "open_file"]

DESCRIPTION = "a table of patterns (.csv, .tsv or parquet)"


def can_read(path: Path, head: bytes) -> bool:
    """Whether a file begins as parquet does, or its name ends in ``.csv`` or ``.tsv``.

    Text says nothing of what it is.
    """
    is_text = path.suffix.lower() in SUFFIXES and not path.is_dir()
    return head.startswith(PARQUET_MAGIC) or is_text


class TablePatterns(MatrixPatterns):
    """A table; arguments as in `rsa_exp.rdms.readers.open_patterns`.

    An `InputError` if it is damaged, lacks names of images, or a channel has text.
    """

    def __init__(self, path: Path, naming: Naming) -> None:
        super().__init__(path.name, path, naming.row_kind)
        with path.open("rb") as stream:
            is_parquet = stream.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
        table = read_parquet(path) if is_parquet else read_csv(path)
        folds = [key for key in (naming.run_key, naming.session_key) if key in table.frame]
        image_column = self._image_column(table, naming, folds)
        if image_column is None or naming.images is not None:
            images, lists = find_images(path, naming)
            names: Sequence[object] = images
        else:
            names, lists = table.labels(image_column), []
        self.files = [path, *lists]
        labels = {image_column, *folds}
        channels = [str(column) for column in table.frame if column not in labels]
        runs, sessions = (
            table.labels(key) if key in folds else None
            for key in (naming.run_key, naming.session_key)
        )
        matrices = {
            name: LoadedArray(table.matrix(columns))
            for name, columns in self._matrices_of(channels).items()
        }
        self._set_matrices(matrices, names, runs, sessions)

    def _image_column(self, table: Table, naming: Naming, folds: Sequence[str]) -> str | None:
        """Return the column with names of images; None if there is no text at all."""
        usable = {key: text for key, text in table.is_text.items() if key not in folds}
        if naming.image_key in usable:
            return naming.image_key
        if naming.images is not None or not any(usable.values()):
            texts = [key for key, text in usable.items() if text]
            return texts[0] if len(texts) == 1 else None
        return self._choose(usable, naming.image_key, "image")

    def _matrices_of(self, channels: Sequence[str]) -> dict[str, list[str]]:
        """Return the columns of each matrix by its name."""
        if not channels:
            raise InputError(f"{self.name} has no channels besides its names")
        unnamed = [channel for channel in channels if re.fullmatch(r"Unnamed: \d+", channel)]
        if unnamed:
            raise InputError(
                f"{self.name}: column {int(unnamed[0][9:]) + 1} has numbers and no name; name it, "
                "or leave it out (pandas: index=False)"
            )
        matrices: dict[str, list[str]] = {}
        if all(":" in channel.strip(":") for channel in channels):
            for channel in channels:
                matrices.setdefault(channel.rpartition(":")[0], []).append(channel)
            return matrices
        return {self.path.stem: list(channels)}


open_file = TablePatterns
