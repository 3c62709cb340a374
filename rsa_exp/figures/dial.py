"""The circles of a radar: what each shows, and sizes that leave room for the names around it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rsa_exp.figures.grid import Array, ScoreGrid
from rsa_exp.figures.page import MARGIN, Page
from rsa_exp.figures.style import DOUBLE_COLUMN, SINGLE_COLUMN, SMALL_SIZE
from rsa_exp.figures.text import line_height, shorten, text_width

_UPRIGHT = 12  # axes up to which names stand upright, beyond they run along their axis
TITLE_HEIGHT = 0.2
_SMALLEST, _LARGEST = 0.7, 1.3  # inches of radius
_CELL_GAP = 0.1
_LABEL_PAD = 0.08  # inches between the circle and names


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class Dial:
    """What one circle shows.

    Attributes
    ----------
    title : str
        Hemisphere, empty if there is only one circle for all.
    axes : tuple of str
        Regions or ROIs.
    scores : ndarray of shape (n_subject, n_axis, n_layer)
    """

    title: str
    axes: tuple[str, ...]
    scores: Array

    @property
    def undefined(self) -> list[bool]:
        """Whether an axis has no score at all, of each axis."""
        return [bool(np.isnan(self.scores[:, i]).all()) for i in range(len(self.axes))]


def dials_of(grid: ScoreGrid) -> list[Dial]:
    """One circle a hemisphere if they are known of every ROI, else one circle for all."""
    if not all(grid.hemispheres):
        return [Dial("", grid.rois, grid.scores)]
    sides = sorted(set(grid.hemispheres))
    title = {side: side if len(sides) > 1 else "" for side in sides}
    if all(grid.regions):
        regions = grid.by_region()
        by_side = [regions.scores[:, :, regions.hemispheres.index(side)] for side in sides]
        return [Dial(title[s], regions.names, x) for s, x in zip(sides, by_side, strict=True)]
    dials = []
    for side in sides:
        members = [i for i, name in enumerate(grid.hemispheres) if name == side]
        names = tuple(grid.rois[i] for i in members)
        dials.append(Dial(title[side], names, grid.scores[:, members]))
    return dials


@dataclass(frozen=True)
class DialPlan:
    """Sizes in inches that leave room for the names around every circle.

    A cell holds one circle with its names: `side` to the left and right of the centre, `above`
    and `below` it.
    """

    names: dict[str, str]
    columns: int
    rows: int
    radius: float
    side: float
    above: float
    below: float

    @property
    def width(self) -> float:
        """Width of the figure."""
        return max(SINGLE_COLUMN, self.columns * (2 * self.side + _CELL_GAP) + 2 * MARGIN)

    @property
    def cell_height(self) -> float:
        """Height of a circle with its names."""
        return self.above + self.below


def plan_dials(dials: Sequence[Dial]) -> DialPlan:
    """Choose the largest circles whose names fit; side by side if those are not too small.

    Names are shortened before circles stand one below the other; names that no circle leaves
    room for make the figure wider.
    """
    every = list(dict.fromkeys(name for dial in dials for name in dial.axes))
    largest = _LARGEST if len(dials[0].axes) <= _UPRIGHT else 1.2 * _LARGEST
    for columns in (2, 1) if len(dials) > 1 else (1,):
        room = (DOUBLE_COLUMN - 2 * MARGIN) / columns - _CELL_GAP
        for limit in (24, 18, 14):
            names = dict(zip(every, shorten(every, limit), strict=True))
            for radius in np.arange(largest, _SMALLEST, -0.05).tolist():
                reach = np.array([_reach(dial, names, radius) for dial in dials])
                side, above, below = reach.max(axis=0).tolist()
                above += TITLE_HEIGHT if dials[0].title else 0.0
                rows = -(-len(dials) // columns)
                plan = DialPlan(names, columns, rows, radius, side, above, below + 0.05)
                if 2 * side <= room:
                    return plan
    return plan


def _reach(dial: Dial, names: dict[str, str], radius: float) -> tuple[float, float, float]:
    """Inches that a circle with its names takes beside, above and below its centre."""
    line = line_height(SMALL_SIZE)
    outer = radius + _LABEL_PAD
    x, y = [-radius, radius], [-radius, radius]
    for i, name in enumerate(dial.axes):
        width = text_width(names[name] + " (n/a)" * dial.undefined[i], SMALL_SIZE) * 1.04
        east, north = _compass(i, len(dial.axes))
        if len(dial.axes) <= _UPRIGHT:
            ha, va = _alignment(east, north)
            left = outer * east - width * {"left": 0.0, "center": 0.5, "right": 1.0}[ha]
            low = outer * north - line * {"bottom": 0.0, "center": 0.5, "top": 1.0}[va]
            x += [left, left + width]
            y += [low, low + line]
        else:
            x += [(outer + width) * east - line / 2, (outer + width) * east + line / 2]
            y += [(outer + width) * north - line / 2, (outer + width) * north + line / 2]
    return max(-min(x), max(x)), max(y), -min(y)


def _compass(i: int, n: int) -> tuple[float, float]:
    """East and north of the i-th of n directions, clockwise from the north."""
    angle = 2 * np.pi * i / n
    return round(float(np.sin(angle)), 9), round(float(np.cos(angle)), 9)


def _alignment(east: float, north: float) -> tuple[str, str]:
    ha = "center" if abs(east) < 0.1 else "left" if east > 0 else "right"
    va = "center" if abs(north) < 0.4 else "bottom" if north > 0 else "top"
    return ha, va


def name_axes(page: Page, dial: Dial, plan: DialPlan, centre: tuple[float, float]) -> None:
    """Write the names around a circle whose centre is given in inches of the page's body."""
    outer = plan.radius + _LABEL_PAD
    for i, name in enumerate(dial.axes):
        east, north = _compass(i, len(dial.axes))
        x, y = centre[0] + outer * east, centre[1] + outer * north
        shown = plan.names[name] + " (n/a)" * dial.undefined[i]
        if len(dial.axes) <= _UPRIGHT:
            ha, va = _alignment(east, north)
            page.text(x, y, shown, ha=ha, va=va)
            continue
        turn = float(np.degrees(np.arctan2(north, east)))
        label = page.text(x, y, shown, ha="left" if east >= 0 else "right")
        label.set(rotation=turn if east >= 0 else turn + 180, rotation_mode="anchor")
