"""Loops that numpy cannot express, compiled by numba when they are first called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function of arrays and numbers; it runs without the interpreter's lock.

    The machine code is kept on disk for the next process, unless no folder for it can be written.
    """
    try:
        return cast(Function, numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # neither beside the source nor in the user's cache folder
        return cast(Function, numba.njit(nogil=True)(function))
