"""The record of what an analysis read: files, rows, and digests of their content."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash

if TYPE_CHECKING:
    from rsa_exp.rdms.readers import RdmSource

__all__ = ["FileState", "InputRecord", "content_digest", "input_records"]


@dataclass(frozen=True)
class FileState:
    """Size and time of a file, by which it is taken to be unchanged without being read.

    Attributes
    ----------
    path : str
        Absolute path.
    size : int
        Bytes.
    mtime_ns : int
        Time of the last change, in ns since 1970.
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
    """What was read from one file, or from RDMs in memory.

    Attributes
    ----------
    role : str
        ``brain`` or ``model``.
    name, path : str
        File name and absolute path; the path is empty for RDMs in memory.
    digest : str
        xxh3_128 of the image names and of the rows used, 32 hex digits.
    rows : dict of str to str
        xxh3_128 of each row used.
    n_images, n_rdms : int
        Images and RDMs in the whole file.
    subject : str
        The subject; empty for a model.
    """

    role: str
    name: str
    path: str
    digest: str
    rows: dict[str, str]
    n_images: int
    n_rdms: int
    subject: str = ""

    @classmethod
    def of(
        cls, source: RdmSource, subject: str, names: Collection[str] | None = None
    ) -> InputRecord:
        """Return the record of the rows (of these names) that have been read from a source."""
        rows = source.row_digests(names)
        return cls(
            role="brain" if subject else "model",
            name=source.name,
            path="" if source.path is None else str(source.path.absolute()),
            digest=content_digest(source.labels, rows),
            rows=rows,
            n_images=len(source.images),
            n_rdms=len(source.row_names),
            subject=subject,
        )


def input_records(
    sources: Mapping[str, RdmSource], used: Mapping[str, Collection[str]] | None = None
) -> list[InputRecord]:
    """Return the records of what has been read from each source, as `Study.inputs` does.

    `sources` are named by their subject, the model's by an empty name.
    """
    records = [
        InputRecord.of(source, subject, None if used is None else used.get(subject, ()))
        for subject, source in sources.items()
    ]
    return [record for record in records if record.rows]


def content_digest(images: Sequence[str], rows: Mapping[str, str]) -> str:
    """Return one digest (xxh3_128, 32 hex digits) of image names and of digests of rows."""
    state = xxhash.xxh3_128("\0".join(images).encode())
    for key, digest in rows.items():
        state.update(f"\0{key}\0{digest}".encode())
    return state.hexdigest()
