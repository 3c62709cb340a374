"""Where the files of a recorded run are read from: a folder, or what has the methods of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rsa_exp.errors import InputError
from rsa_exp.files import copy_file
from rsa_exp.runs.manifest import MAX_BYTES

__all__ = ["FolderFiles", "NoFiles", "RunFiles"]


class RunFiles(Protocol):
    """The files of a recorded run, in a folder or in a tracking store.

    What is not a run's file, or cannot be read or copied, raises `InputError`.
    """

    @property
    def location(self) -> str:
        """The folder, or the store's address."""

    def read_text(self, name: str) -> str | None:
        """Return the contents of a text file; None if there is none of that name."""

    def copy_to(self, folder: Path) -> list[Path]:
        """Copy all files, figures too, and return the copies."""


@dataclass(frozen=True)
class NoFiles:
    """The files of a run that has none, or none that can be read."""

    location: str

    def read_text(self, name: str) -> None:
        """Return None."""

    def copy_to(self, folder: Path) -> list[Path]:  # noqa: ARG002
        """Return no files."""
        return []


@dataclass(frozen=True)
class FolderFiles:
    """The files of a run or a sweep's summary in a folder.

    Attributes
    ----------
    folder : Path
        Where they are.
    names : list of str or None
        What belongs to it, relative to the folder; None is every file there and in ``figures/``.
    """

    folder: Path
    names: list[str] | None = None

    @property
    def location(self) -> str:
        """The folder."""
        return str(self.folder)

    def read_text(self, name: str) -> str | None:
        """Return the contents of a text file, as `RunFiles.read_text`."""
        path = self.folder / name
        try:
            if not path.is_file():
                return None
            if path.stat().st_size > MAX_BYTES:
                raise InputError(f"{path} is larger than a run's file can be")
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not text: it is damaged") from error
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error

    def copy_to(self, folder: Path) -> list[Path]:
        """Copy all files, as `RunFiles.copy_to`; a link is refused."""
        names = self.names
        if names is None:
            found = [*self.folder.glob("*"), *(self.folder / "figures").glob("*")]
            names = [path.relative_to(self.folder).as_posix() for path in found if path.is_file()]
        return [copy_file(name, self.folder, folder) for name in names]
