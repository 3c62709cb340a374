"""Names of images in a text file, one a line: for files of numbers alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers.source import Naming

__all__ = ["LIST_NAMES", "find_images", "label_texts", "read_names"]

LIST_NAMES = ("file_names.txt", "images.txt")
"""What a list of the images of all files of a folder is called; thingsvision writes the first."""

_MAX_BYTES = 2**26


def read_names(path: Path) -> list[str]:
    """Read a list of names from a text file.

    Parameters
    ----------
    path : Path
        UTF-8 text, one name a line, in the order of the rows that they name.

    Returns
    -------
    list of str
        Names without spaces around them. An empty line is an empty name, except at the end.

    Raises
    ------
    InputError
        If the file cannot be read, is not text, or is larger than a list of names can be.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} is larger than {_MAX_BYTES} bytes, which no list of names is")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InputError(f"{path} cannot be read as a list of names: {reason}") from error
    return [line.strip() for line in text.rstrip().split("\n")] if text.strip() else []


def find_images(path: Path, naming: Naming) -> tuple[list[str], list[Path]]:
    """Return the names of images for a file or folder that has none itself.

    They are those of `naming`; else those listed, one a line, in ``NAME_images.txt`` beside the
    file ``NAME.npy``, or in ``file_names.txt`` or ``images.txt`` in its folder (in the folder
    itself where `path` is one).

    Returns
    -------
    images : list of str
        Names in the order of the rows.
    files : list of Path
        The list that was read, if one was.

    Raises
    ------
    InputError
        If there is no list, or it cannot be read.
    """
    if naming.images is not None:
        return list(naming.images), []
    is_folder = path.is_dir()
    own = [] if is_folder else [path.with_name(f"{path.stem}_images.txt")]
    folder = path if is_folder else path.parent
    for candidate in (*own, *(folder / name for name in LIST_NAMES)):
        if candidate.is_file():
            return read_names(candidate), [candidate]
    section = "data" if naming.row_kind == "ROI" else "model"
    where = f"{path.name}/images.txt" if is_folder else f"{own[0].name} beside it"
    raise InputError(
        f"{path.name} has no names of images; list them in a text file, one a line, and name it "
        f"with {section}.image_names=FILE, or call it {where}"
    )


def label_texts(values: NDArray[Any]) -> list[object]:
    """Return labels as objects to be shown; numbers without decimals as integers (``1``, not 1.0).

    NaN, which is no label, becomes an empty one.
    """
    if values.dtype.kind != "f":
        return values.tolist()  # type: ignore[no-any-return]
    return [
        "" if np.isnan(value) else int(value) if float(value).is_integer() else value
        for value in values.tolist()
    ]
