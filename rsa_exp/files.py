"""Files and folders that a run leaves behind: each is written whole or not at all."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rsa_exp.errors import UNPRINTABLE, InputError
from rsa_exp.vocabulary import COUNT_COLUMNS, NUMBER_COLUMNS

__all__ = [
    "claim_folder", "copy_file", "file_inside", "natural_order", "prepare_folder", "read_scores",
    "whole_file", "whole_folder", "write_arrays", "write_bytes", "write_json", "write_table",
    "write_text",
]  # fmt: skip

_DIGITS = 19  # more are no number that anybody counts to


def prepare_folder(folder: Path) -> Path:
    """Make a folder for results, which must be writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"results cannot be written to {folder}: {error.strerror}; set output_dir"
        ) from error
    return folder


def claim_folder(folder: Path, what: str) -> Path:
    """Make a folder for the results of one run or sweep; it must not have results of another."""
    prepare_folder(folder)
    if (folder / "scores.csv").exists():
        raise InputError(
            f"{folder} holds the results of another {what}; choose another folder or delete it"
        )
    return folder


def file_inside(folder: Path, name: str) -> Path:
    """Return the path of a file that lies in a folder itself.

    Raises
    ------
    InputError
        If it is a link or behind one: what it leads to is not part of the folder.
    OSError
        If it does not exist.
    """
    path = folder / name
    if path.resolve(strict=True).as_posix() != f"{folder.resolve().as_posix()}/{name}":
        raise InputError(f"{path} is a link, or behind one; put the file itself there")
    return path


def copy_file(name: str, source: Path, folder: Path) -> Path:
    """Copy a file to the same path in another folder.

    A link, as in `file_inside`, and a name with control characters are refused.
    """
    path = file_inside(source, name)
    if UNPRINTABLE.search(name):
        raise InputError(f"{source} has a file {name!a:.200}; rename it without such characters")
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return target


def natural_order(name: str) -> list[tuple[int, str]]:
    """Key to sort names by which numbers in them count as such: ``conv2`` before ``conv10``."""
    return [
        (int(part) if part.isdecimal() and len(part) < _DIGITS else -1, part)
        for part in re.split(r"(\d+)", name)
    ]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name to write a file under; it gets its own if the block ends well.

    Whoever looks sees the old file, or none, until the new one is complete and on the disk. After
    an error nothing is left of it. The folder must exist.
    """
    part = _part(path)
    try:
        yield part
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to be filled; it gets its own name if the block ends well.

    No folder of that name may exist yet, unless it is empty. After an error nothing is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    part.mkdir()
    try:
        yield part
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def write_text(path: Path, text: str) -> Path:
    """Write text as UTF-8."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> Path:
    """Write bytes."""
    with whole_file(path) as part:
        part.write_bytes(data)
    return path


def write_json(path: Path, record: Mapping[str, Any]) -> Path:
    """Write a record as indented JSON."""
    return write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def write_table(path: Path, table: pd.DataFrame) -> Path:
    """Write a table as CSV; undefined values are empty, floats survive to the last bit."""
    return write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write named arrays, compressed, as ``.npz`` that loads without pickle."""
    with whole_file(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    return path


def read_scores(path: Path | TextIO) -> pd.DataFrame:
    """Read a ``scores.csv``: names such as ``01`` or ``NA`` stay text, numbers exact."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for name in table.columns.intersection(NUMBER_COLUMNS):
        table[name] = [float(text) if text else np.nan for text in table[name]]
    counts = table.columns.intersection(COUNT_COLUMNS)
    return table.astype(dict.fromkeys(counts, int))
