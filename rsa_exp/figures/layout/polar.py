"""The circles of a radar: what each shows, and sizes that leave room for the names around it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.patheffects import withStroke
from matplotlib.projections.polar import PolarAxes

from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.score_grid import ScoreGrid
from rsa_exp.figures.layout.score_scale import ScoreScale, mark_empty
from rsa_exp.figures.layout.style import GREY, INK, LABEL_SIZE, RING, SMALL_SIZE
from rsa_exp.figures.layout.text import SLACK, line_height, shorten, text_width
from rsa_exp.figures.result import Array

_UPRIGHT = 12  # axes up to which names stand upright, beyond they run along their axis
_TITLE = 0.2  # inches above a circle for its title
_SMALLEST, _LARGEST = 0.7, 1.3  # inches of radius
_CLOSEST = 0.15  # inches between rings whose numbers are written
_CELL_GAP = 0.1
_LABEL_PAD = 0.08  # inches between the circle and names


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class Circle:
    """What one circle shows."""

    title: str  # hemisphere, empty if there is only one circle for all
    axes: tuple[str, ...]  # regions or ROIs, clockwise from the north
    scores: Array  # (n_subject, n_axis, n_layer)

    def shown(self, i: int, names: Mapping[str, str]) -> str:
        """Name written at the i-th axis, marked if the axis has no score at all."""
        undefined = np.isnan(self.scores[:, i]).all()
        return names[self.axes[i]] + (" (n/a)" if undefined else "")

    @property
    def upright(self) -> bool:
        """Whether names stand upright: if there are few."""
        return len(self.axes) <= _UPRIGHT

    @property
    def angles(self) -> Array:
        """Angle of each axis, radians clockwise from the north, array of shape (n_axis,)."""
        return np.arange(len(self.axes)) * 2 * np.pi / len(self.axes)


def circles_of(grid: ScoreGrid) -> list[Circle]:
    """One circle a hemisphere if they are known of every ROI, else one circle for all."""
    if not all(grid.hemispheres):
        return [Circle("", grid.rois, grid.scores)]
    sides = sorted(set(grid.hemispheres))
    title = {side: side if len(sides) > 1 else "" for side in sides}
    if all(grid.regions):
        regions = grid.by_region()
        by_side = [regions.scores[:, :, regions.hemispheres.index(side)] for side in sides]
        return [Circle(title[s], regions.names, x) for s, x in zip(sides, by_side, strict=True)]
    circles = []
    for side in sides:
        members = [i for i, name in enumerate(grid.hemispheres) if name == side]
        names = tuple(grid.rois[i] for i in members)
        circles.append(Circle(title[side], names, grid.scores[:, members]))
    return circles


@dataclass(frozen=True)
class CirclePlan:
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
    least: float

    @property
    def width(self) -> float:
        """Width of the figure."""
        return max(self.least, self.columns * (2 * self.side + _CELL_GAP) + 2 * MARGIN)

    @property
    def cell_height(self) -> float:
        """Height of a circle with its names."""
        return self.above + self.below

    def centre(self, i: int, top: float) -> tuple[float, float]:
        """Centre of the i-th circle, inches of a page's body whose circles begin at `top`."""
        row, column = divmod(i, self.columns)
        x = (column + 0.5) * self.width / self.columns
        return x, top - row * self.cell_height - self.above


