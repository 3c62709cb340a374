"""Layer profiles: how the score runs through the network, by level of the visual hierarchy."""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from rsa_exp.figures.layout.axis_names import AxisNames
from rsa_exp.figures.layout.bands import sem_band
from rsa_exp.figures.layout.legends import Legend
from rsa_exp.figures.layout.line_names import LEADER, name_lines
from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.score_grid import ScoreGrid, mean_sem
from rsa_exp.figures.layout.score_scale import ScoreScale, undefined_captions
from rsa_exp.figures.layout.style import (
    GREY,
    LABEL_SIZE,
    NAME_LIMIT,
    SMALL_SIZE,
    RoiLook,
    mean_colour,
    roi_looks,
    styled,
    subject_markers,
)
from rsa_exp.figures.layout.text import line_height, shorten, widest
from rsa_exp.figures.result import Array, Plottable, plotted_scores

_NARROWEST_PANEL, _WIDEST_PANEL = 1.05, 4.5  # inches
_LOWEST_PANEL = 1.9
_PANEL_GAP = 0.15
_TITLE = 0.2  # inches above a panel for its name


@styled
def profiles(
    result: Plottable, *, ax: Axes | None = None, figure: Figure | SubFigure | None = None
) -> Figure:
    """Plot scores over layers, a panel for each level of the visual hierarchy.

    With one subject every ROI is a line with its name at the end, and nothing is averaged.
    With several, a thin line is a subject's mean over the panel's ROIs, the bold one the mean
    over subjects with its SEM.
    """
    canvas, text = Canvas(ax, figure), result.text
    grid = ScoreGrid.of(plotted_scores(result))
    panels = _panels(grid)
    by_panel = [mean_sem(grid.scores[:, members], axis=1)[0] for _, members in panels]
    if grid.several:
        spreads = [mean_sem(scores) for scores in by_panel]
        values = [*by_panel, *(m - s for m, s in spreads), *(m + s for m, s in spreads)]
        scale = ScoreScale.of(np.vstack(values), text)
    else:
        scale = ScoreScale.of(grid.scores, text)

    rois = shorten(grid.rois, NAME_LIMIT)
    margins = [0.1 if grid.several else _name_margin(grid, members) for _, members in panels]
    most_lines = 1 if grid.several else max(len(members) for _, members in panels)
    height = max(_LOWEST_PANEL, most_lines * line_height(SMALL_SIZE) + 0.1)
    left = scale.left_margin(height) + MARGIN
    columns, panel_width = _columns(len(panels), canvas.most - left, max(margins))
    names = AxisNames.fit(grid.layers, panel_width / len(grid.layers))
    left = max(left, names.overhang + 0.05)
    columns, panel_width = _columns(len(panels), canvas.most - left, max(margins))

    n_row = -(-len(panels) // columns)
    pitch = panel_width + max(margins) + _PANEL_GAP
    width = max(canvas.least, left + columns * pitch - _PANEL_GAP + MARGIN)
    title = _TITLE if any(heading for heading, _ in panels) else 0.08
    row_height = title + height + names.height + 0.1
    legends = [Legend(_subject_entries(grid), width - 2 * MARGIN)] if grid.several else []
    page = Page(canvas, text, _captions(grid), width, n_row * row_height, legends)
    looks = roi_looks(grid.regions_or_rois, grid.hemispheres)
    for i, (heading, members) in enumerate(panels):
        row, column = divmod(i, columns)
        bottom = (n_row - 1 - row) * row_height + names.height + 0.05
        ax = page.axes(left + column * pitch, bottom, panel_width, height)
        scale.on_y(ax, labelled=column == 0)
        ax.set_xlim(-0.5, len(grid.layers) - 0.5)
        names.write(ax)
        if heading:
            x = left + column * pitch
            page.text(x, bottom + height, heading, offset=(0, 0.1), size=LABEL_SIZE)
        if column == 0:
            scale.label_y(page, left, bottom, height)
        if grid.several:
            _plot_subjects(ax, by_panel[i], grid)
        else:
            scores, own = grid.scores[0, members], [looks[j] for j in members]
            _plot_rois(ax, scores, own)
            name_lines(ax, scores, [rois[j] for j in members], own, (panel_width, height))
    return page.figure


def _panels(grid: ScoreGrid) -> list[tuple[str, tuple[int, ...]]]:
    """Heading of each level, and the indices of its ROIs in the grid."""
    panels = []
    levels = grid.by_level
    for level, rois in levels.items():
        title = level or ("" if len(levels) == 1 else "no level")
        if grid.several and title:
            title += f" ({len(rois)} {'ROI' if len(rois) == 1 else 'ROIs'})"
        panels.append((title, rois))
    return panels


def _name_margin(grid: ScoreGrid, members: Sequence[int]) -> float:
    names = shorten(grid.rois, NAME_LIMIT)
    undefined = np.isnan(grid.scores[0]).all(axis=1)
    shown = [names[i] + (" n/a" if undefined[i] else "") for i in members]
    return LEADER + widest(shown, SMALL_SIZE)


def _columns(n_panel: int, room: float, margin: float) -> tuple[int, float]:
    """How many panels stand side by side, and how wide each is in inches."""
    for columns in range(min(n_panel, 4), 0, -1):
        width = (room - MARGIN + _PANEL_GAP) / columns - _PANEL_GAP - margin
        if width >= _NARROWEST_PANEL:
            break
    return columns, min(max(width, _NARROWEST_PANEL), _WIDEST_PANEL)


def _plot_rois(ax: Axes, scores: Array, looks: Sequence[RoiLook]) -> None:
    for values, look in zip(scores, looks, strict=True):
        (line,) = ax.plot(values, color=look.colour, ls=look.line, lw=0.9, marker=look.marker)
        line.set(markersize=3.5, mfc=look.face, mec=look.colour, mew=0.7)


def _plot_subjects(ax: Axes, scores: Array, grid: ScoreGrid) -> None:
    _, markers = subject_markers(grid.subjects)
    for values, marker in zip(scores, markers, strict=True):
        ax.plot(values, color=GREY, lw=0.6, marker=marker, ms=3.0, mfc="white", mew=0.6)
    mean, sem = mean_sem(scores)
    sem_band(ax, mean, sem, mean_colour(), 0.25)
    ax.plot(mean, color=mean_colour(), lw=2.0, marker="o", ms=4.0, zorder=3, gid="mean")


def _subject_entries(grid: ScoreGrid) -> list[tuple[Artist, str]]:
    entries: list[tuple[Artist, str]] = [
        (Line2D([], [], color=mean_colour(), lw=2.0, marker="o", ms=4.0), "mean ± SEM")
    ]
    for name, marker in zip(*subject_markers(grid.subjects), strict=True):
        if name:
            line = Line2D([], [], color=GREY, lw=0.6, marker=marker, ms=3.0, mfc="white", mew=0.6)
            entries.append((line, name))
    return entries


def _captions(grid: ScoreGrid) -> list[str]:
    if grid.several:
        undefined = undefined_captions(grid.mean_scores, "gaps", grid.scores)
        return [
            "thin: a subject's mean over the ROIs of the panel",
            f"bold: mean ± SEM over {len(grid.subjects)} subjects",
            *undefined,
        ]
    captions = ["each line is one ROI; nothing is averaged"]
    if "RH" in grid.hemispheres and "LH" in grid.hemispheres:
        captions.append("solid: LH, dashed: RH")
    return captions + undefined_captions(grid.scores, "gaps")
