"""Figures on disk: whole or not at all, and the same bytes for the same table."""

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rsa_exp.figures.layout.style import PNG_DPI, publication_style
from rsa_exp.files import write_bytes

__all__ = ["save"]

# Neither the date nor the version of the software may make two equal figures differ.
_FORMATS: dict[str, dict[str, Any]] = {
    # an RDM is noise to a compressor: trying harder takes three times as long for one percent
    "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}},
    "svg": {"metadata": {"Date": None, "Creator": None}},
}


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as ``<name>.png`` (200 dpi) and ``<name>.svg``, and close it.

    Neither is written before both are made, and each is written whole or not at all.

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

    Examples
    --------
    >>> figures.save(figures.heatmap(result), Path("figures"), "heatmap")  # doctest: +SKIP
    """
    if not name or name in {".", ".."} or Path(name).name != name or "\\" in name:
        raise ValueError(f"{name!r} is not a plain file name: give the folder separately")
    made = {suffix: BytesIO() for suffix in _FORMATS}
    with publication_style():
        for suffix, options in _FORMATS.items():
            figure.savefig(made[suffix], format=suffix, dpi=PNG_DPI, **options)
    figure.clear()
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_bytes(folder / f"{name}.{suffix}", stream.getvalue())
        for suffix, stream in made.items()
    ]
