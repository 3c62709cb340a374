"""Cells of a matrix: what is written in them, and how those without a value look."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from rsa_exp.figures.layout.style import INK, SMALL_SIZE, UNDEFINED

NO_VALUE = "#f2f2f2"  # face of what is hatched
_HATCH = "/////"


def hatched(corner: tuple[float, float], width: float, height: float) -> Rectangle:
    """Box of something that has no value."""
    return Rectangle(corner, width, height, fc=NO_VALUE, ec=UNDEFINED, hatch=_HATCH, lw=0.5)


def write_cell(ax: Axes, cell: tuple[int, int], written: str, gid: str) -> Text:
    """Write in the middle of a cell, given by its row and column."""
    row, column = cell
    label = ax.text(column + 0.5, row + 0.5, written, size=SMALL_SIZE, color=INK, gid=gid)
    label.set(ha="center", va="center", linespacing=1.15)
    return label


def hatch_cell(ax: Axes, cell: tuple[int, int], label: Text) -> None:
    """Hatch a cell that has no value, around the label that says so."""
    row, column = cell
    ax.add_patch(hatched((column, row), 1, 1))
    label.set_bbox({"fc": NO_VALUE, "ec": "none", "pad": 0.8})


def readable_on(background: tuple[float, float, float, float]) -> str:
    """White on dark and middle tones (contrast 3.2 : 1 or more), ink on light ones (4.6 : 1).

    Where the two contrasts are equal, dark type on saturated blue is harder to read.
    """
    return "white" if _luminance(background) < 0.28 else INK


def _luminance(colour: tuple[float, float, float, float]) -> float:
    """Relative luminance, in [0, 1] (WCAG 2)."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))
