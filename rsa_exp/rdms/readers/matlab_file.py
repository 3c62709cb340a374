"""A MATLAB file of any version that is read, recognised by its header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.hdf5 import MAGIC
from rsa_exp.rdms.readers.mat5 import read_mat5
from rsa_exp.rdms.readers.mat73 import Mat73
from rsa_exp.rdms.readers.mat_variables import Variable

__all__ = ["MatlabFile", "is_matlab", "struct_arrays"]

_HDF5_AT = 512  # bytes of MATLAB's own header of version 7.3


def is_matlab(path: Path, head: bytes) -> bool:
    """Whether a file that begins with `head` is MATLAB's, perhaps of a version that is not read.

    Version 4 has no mark: a name that ends in ``.mat`` then counts, unless the file is HDF5 or a
    pickle.
    """
    named = path.suffix.lower() == ".mat" and bool(head)
    return head.startswith(b"MATLAB ") or (named and not head.startswith((MAGIC, b"\x80")))


def struct_arrays(
    variables: Mapping[str, Variable],
) -> tuple[dict[str, Sequence[dict[str, Variable]]], list[str]]:
    """Return the entries of each struct array, and why others (of objects, say) are not read."""
    found: dict[str, Sequence[dict[str, Variable]]] = {}
    problems = []
    for name, variable in variables.items():
        try:
            found[name] = variable.load() if variable.kind == "structs" else []
        except InputError as error:
            problems.append(str(error))
    return found, problems


class MatlabFile:
    """A file's variables; an `InputError` if it cannot be read.

    Attributes
    ----------
    variables : dict of str to Variable
        By name, in the order of the file.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as stream:
            head = stream.read(_HDF5_AT + len(MAGIC))
        self._hdf5 = Mat73(path) if head[_HDF5_AT:] == MAGIC else None
        self.variables: dict[str, Variable] = (
            read_mat5(path) if self._hdf5 is None else self._hdf5.variables
        )

    def close(self) -> None:
        """Close the file."""
        if self._hdf5 is not None:
            self._hdf5.close()
