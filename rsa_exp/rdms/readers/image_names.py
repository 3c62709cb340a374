"""Names that files give to images, runs and sessions: text or numbers, none of them missing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rsa_exp.errors import InputError

__all__ = ["NAMES_NEEDED", "checked_names"]

NAMES_NEEDED = (
    "give a list of the images' names in the order of the file, one a line, with "
    "data.image_names=FILE, for a model with model.image_names=FILE"
)


def checked_names(values: Iterable[object], what: str) -> list[str | bytes]:
    """Return names as text or bytes; whole numbers without a point.

    Parameters
    ----------
    values : iterable
        Strings, bytes or numbers.
    what : str
        Begins the message: ``file.mat: 'images'``.

    Raises
    ------
    InputError
        If one is empty or NaN; its row is counted from 1.
    """
    names = [_name(value) for value in values]
    missing = [row for row, name in enumerate(names, 1) if not name.strip()]
    if missing:
        more = f" (and of {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(f"{what} has no name in row {missing[0]}{more}; {NAMES_NEEDED}")
    return names


def _name(value: object) -> str | bytes:
    if isinstance(value, bytes | str):
        return value
    if isinstance(value, np.floating | float):
        number = float(value)
        return "" if np.isnan(number) else f"{number:.15g}"
    return str(value)
