"""How every figure looks: type sizes, colours, markers, and matplotlib's settings."""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ParamSpec

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from rsa_exp.figures.layout.text import FONT_FAMILY

SINGLE_COLUMN = 3.5  # inches, the widths journals print at
DOUBLE_COLUMN = 7.2

PNG_DPI = 200

TITLE_SIZE = 9.0  # points; nothing is set below 7, the usual lower limit at print size
LABEL_SIZE = 8.0
SMALL_SIZE = 7.0

INK = "#262626"
GREY = "#6e6e6e"
GRID = "#dcdcdc"
RING = "#c4c4c4"  # grid of a circle, which has no axes beside it
UNDEFINED = "#c8c8c8"  # face of what has no score; hatched wherever there is room

NAME_LIMIT = 24  # characters of a name shown before its middle is elided

_CATEGORY_COLOURS = tuple(
    to_hex(sns.color_palette("colorblind")[i])
    for i in (0, 3, 2, 4, 1, 9, 5, 7)  # without yellow, which vanishes on white
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
MOST_LOOKS = len(_MARKERS)  # names that can each have a colour and a marker of their own
HEMISPHERE_MARKERS = {"LH": "<", "RH": ">"}

_SETTINGS: dict[Any, Any] = {
    "font.family": [FONT_FAMILY],
    "font.size": LABEL_SIZE,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": LABEL_SIZE,
    "axes.labelsize": LABEL_SIZE,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.5,
    "legend.fontsize": SMALL_SIZE,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.0,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": SMALL_SIZE,
    "ytick.labelsize": SMALL_SIZE,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "svg.fonttype": "none",  # text stays text: searchable, editable, smaller
    "svg.hashsalt": "rsa_exp",  # else element ids are random and no two files are the same
}

_P = ParamSpec("_P")


@contextmanager
def publication_style() -> Iterator[None]:
    """Plot under this package's settings alone, and leave the caller's as they were.

    The reader's own matplotlibrc is set aside too: the same table gives the same figure
    wherever it is plotted.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


_OF_RESULT = """
Parameters
----------
result : Plottable
    Of `rsa_exp.analyse`, or :class:`Tables`.
{ax}figure : Figure or SubFigure, optional
    To plot into, instead of a new figure of the size that is needed.

Returns
-------
Figure
    The whole figure.

Raises
------
NothingToPlot
    If the result has no numbers for this figure.
ValueError
    If a table has no rows or lacks a column, has two rows for one cell, names that are not
    among the scores', or scores of two metrics or models.

Examples
--------
>>> figures.{name}(result)  # doctest: +SKIP
"""
_AX = """ax : Axes, optional
    Emptied; becomes the first panel, and further panels, title, note and legends share its
    area.
"""


def styled(plot: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Make a figure function plot under :func:`publication_style`.

    The docstring of a figure of a result gets the sections that are the same for all of them.
    """
    parameters = inspect.signature(plot).parameters
    if "result" in parameters:
        ax = _AX if "ax" in parameters else ""
        sections = _OF_RESULT.format(ax=ax, name=plot.__name__)
        plot.__doc__ = f"{inspect.getdoc(plot)}\n{sections}"

    @functools.wraps(plot)
    def under_style(*args: _P.args, **kwargs: _P.kwargs) -> Figure:
        with publication_style():
            return plot(*args, **kwargs)

    return under_style


def restyle(ax: Axes) -> None:
    """Empty axes that were made under other settings, and give them those in force."""
    ax.clear()
    for side, spine in ax.spines.items():
        spine.set(visible=side in {"left", "bottom"}, edgecolor=INK, lw=_SETTINGS["axes.linewidth"])


def layer_colours(n_layer: int) -> list[str]:
    """Colours of layers by depth: viridis without its yellow end, which is lost on white."""
    if n_layer == 1:
        return [to_hex(mpl.colormaps["viridis"](0.25))]
    return [to_hex(mpl.colormaps["viridis"](0.9 * i / (n_layer - 1))) for i in range(n_layer)]


@dataclass(frozen=True)
class RoiLook:
    """Colour and marker of an ROI; the right hemisphere is dashed and open."""

    colour: str
    marker: str
    dashed: bool

    @property
    def line(self) -> str:
        """Line style."""
        return "--" if self.dashed else "-"

    @property
    def face(self) -> str:
        """Marker face colour."""
        return "white" if self.dashed else self.colour


def roi_looks(regions: Sequence[str], hemispheres: Sequence[str]) -> list[RoiLook]:
    """Look of each ROI: one colour and marker a region, a line style a hemisphere.

    Regions are the ROIs' own names where they have none. Colours repeat only after their every
    combination with the markers' order has been used, so 33 regions still look different.
    """
    order = list(dict.fromkeys(regions))
    looks = []
    for region, hemisphere in zip(regions, hemispheres, strict=True):
        turn, i = divmod(order.index(region), len(_CATEGORY_COLOURS))
        marker = _MARKERS[(i + turn) % len(_MARKERS)]
        looks.append(RoiLook(_CATEGORY_COLOURS[i], marker, dashed=hemisphere == "RH"))
    return looks


def distinct_looks(regions: Sequence[str], hemispheres: Sequence[str] = ()) -> list[RoiLook]:
    """Look of a few ROIs, or other things: each has a marker of its own, up to MOST_LOOKS."""
    looks = roi_looks(regions, hemispheres or [""] * len(regions))
    return [replace(look, marker=_MARKERS[i % len(_MARKERS)]) for i, look in enumerate(looks)]


def mean_colour() -> str:
    """Colour of a mean over subjects."""
    return _CATEGORY_COLOURS[0]


def subject_markers(subjects: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Legend names and markers of subjects: one marker each up to eight, beyond it one for all.

    A name is empty for a subject that the legend does not list.
    """
    if len(subjects) > len(_MARKERS):
        others = len(subjects) - 1
        return ("each subject", *[""] * others), ("o",) * len(subjects)
    return tuple(f"subject {name}" for name in subjects), _MARKERS[: len(subjects)]
