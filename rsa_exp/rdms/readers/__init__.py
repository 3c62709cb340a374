"""Where RDMs and patterns are read from: files, recognised by their content, and arrays in memory.

A further format is a further module with what `RdmFormat` or `PatternFormat` asks for, listed in
`RDM_FORMATS` or `PATTERN_FORMATS`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers import (
    brain_score,
    hdf5_patterns,
    matlab,
    matlab_rdms,
    npy_patterns,
    npz_patterns,
    nsd,
    numpy_rdms,
    rsatoolbox_hdf5,
    table_patterns,
    table_rdms,
)
from rsa_exp.rdms.readers.in_memory import (
    ArrayPatterns,
    ArrayRdms,
    Arrays,
    Patterns,
    RsatoolboxRdms,
)
from rsa_exp.rdms.readers.pattern_source import PatternSource
from rsa_exp.rdms.readers.rdm_source import RdmSource
from rsa_exp.rdms.readers.source import Naming
from rsa_exp.rdms.readers.thingsvision import ThingsvisionFormat

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

__all__ = [
    "PATTERN_FORMATS", "RDM_FORMATS", "Arrays", "Naming", "PatternFormat", "PatternInput",
    "PatternSource", "Patterns", "RdmFormat", "RdmInput", "RdmSource", "open_patterns", "open_rdms",
]  # fmt: skip

RdmInput: TypeAlias = "str | os.PathLike[str] | RDMs | Arrays"
"""A file or folder, an ``rsatoolbox.rdm.RDMs`` object, or plain arrays."""
PatternInput: TypeAlias = "str | os.PathLike[str] | Patterns"
"""A file or folder, or plain arrays."""

_HEAD = 1024  # bytes by which a format is recognised


class _Format(Protocol):
    """A module that reads one format; its DESCRIPTION completes "is not ..."."""

    DESCRIPTION: str

    def can_read(self, path: Path, head: bytes) -> bool:
        """Whether a regular file that begins with `head` (at most 1024 bytes) is of this format.

        Folders are asked about too, with an empty `head`.
        """
        ...


class RdmFormat(_Format, Protocol):
    """A module that reads RDMs of one format."""

    def open_file(self, path: Path, naming: Naming) -> RdmSource:
        """Open a file that `can_read` recognised; an `InputError` if it cannot be used."""
        ...


class PatternFormat(_Format, Protocol):
    """A module that reads patterns of one format."""

    def open_file(self, path: Path, naming: Naming) -> PatternSource:
        """Open a file that `can_read` recognised; an `InputError` if it cannot be used."""
        ...


_Kind = TypeVar("_Kind", bound=_Format)

RDM_FORMATS: tuple[RdmFormat, ...] = (
    rsatoolbox_hdf5,
    matlab_rdms,
    numpy_rdms,
    table_rdms,
)
PATTERN_FORMATS: tuple[PatternFormat, ...] = (
    brain_score,
    hdf5_patterns,
    matlab,
    npz_patterns,
    # Before npy_patterns, which reads folders too.
    ThingsvisionFormat(lambda path, naming: open_patterns(path, naming)),
    npy_patterns,
    table_patterns,
    nsd,
)


def open_rdms(source: RdmInput, naming: Naming, *, hint: str = "", name: str = "") -> RdmSource:
    """Open a source of RDMs.

    Parameters
    ----------
    source : path, rsatoolbox.rdm.RDMs or Arrays
        A file or folder, whose format is recognised by its content; an object of rsatoolbox; or
        plain arrays. What is in memory is never changed.
    naming : Naming
        What its images and rows are called; arrays have their names already.
    hint : str
        Where the file can be had, added to the message when it is missing.
    name : str
        What to call RDMs in memory; a file is called by its own name.

    Returns
    -------
    RdmSource
        To be closed.

    Raises
    ------
    InputError
        If the source is missing, of an unknown kind, a pickle, damaged, or lacks names.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _format_of(path, RDM_FORMATS, hint).open_file(path, naming)
    name = name or f"{naming.row_kind} RDMs in memory"
    if isinstance(source, Arrays):
        return ArrayRdms(source, row_kind=naming.row_kind, name=name)
    if hasattr(source, "dissimilarities") and hasattr(source, "rdm_descriptors"):
        return RsatoolboxRdms(source, naming, name=name)
    raise InputError(
        f"{name}: found {_found(source)}; "
        "expected a file, an rsatoolbox.rdm.RDMs object, RDMs as rsa_exp.Arrays({name: array}, "
        "images), or responses as rsa_exp.Patterns({name: array}, images)"
    )


def open_patterns(
    source: PatternInput, naming: Naming, *, hint: str = "", name: str = ""
) -> PatternSource:
    """Open a source of patterns.

    Parameters
    ----------
    source : path or Patterns
        A file or folder, whose format is recognised by its content, or plain arrays, which are
        never changed.
    naming, hint, name
        As in `open_rdms`.

    Returns
    -------
    PatternSource
        To be closed.

    Raises
    ------
    InputError
        If the source is missing, of an unknown kind, a pickle, damaged, or lacks names.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _format_of(path, PATTERN_FORMATS, hint).open_file(path, naming)
    name = name or f"{naming.row_kind} patterns in memory"
    if isinstance(source, Patterns):
        return ArrayPatterns(source, row_kind=naming.row_kind, name=name)
    raise InputError(
        f"{name}: found {_found(source)}; "
        "expected a file, or rsa_exp.Patterns({name: array}, images)"
    )


def _found(source: object) -> str:
    unnamed = isinstance(source, Mapping)
    return "arrays without names of images" if unnamed else type(source).__name__


def _format_of(path: Path, formats: Sequence[_Kind], hint: str) -> _Kind:
    hint = f"; {hint}" if hint else ""
    expected = " or ".join(known.DESCRIPTION for known in formats)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"no file {path.name} in {path.parent.absolute()}{hint}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path!s:.200} cannot be opened: {reason}{hint}") from error
    is_folder = stat.S_ISDIR(mode)
    if not (is_folder or stat.S_ISREG(mode)):
        raise InputError(f"{path} is a device or a pipe, not {expected}{hint}")
    try:
        head = b"" if is_folder else _head(path)
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}") from error
    for known in formats:
        if known.can_read(path, head):
            return known
    if is_folder:
        raise InputError(f"{path} is a folder, not {expected}{hint}")
    if path.suffix in {".pkl", ".pickle", ".p"} or head[:1] == b"\x80":
        raise InputError(
            f"{path.name} is a pickle, which runs code when it is loaded; save RDMs with "
            "rsatoolbox's RDMs.save(..., file_type='hdf5'), patterns with numpy.savez"
        )
    raise InputError(f"{path} is not {expected}")


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_HEAD)
