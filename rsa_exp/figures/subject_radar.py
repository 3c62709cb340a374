"""Radar of subjects: each subject's pattern of scores over ROIs, overlaid, a circle a layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.projections.polar import PolarAxes

from rsa_exp.figures.dial import Dial, closed, draw_dial, plan_dials
from rsa_exp.figures.grid import ScoreGrid, mean_sem
from rsa_exp.figures.key import Key
from rsa_exp.figures.lollipop import lollipops
from rsa_exp.figures.page import MARGIN, Legend, Page
from rsa_exp.figures.radar import FEWEST_AXES, MOST_LAYERS, evenly_spaced
from rsa_exp.figures.score_scale import ScoreScale, say_undefined
from rsa_exp.figures.style import GREY, INK, MOST_LOOKS, NAME_LIMIT, SMALL_SIZE, plain_looks, styled
from rsa_exp.figures.text import FigureText, line_height, shorten

_MOST_COLUMNS = 3
_SMALLEST, _LARGEST, _ALONE = 0.5, 0.95, 1.3  # inches of radius; the last of a single row
_MOST_NAMES = 12  # axes, beyond which they have numbers and a key
_MOST_NUMBERS = 40  # beyond which only some have
_BOLD = 1.8  # points
_UNDEFINED = "∗"


@styled
def subject_radar_figure(table: pd.DataFrame, text: FigureText) -> Figure:
    """Draw a circle for each of <= 6 layers, an axis an ROI, a closed line a subject.

    Over the subjects lies their mean. All circles have one radial scale. Where every region has
    an ROI in either hemisphere, the left ones stand on the left as mirror images of the right
    ones. More than twelve ROIs have numbers, with their names below. With fewer than three ROIs
    there is no area to draw; the same scores are then shown as lollipops.

    Parameters
    ----------
    table : DataFrame
        One row per subject, ROI and layer.
    text : FigureText
        Title, note, and how to read the score.

    Raises
    ------
    ValueError
        As :meth:`ScoreGrid.of`.
    """
    grid = ScoreGrid.of(table)
    if len(grid.rois) < FEWEST_AXES:
        return lollipops(
            [(name, grid.scores[:, i]) for i, name in enumerate(grid.rois)], grid, text
        )
    around = _Around.of(grid)
    titles = shorten(grid.layers, NAME_LIMIT)
    dials = [
        Dial(
            titles[layer],
            around.names,
            grid.scores[:, around.order][:, :, [layer]],
            0.5 if around.mirrored else 0.0,
            _UNDEFINED,
        )
        for layer in evenly_spaced(len(grid.layers), MOST_LAYERS)
    ]
    scale = ScoreScale.of(np.concatenate([dial.scores.ravel() for dial in dials]), text)

    rows = -(-len(dials) // _MOST_COLUMNS)
    even = -(-len(dials) // rows)
    radii = (_SMALLEST, _LARGEST if rows > 1 else _ALONE)
    plan = plan_dials(dials, tuple(range(even, 0, -1)), radii)
    lines = _lines(grid)
    legend = Legend(_entries(grid, lines), plan.width - 2 * MARGIN)
    key = Key(around.key, plan.width) if around.key else None
    below = 2.2 * line_height(SMALL_SIZE) + (key.height if key else 0.0)
    body = plan.rows * plan.cell_height + below
    captions = _captions(grid, dials, text, mirrored=around.mirrored)
    page = Page(text, captions, plan.width, body, [legend])
    for i, dial in enumerate(dials):
        ax = draw_dial(page, dial, plan, plan.centre(i, body), scale, numbers_above=False)
        _draw_subjects(ax, dial, lines)
    label = f"radial axis of every circle: {scale.label}"
    page.text(plan.width / 2, below - 0.18, label, ha="center")
    if key:
        key.draw(page, key.height)
    return page.figure


@dataclass(frozen=True)
class _Around:
    """How ROIs stand around a circle.

    Attributes
    ----------
    order : tuple of int
        Positions of the ROIs clockwise.
    names : tuple of str
        What is written at them.
    key : tuple of str
        Names that the numbers stand for, of regions if those are mirrored; empty if the names
        themselves are written.
    mirrored : bool
        Whether the hemispheres are mirror images.
    """

    order: tuple[int, ...]
    names: tuple[str, ...]
    key: tuple[str, ...]
    mirrored: bool

    @classmethod
    def of(cls, grid: ScoreGrid) -> "_Around":
        """Mirror the hemispheres if every region has one ROI in each; else keep the order."""
        parts = list(zip(grid.regions, grid.hemispheres, strict=True))
        regions = tuple(dict.fromkeys(grid.regions))
        pairs = {(region, side) for region in regions for side in ("LH", "RH")}
        mirrored = all(regions) and len(parts) == len(pairs) and set(parts) == pairs
        order, key = tuple(range(len(parts))), grid.rois
        numbers = list(range(1, len(parts) + 1))
        if mirrored:
            right = [parts.index((region, "RH")) for region in regions]
            left = [parts.index((region, "LH")) for region in regions]
            order, key = (*right, *left[::-1]), regions
            numbers = numbers[: len(regions)] + numbers[: len(regions)][::-1]
        if len(order) <= _MOST_NAMES:
            return cls(order, tuple(grid.rois[i] for i in order), (), mirrored)
        every = -(-len(order) // _MOST_NUMBERS)
        names = tuple("" if (number - 1) % every else f"{number}" for number in numbers)
        return cls(order, names, key, mirrored)


@dataclass(frozen=True)
class _Line:
    """How a subject is drawn."""

    colour: str
    marker: str
    width: float


def _lines(grid: ScoreGrid) -> list[_Line]:
    if len(grid.subjects) > MOST_LOOKS:
        return [_Line(GREY, "", 0.5)] * len(grid.subjects)
    return [_Line(look.colour, look.marker, 1.0) for look in plain_looks(grid.subjects)]


def _draw_subjects(ax: PolarAxes, dial: Dial, lines: Sequence[_Line]) -> None:
    around = closed(dial.angles)
    scores = dial.scores[:, :, 0]
    for i, (values, line) in enumerate(zip(scores, lines, strict=True)):
        (drawn,) = ax.plot(around, closed(values), color=line.colour, lw=line.width, zorder=3)
        drawn.set(marker=line.marker, markersize=3.0, mew=0, clip_on=False, gid=f"subject-{i}")
    if len(scores) > 1:
        (drawn,) = ax.plot(around, closed(mean_sem(scores)[0]), color=INK, lw=_BOLD, zorder=4)
        drawn.set(marker="o", markersize=_BOLD, clip_on=False, gid="mean")


def _entries(grid: ScoreGrid, lines: Sequence[_Line]) -> list[tuple[Artist, str]]:
    """Legend of several subjects; one needs none."""
    if not grid.several:
        return []
    entries: list[tuple[Artist, str]] = [(Line2D([], [], color=INK, lw=_BOLD), "mean")]
    if len(lines) > MOST_LOOKS:
        return [*entries, (Line2D([], [], color=GREY, lw=0.5), "each subject")]
    for name, line in zip(grid.subjects, lines, strict=True):
        handle = Line2D([], [], color=line.colour, lw=line.width, marker=line.marker, ms=3.0)
        entries.append((handle, f"subject {name}"))
    return entries


def _captions(
    grid: ScoreGrid, dials: Sequence[Dial], text: FigureText, *, mirrored: bool
) -> list[str]:
    captions = ["a circle is a layer, an axis an ROI"]
    if grid.several:
        captions.append(
            f"thin: each subject; bold: mean over {len(grid.subjects)} subjects (no SEM drawn)"
        )
    if mirrored:
        captions.append("left half: LH, right half: RH, a region at the same height in both")
    if len(dials) < len(grid.layers):
        captions.append(f"{len(dials)} of {len(grid.layers)} layers, evenly spaced by depth")
    if not text.greater_is_better:
        captions.append("nearer the centre is better")
    scores = np.concatenate([dial.scores for dial in dials], axis=2)
    if text.signed and np.isfinite(scores).any() and np.nanmin(scores) < 0:
        captions.append("dark ring: zero")
    elif not text.signed:
        captions.append("the centre is not zero")
    return captions + say_undefined(
        mean_sem(scores)[0], f"gaps, {_UNDEFINED}", scores if grid.several else None
    )
