"""What is kept of the files that a run read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["FileState", "InputRecord"]


@dataclass(frozen=True)
class FileState:
    """What a file's content is taken to be the same by, without reading it.

    Attributes
    ----------
    path : str
        Absolute path.
    size : int
        Bytes.
    mtime_ns : int
        When it was written to last, in ns since 1970.
    """

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Return a file's state now."""
        found = path.stat()
        return cls(str(path.absolute()), found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class InputRecord:
    """What was read from one file.

    Attributes
    ----------
    role : str
        ``brain`` or ``model``.
    name, path : str
        File name and absolute path.
    digest : str
        xxh3_128 of the image names and of the rows used, 32 hex digits.
    rows : dict of str to str
        xxh3_128 of each row used.
    n_images, n_rdms : int
        Images and RDMs in the whole file.
    subject : str
        Whose it is; empty for a model's.
    """

    role: str
    name: str
    path: str
    digest: str
    rows: dict[str, str]
    n_images: int
    n_rdms: int
    subject: str = ""
