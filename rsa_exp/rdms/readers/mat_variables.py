"""What MATLAB files hold, whatever their version: variables with a shape, read when asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rsa_exp.errors import InputError

__all__ = ["Variable", "numbers", "texts"]


@dataclass(frozen=True)
class Variable:
    """A variable, a field of a struct, or an entry of a cell array.

    Attributes
    ----------
    name : str
        What it is called in messages.
    shape : tuple of int
        As in MATLAB; of a text (n_text, n_character).
    kind : {'numbers', 'text', 'cells', 'structs', 'other'}
        ``other`` is never read: objects, function handles, sparse and complex numbers.
    load : callable
        Returns what it holds: an array of that shape; a list of str, one a row; a list of
        `Variable`; a list of dicts of fields (column-major both).
    """

    name: str
    shape: tuple[int, ...]
    kind: Literal["numbers", "text", "cells", "structs", "other"]
    load: Callable[[], Any]

    @property
    def count(self) -> int:
        """Number of names it has, if it holds names: rows of text, or cells."""
        if self.kind == "text":
            return self.shape[0] if self.shape else 0
        return math.prod(self.shape) if self.kind == "cells" else 0

    @property
    def is_vector(self) -> bool:
        """Whether it holds numbers in one row or one column."""
        return self.kind == "numbers" and len(self.shape) == 2 and 1 in self.shape


def texts(variable: Variable) -> list[str]:
    """Return rows of text, or a cell array of texts; an `InputError` if it is neither."""
    if variable.kind == "text":
        return [str(text).rstrip() for text in variable.load()]
    found = []
    for number, cell in enumerate(variable.load() if variable.kind == "cells" else (), 1):
        if (cell.kind == "text" and cell.count <= 1) or 0 in cell.shape:
            found += (texts(cell) if cell.kind == "text" else []) or [""]
        else:
            raise InputError(f"'{variable.name}' has a cell {number} that is no text")
    return found


def numbers(variable: Variable) -> list[object]:
    """Return the numbers of a vector, or texts: labels of rows."""
    if variable.kind == "numbers":
        return list(np.ravel(variable.load(), order="F"))
    return list(texts(variable))