def plan_circles(circles: Sequence[Circle], canvas: Canvas) -> CirclePlan:
    """Choose the largest circles whose names fit; side by side if those are not too small.

    Names are shortened before circles stand one below the other; names that no circle leaves
    room for make the figure wider.
    """
    every = list(dict.fromkeys(name for circle in circles for name in circle.axes))
    largest = _LARGEST * (1.0 if circles[0].upright else 1.2)
    for columns in (2, 1) if len(circles) > 1 else (1,):
        room = (canvas.most - 2 * MARGIN) / columns - _CELL_GAP
        for limit in (24, 18, 14):
            names = dict(zip(every, shorten(every, limit), strict=True))
            for radius in np.arange(largest, _SMALLEST, -0.05).tolist():
                reach = np.array([_reach(circle, names, radius) for circle in circles])
                side, above, below = reach.max(axis=0).tolist()
                above += _TITLE if circles[0].title else 0.0
                rows = -(-len(circles) // columns)
                sizes = (radius, side, above, below + 0.05)
                plan = CirclePlan(names, columns, rows, *sizes, canvas.least)
                if 2 * side <= room:
                    return plan
    return plan


def _reach(circle: Circle, names: dict[str, str], radius: float) -> tuple[float, float, float]:
    """Inches that a circle with its names takes beside, above and below its centre."""
    line = line_height(SMALL_SIZE)
    outer = radius + _LABEL_PAD
    x, y = [-radius, radius], [-radius, radius]
    for i in range(len(circle.axes)):
        width = text_width(circle.shown(i, names), SMALL_SIZE) * SLACK
        east, north = _compass(circle.angles[i])
        if circle.upright:
            ha, va = _alignment(east, north)
            left = outer * east - width * {"left": 0.0, "center": 0.5, "right": 1.0}[ha]
            low = outer * north - line * {"bottom": 0.0, "center": 0.5, "top": 1.0}[va]
            x += [left, left + width]
            y += [low, low + line]
        else:
            x += [(outer + width) * east - line / 2, (outer + width) * east + line / 2]
            y += [(outer + width) * north - line / 2, (outer + width) * north + line / 2]
    return max(-min(x), max(x)), max(y), -min(y)


def _compass(angle: float) -> tuple[float, float]:
    """East and north of a direction, radians clockwise from the north."""
    return round(float(np.sin(angle)), 9), round(float(np.cos(angle)), 9)


def _alignment(east: float, north: float) -> tuple[str, str]:
    ha = "center" if abs(east) < 0.1 else "left" if east > 0 else "right"
    va = "center" if abs(north) < 0.4 else "bottom" if north > 0 else "top"
    return ha, va


def add_circle(
    page: Page, circle: Circle, plan: CirclePlan, centre: tuple[float, float], scale: ScoreScale
) -> PolarAxes:
    """Add a circle without its lines: rings and their numbers, names around, title above.

    `centre` is in inches of the page's body.
    """
    x, y = centre
    square = (x - plan.radius, y - plan.radius, 2 * plan.radius, 2 * plan.radius)
    ax = page.part.add_axes(page.box(*square), projection="polar")
    assert isinstance(ax, PolarAxes)  # noqa: S101 - asked for as such
    ax.set_theta_zero_location("N")
    ax.set_theta_direction(-1)
    ax.set_xticks(circle.angles, [""] * len(circle.axes))
    _add_rings(ax, circle, scale, plan.radius)
    if not scale.defined:
        mark_empty(ax)
    _name_axes(page, circle, plan, centre)
    if circle.title:
        page.text(x, y + plan.above - _TITLE / 2, circle.title, size=LABEL_SIZE, ha="center")
    return ax


def _add_rings(ax: PolarAxes, circle: Circle, scale: ScoreScale, radius: float) -> None:
    low, high, ticks = radial_axis(scale)
    ax.set_rlim(low, high)
    ax.set_yticks(ticks, [""] * len(ticks))
    per_inch = (high - low) / radius
    every = int(np.ceil(_CLOSEST * per_inch / (ticks[1] - ticks[0]))) if len(ticks) > 1 else 1
    between = np.pi / len(circle.axes)
    numbered = ticks[(len(ticks) - 1) % every :: every]
    for value in numbered:
        if (value - low) / (high - low) > 0.2:
            label = ax.text(between, value, scale.tick(value), size=SMALL_SIZE, color=GREY)
            label.set(ha="center", va="center", zorder=5.0)
            label.set_path_effects([withStroke(linewidth=2.0, foreground="white")])
    ax.grid(color=RING, lw=0.5)
    ax.spines["polar"].set(color=RING, lw=0.6)
    if low < 0 <= high and scale.anchored:
        ring = np.linspace(0, 2 * np.pi, 181)
        ax.plot(ring, np.zeros_like(ring), color=INK, lw=0.8, gid="zero")


def radial_axis(scale: ScoreScale) -> tuple[float, float, list[float]]:
    """Centre, edge and rings of a circle: the centre is zero or a round number below the least.

    A centre at zero is only right for scores that are positive and have zero as null value.
    """
    ticks = list(scale.ticks)
    if len(ticks) < 2 or (scale.anchored and scale.low == 0.0):
        centre = scale.low
    else:
        step = ticks[1] - ticks[0]
        centre = float(np.floor(scale.low / step) * step)
    rings = [tick for tick in ticks if tick > centre]
    return centre, scale.high, rings


def closed(values: Array) -> Array:
    """Return values along a closed line: the first again at the end."""
    return np.append(values, values[:1])


def _name_axes(page: Page, circle: Circle, plan: CirclePlan, centre: tuple[float, float]) -> None:
    """Write the names around a circle whose centre is given in inches of the page's body."""
    outer = plan.radius + _LABEL_PAD
    for i in range(len(circle.axes)):
        east, north = _compass(circle.angles[i])
        x, y = centre[0] + outer * east, centre[1] + outer * north
        shown = circle.shown(i, plan.names)
        if circle.upright:
            ha, va = _alignment(east, north)
            page.text(x, y, shown, ha=ha, va=va)
            continue
        turn = float(np.degrees(np.arctan2(north, east)))
        label = page.text(x, y, shown, ha="left" if east >= 0 else "right")
        label.set(rotation=turn if east >= 0 else turn + 180, rotation_mode="anchor")
