"""Figures on disk: whole or not at all, and the same bytes for the same table."""

import os
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rsa_exp.figures.style import PNG_DPI, publication_style

# Neither the date nor the version of the software may make two equal figures differ.
_FORMATS: dict[str, dict[str, Any]] = {
    # an RDM is noise to a compressor: trying harder takes three times as long for one percent
    "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}},
    "svg": {"metadata": {"Date": None, "Creator": None}},
}


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as ``<name>.png`` (200 dpi) and ``<name>.svg``, and close it.

    Both are written under temporary names in the same folder first, so that a run that is
    killed leaves no half a figure, nor one format without the other's being complete.

    Parameters
    ----------
    figure : Figure
        Emptied afterwards: its memory is given back, it cannot be saved again.
    folder : Path
        Made if it does not exist.
    name : str
        File name without its suffix.

    Returns
    -------
    list of Path
        The PNG and the SVG.

    Raises
    ------
    ValueError
        If the name is not a plain file name.
    """
    if not name or name in {".", ".."} or Path(name).name != name or "\\" in name:
        raise ValueError(f"{name!r} is not a plain file name: give the folder separately")
    folder.mkdir(parents=True, exist_ok=True)
    paths = {suffix: folder / f"{name}.{suffix}" for suffix in _FORMATS}
    partial = {suffix: folder / f".{name}.{os.getpid()}.{suffix}.part" for suffix in _FORMATS}
    try:
        with publication_style():
            for suffix, options in _FORMATS.items():
                figure.savefig(partial[suffix], format=suffix, dpi=PNG_DPI, **options)
        for suffix, path in paths.items():
            partial[suffix].replace(path)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    figure.clear()
    return list(paths.values())
