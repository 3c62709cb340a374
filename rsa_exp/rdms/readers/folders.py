"""Folders whose files are one source: a file for each ROI or layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rsa_exp.errors import InputError
from rsa_exp.files import natural_order

__all__ = ["entries", "files_in", "row_names_of"]

_MAX_FILES = 10_000


def entries(folder: Path) -> list[Path]:
    """Return what a folder has; an `InputError` if it cannot be read."""
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """Return the files of a folder with one of these extensions, in natural order, but no hidden.

    Raises
    ------
    InputError
        If the folder cannot be read, or has more files than there can be ROIs or layers.
    """
    found = [
        path
        for path in entries(folder)
        if path.suffix in suffixes and path.name[0] != "." and path.is_file()
    ]
    if len(found) > _MAX_FILES:
        raise InputError(
            f"{folder} has {len(found)} files {suffixes[0]}; at most {_MAX_FILES} can be"
        )
    return sorted(found, key=lambda path: natural_order(path.name))


def row_names_of(files: Sequence[Path], row_kind: str) -> list[str]:
    """Return what matrices or RDMs are called by their files: ROIs without a common beginning."""
    stems = [path.stem for path in files]
    if row_kind != "ROI" or len(stems) == 1:
        return stems
    parts = [stem.split("_") for stem in stems]
    n_shared = next(
        (i for i, level in enumerate(zip(*parts, strict=False)) if len(set(level)) > 1), 0
    )
    return ["_".join(part[n_shared:]) for part in parts]
