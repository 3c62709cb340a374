"""Tables of numbers and names, ``.csv``, ``.tsv`` and parquet, read whole by pandas.

What a table would become is compared with the file's size first: pandas fills lines that are too
short, so that a file of 1 MB can become terabytes, and reads longer ones as other columns.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.npy_files import check_memory

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PARQUET_MAGIC", "SUFFIXES", "Table", "read_csv", "read_parquet"]

PARQUET_MAGIC = b"PAR1"
SUFFIXES = (".csv", ".tsv")

_MAX_COLUMNS = 2**17
_MAX_NAME = 1024  # characters
_SMALL = 2**26  # bytes of a table that is read however small its file is
_MOST_SHRUNK = 1032  # what tables of measurements become at most, in multiples of their file
_DECIMAL_COMMA = re.compile(r"-?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A table in memory.

    Attributes
    ----------
    name : str
        Of the file, for messages.
    frame : DataFrame
        Its columns, by unique names.
    text : bytes
        The file, for names as they are written (``0012``); empty for parquet.
    separator : str
        Of its columns, where it is text.
    """

    name: str
    frame: pd.DataFrame
    text: bytes = b""
    separator: str = ""

    @property
    def is_text(self) -> dict[str, bool]:
        """Whether each column has text: anything but numbers."""
        return {str(column): not _is_numeric(kind) for column, kind in self.frame.dtypes.items()}

    def labels(self, column: str) -> list[object]:
        """Return a column as it is written; what is missing as an empty text."""
        if not self.text:
            values = self.frame[column]
            return list(values.astype(object).where(values.notna(), ""))
        import pandas as pd  # not for studies without tables

        place = self.frame.columns.get_loc(column)
        written = pd.read_csv(
            io.BytesIO(self.text), sep=self.separator, usecols=[place], dtype=str,
            keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True,
        )  # fmt: skip
        return list(written.iloc[:, 0].str.strip())

    def matrix(self, columns: Sequence[str]) -> NDArray[Any]:
        """Return columns of numbers, shape (n_row, n_column); an `InputError` if one has text."""
        for column in columns:
            if not _is_numeric(self.frame.dtypes[column]):
                present = self.frame[column].dropna()
                example = str(present.iloc[0]) if len(present) else "nothing"
                has_comma = _DECIMAL_COMMA.fullmatch(example.strip())
                advice = (
                    "write decimals with a point"
                    if has_comma
                    else "expected numbers; remove the column, or name images by it with "
                    "data.image_key=NAME"
                )
                raise InputError(
                    f"{self.name}: column '{column:.60}' has text ('{example:.40}'); {advice}"
                )
        values: NDArray[Any] = self.frame[list(columns)].to_numpy()
        return values if values.dtype.kind in "fiub" else values.astype(np.float64)


def _is_numeric(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "fiub"


def read_csv(path: Path) -> Table:
    """Read a text table: a header, then lines with as many fields, by commas, tabs or semicolons.

    Raises
    ------
    InputError
        If it is no such table, not UTF-8, cut off, or one of its lines has other fields.
    """
    import pandas as pd  # not for studies without tables

    try:
        data = path.read_bytes()
        data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it as CSV (UTF-8)") from error
    if b"\0" in data or data.count(b"\r") != data.count(b"\r\n"):
        raise InputError(f"{path} has null characters or line ends of old Macs; save it as UTF-8")
    separator = _check_lines(path, data)
    before = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)  # later the default is exact
    try:
        frame = pd.read_csv(
            io.BytesIO(data), sep=separator, encoding="utf-8-sig", skipinitialspace=True,
            low_memory=False, **({"float_precision": "round_trip"} if before else {}),
        )  # fmt: skip
    except (ValueError, OverflowError, pd.errors.ParserError) as error:
        raise InputError(f"{path} cannot be read as a table: {error!s:.200}") from error
    if not isinstance(frame.index, pd.RangeIndex):  # lines longer than the header
        raise InputError(f"{path}: its lines have more fields than its header")
    return _checked(path, Table(path.name, frame, data, separator))


def _check_lines(path: Path, data: bytes) -> str:
    """Return the separator of columns, if all lines have as many of them as the header."""
    header = data.split(b"\n", 1)[0]
    separator = max((b"\t", b";", b","), key=header.count)
    n_separators = header.count(separator)
    if not 0 < n_separators < _MAX_COLUMNS:
        raise InputError(
            f"{path} has {n_separators + 1} columns by its first line; expected names of 2 to "
            f"{_MAX_COLUMNS} columns, separated by commas, tabs or semicolons"
        )
    for number, line in enumerate(io.BytesIO(data), start=1):
        count = line.count(separator)
        if count != n_separators and line.strip() and not (b'"' in line and count > n_separators):
            raise InputError(
                f"{path}: line {number} has {count + 1} fields and the header {n_separators + 1}; "
                "is the file complete, and are decimals written with a point?"
            )
    return separator.decode()


def read_parquet(path: Path) -> Table:
    """Read a parquet file, its index as a further column.

    Raises
    ------
    InputError
        If it is damaged, declares more than it can hold, or pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # an extra
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            f'{path.name} is a parquet file; to read it: pip install -e ".[tables]"'
        ) from error
    try:
        with parquet.ParquetFile(path, memory_map=False) as file:
            n_column, n_row = file.metadata.num_columns, file.metadata.num_rows
            n_bytes = 8 * max(n_column, 1) * max(n_row, 0)
            if n_column > _MAX_COLUMNS or n_bytes > max(_SMALL, _MOST_SHRUNK * path.stat().st_size):
                raise InputError(
                    f"{path} declares {n_row} rows of {n_column} columns, more than it can hold: "
                    "it is damaged or made up"
                )
            check_memory(n_bytes, str(path))
            read = file.read(use_threads=False)
            read.validate(full=True)  # of text too
            frame = read.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise InputError(
            f"{path} is a damaged parquet file, or of another kind; {error!s:.200}"
        ) from error
    # The index of a frame, where it is numbers, is neither a name nor a channel.
    index = [c for c in frame if re.fullmatch(r"__index_level_\d+__", str(c))]
    numbers = [c for c in index if _is_numeric(frame.dtypes[c])]
    return _checked(path, Table(path.name, frame.drop(columns=numbers)))


def _checked(path: Path, table: Table) -> Table:
    """Name columns without the spaces around them, and refuse a table without rows."""
    frame = table.frame
    if len(frame) == 0:
        raise InputError(f"{path} has no rows")
    frame.columns = frame.columns.astype(str).str.strip()
    if frame.columns.str.len().max() > _MAX_NAME:
        raise InputError(f"{path} has names of columns with more than {_MAX_NAME} characters")
    if not frame.columns.is_unique:
        repeated = frame.columns[frame.columns.duplicated()][0]
        raise InputError(f"{path}: two columns are called '{repeated:.60}'")
    return table
