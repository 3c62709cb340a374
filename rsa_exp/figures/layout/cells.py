"""Cells of a matrix: what is written in them, and how those without a value look."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from seaborn.utils import relative_luminance

from rsa_exp.figures.layout.axis_names import AxisNames
from rsa_exp.figures.layout.style import INK, SMALL_SIZE, UNDEFINED
from rsa_exp.figures.layout.text import literal

NO_VALUE = "#f2f2f2"  # face of what is hatched

_Colour = tuple[float, float, float, float]


def hatched(corner: tuple[float, float], width: float, height: float) -> Rectangle:
    """Box of something that has no value."""
    return Rectangle(corner, width, height, fc=NO_VALUE, ec=UNDEFINED, hatch="/////", lw=0.5)


def plot_cell(
    ax: Axes,
    cell: tuple[int, ...],
    written: str,
    face: _Colour | None,
    edge: str | None = None,
    kind: str = "cell",
) -> Text:
    """Write in a cell, given by its row and column; fill it where `edge` has a colour.

    A cell without a value has no face: it is hatched around what is written.
    """
    row, column = cell
    label = ax.text(column + 0.5, row + 0.5, written, size=SMALL_SIZE, color=INK)
    label.set(ha="center", va="center", linespacing=1.15, gid=f"{kind}-{row}-{column}")
    if face is None:
        ax.add_patch(hatched((column, row), 1, 1))
        label.set_bbox({"fc": NO_VALUE, "ec": "none", "pad": 0.8})
        return label
    label.set_color(readable_on(face))
    if edge is not None:
        ax.add_patch(Rectangle((column, row), 1, 1, fc=face, ec=edge, lw=0.5, clip_on=False))
    return label


def name_cells(ax: Axes, rows: Sequence[str], columns: AxisNames | None) -> None:
    """Name the rows of a matrix, and its columns."""
    if columns is not None:
        columns.write(ax, (np.arange(len(columns.names)) + 0.5).tolist())
    ax.set_yticks(np.arange(len(rows)) + 0.5, [literal(row) for row in rows], rotation=0)
    ax.tick_params(length=0, pad=3)


def outline(
    ax: Axes,
    corner: tuple[float, float],
    size: tuple[float, float],
    widths: tuple[float, float],
    **style: Any,
) -> None:
    """Outline a box, seen on every colour: white, and within it black, of two widths."""
    for width, colour in zip(widths, ("white", "black"), strict=True):
        box = Rectangle(corner, *size, fill=False, ec=colour, lw=width, clip_on=False, **style)
        ax.add_patch(box)


def readable_on(background: _Colour | str) -> str:
    """White on dark and middle tones (contrast 3.2 : 1 or more), ink on light ones (4.6 : 1).

    Where the two contrasts are equal, dark type on saturated blue is harder to read.
    """
    return "white" if relative_luminance(background) < 0.28 else INK
