"""Where RDMs are read from: files, recognised by their content, and RDMs in memory.

A further format is a further module with what `RdmFormat` asks for, listed in `FORMATS`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers import rsatoolbox_hdf5
from rsa_exp.rdms.readers.in_memory import ArrayRdms, Arrays, RsatoolboxRdms
from rsa_exp.rdms.readers.source import RdmSource

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

__all__ = ["FORMATS", "Arrays", "RdmFormat", "RdmInput", "RdmSource", "open_rdms"]

RdmInput: TypeAlias = "str | os.PathLike[str] | RDMs | Arrays"
"""A file, an ``rsatoolbox.rdm.RDMs`` object, or plain arrays."""

_HEAD = 1024  # bytes by which a format is recognised


class RdmFormat(Protocol):
    """A module that reads one format of files; its DESCRIPTION completes "is not ..."."""

    DESCRIPTION: str

    def can_read(self, path: Path, head: bytes) -> bool:
        """Whether a regular file that begins with `head` (at most 1024 bytes) is of this format."""
        ...

    def open_file(self, path: Path, *, image_key: str, row_key: str, row_kind: str) -> RdmSource:
        """Open a file that `can_read` recognised; an `InputError` if it cannot be used."""
        ...


FORMATS: tuple[RdmFormat, ...] = (rsatoolbox_hdf5,)


def open_rdms(
    source: RdmInput,
    *,
    image_key: str,
    row_key: str,
    row_kind: str,
    hint: str = "",
    name: str = "",
) -> RdmSource:
    """Open a source of RDMs.

    Parameters
    ----------
    source : path, rsatoolbox.rdm.RDMs or Arrays
        A file, whose format is recognised by its content; an object of rsatoolbox; or plain
        arrays. What is in memory is never changed.
    image_key : str
        Pattern descriptor with the names of the images; where there is none of that name, the only
        descriptor of strings is used. Arrays have their names already.
    row_key : str
        Descriptor with the names of the RDMs (ROIs, layers), with the same rule.
    row_kind : str
        What a row is, for messages: ``ROI`` or ``layer``.
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
    keys = {"image_key": image_key, "row_key": row_key, "row_kind": row_kind}
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _format_of(path, f"; {hint}" if hint else "").open_file(path, **keys)
    name = name or f"{row_kind} RDMs in memory"
    if isinstance(source, Arrays):
        return ArrayRdms(source, row_kind=row_kind, name=name)
    if hasattr(source, "dissimilarities") and hasattr(source, "rdm_descriptors"):
        return RsatoolboxRdms(source, **keys, name=name)
    unnamed = isinstance(source, Mapping)
    raise InputError(
        f"{name}: found {'arrays without names of images' if unnamed else type(source).__name__}; "
        "expected a file, an rsatoolbox.rdm.RDMs object, or rsa_exp.Arrays({name: array}, images)"
    )


def _format_of(path: Path, hint: str) -> RdmFormat:
    expected = " or ".join(known.DESCRIPTION for known in FORMATS)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"no file {path.name} in {path.parent.absolute()}{hint}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path!s:.200} cannot be opened: {reason}{hint}") from error
    if not stat.S_ISREG(mode):
        found = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
        raise InputError(f"{path} is {found}, not {expected}{hint}")
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}") from error
    for known in FORMATS:
        if known.can_read(path, head):
            return known
    if path.suffix in {".pkl", ".pickle", ".p"} or head[:1] == b"\x80":
        raise InputError(
            f"{path.name} is a pickle, which runs code when it is loaded; save it with "
            "rsatoolbox's RDMs.save(..., file_type='hdf5') and use that"
        )
    raise InputError(f"{path} is not {expected}")
