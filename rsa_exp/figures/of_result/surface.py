"""Surface: scores as a landscape over layers and ROIs."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from matplotlib.figure import Figure, SubFigure
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection
from mpl_toolkits.mplot3d.axes3d import Axes3D
from mpl_toolkits.mplot3d.proj3d import proj_transform

from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.score_grid import ScoreGrid
from rsa_exp.figures.layout.score_scale import ScoreScale, undefined_captions
from rsa_exp.figures.layout.style import GRID, INK, LABEL_SIZE, NAME_LIMIT, SMALL_SIZE, styled
from rsa_exp.figures.layout.text import SLACK, line_height, shorten, text_width, widest
from rsa_exp.figures.result import Array, Plottable, plotted_scores

_ELEVATION, _AZIMUTH = 33.0, -55.0  # degrees: both name axes in front, neither foreshortened
_BOX = (1.3, 1.15, 0.75)  # layers x ROIs x score
_ZOOM = 1.12
_SIDE = 4.4  # inches of the square that the box is projected into
_BAR = 1.6  # inches of colour bar
_PAD = 0.08  # inches between an edge of the box and its names

_LEFT, _FRONT, _RIGHT = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0)  # corners of the floor


@styled
def surface(result: Plottable, *, figure: Figure | SubFigure | None = None) -> Figure:
    """Plot ROI x layer scores as a surface coloured by score.

    A patch stands where all four of its corners are defined, a stem where a score is defined
    but has no patch. With one ROI or one layer there is no patch, and a line joins the stems.
    It cannot be plotted into an Axes of the caller's: its axes have three dimensions.
    """
    canvas, text = Canvas(figure=figure), result.text
    grid = ScoreGrid.of(plotted_scores(result))
    mean = grid.mean_scores
    scale = ScoreScale.of(mean, text)
    layers = _EdgeNames(grid.layers, _LEFT, _FRONT)
    rois = _EdgeNames(grid.rois, _FRONT, _RIGHT)

    box = np.array([on_page(corner) for corner in np.ndindex(2, 2, 2)])
    height = float(np.diff([on_page(_LEFT)[1], on_page((0.0, 0.0, 1.0))[1]])[0])
    score_room = scale.left_margin(height) + _PAD
    ends = np.vstack([box, layers.ends, rois.ends, box.min(axis=0) - (score_room, 0.0)])
    (x_min, y_min), (x_max, y_max) = ends.min(axis=0), ends.max(axis=0)
    bar_left = MARGIN + x_max - x_min + 0.2
    width = bar_left + scale.colour_bar_width(_BAR) + MARGIN
    captions = _captions(grid, mean, rois)
    page = Page(canvas, text, captions, width, y_max - y_min + 0.15, rigid=True)
    origin = (MARGIN - x_min, 0.1 - y_min)
    ax = page.part.add_axes(page.box(*origin, _SIDE, _SIDE), projection="3d")
    _prepare(ax, grid, scale, layers, rois)
    _plot(ax, mean, scale)
    layers.write(page, origin)
    rois.write(page, origin)
    _write_score_axis(page, scale, origin, height)
    scale.colour_bar(page, bar_left, page.body_height - _BAR - 0.3, _BAR)
    if not scale.defined:
        x, y = np.add(origin, box.mean(axis=0))
        page.text(x, y, "n/a", size=LABEL_SIZE, ha="center")
    return page.figure


@lru_cache(maxsize=1)
def _projection() -> tuple[Array, Array]:
    """Projection of the unit cube, and inches per projected unit with their origin.

    View and box are always the same, so where an edge will be is known before there are axes.
    """
    figure = Figure(figsize=(_SIDE, _SIDE))
    ax: Axes3D = figure.add_axes((0, 0, 1, 1), projection="3d")
    _look(ax)
    ax.set(xlim=(0, 1), ylim=(0, 1), zlim=(0, 1))
    corner, unit = ax.transData.transform([(0, 0), (1, 1)]) / figure.dpi
    return ax.get_proj(), np.array([corner, unit - corner])


def on_page(point: Sequence[float]) -> Array:
    """Inches from the lower left of the axes at which a point of the unit cube is seen."""
    matrix, (corner, unit) = _projection()
    x, y, _ = proj_transform(*point, matrix)
    return np.array(corner + np.array([x, y]) * unit)


def _look(ax: Axes3D) -> None:
    ax.set_proj_type("ortho")  # equal scores are equally high wherever they stand
    ax.view_init(elev=_ELEVATION, azim=_AZIMUTH)
    ax.set_box_aspect(_BOX, zoom=_ZOOM)


class _EdgeNames:
    """Names along a front edge of the floor between two corners, turned away from the box."""

    def __init__(
        self,
        names: Sequence[str],
        start: tuple[float, float, float],
        end: tuple[float, float, float],
    ) -> None:
        first, last = on_page(start), on_page(end)
        along = last - first
        slope = float(np.degrees(np.arctan2(along[1], along[0])))
        spacing = float(np.hypot(*along)) / len(names)
        line = line_height(SMALL_SIZE) * 0.95
        self.leftward = slope < 0
        short = shorten(names, NAME_LIMIT)
        long = widest(short, SMALL_SIZE) > 0.5
        # the least turn at which neighbours do not touch, else the most and fewer names; long
        # names left of the box are turned anyway, away from the score's axis
        for turn in (25, 40, 55) if long and self.leftward else (0, 20, 35, 50):
            self.rotation = turn if self.leftward else -turn
            clear = spacing * abs(np.sin(np.radians(slope - self.rotation)))
            if clear >= line:
                break
        self.every = max(1, int(np.ceil(line / clear)))
        self.names = tuple(n if i % self.every == 0 else "" for i, n in enumerate(short))
        where = (np.arange(len(names)) + 0.5) / len(names)
        self.points = first + where[:, None] * along

    @property
    def direction(self) -> Array:
        """Unit vector from the edge along the text."""
        angle = np.radians(self.rotation)
        return np.array([np.cos(angle), np.sin(angle)]) * (-1 if self.leftward else 1)

    @property
    def ends(self) -> Array:
        """Inches at which each name ends farthest from the box, array of shape (n_name, 2)."""
        widths = np.array([text_width(name, SMALL_SIZE) for name in self.names])
        far = self.points + self.direction * (_PAD + SLACK * widths[:, None])
        return np.array(far - (0.0, line_height(SMALL_SIZE) / 2))

    def write(self, page: Page, origin: tuple[float, float]) -> None:
        """Write the names around axes whose lower left corner is at `origin`."""
        for point, name in zip(self.points, self.names, strict=True):
            if name:
                x, y = np.array(origin) + point + self.direction * _PAD
                label = page.text(x, y, name, ha="right" if self.leftward else "left")
                label.set(rotation=self.rotation, rotation_mode="anchor")


def _prepare(
    ax: Axes3D, grid: ScoreGrid, scale: ScoreScale, layers: _EdgeNames, rois: _EdgeNames
) -> None:
    _look(ax)
    n_roi, n_layer = len(grid.rois), len(grid.layers)
    ax.set(xlim=(-0.5, n_layer - 0.5), ylim=(-0.5, n_roi - 0.5), zlim=(scale.low, scale.high))
    ax.set_xticks(range(0, n_layer, layers.every), [""] * len(range(0, n_layer, layers.every)))
    ax.set_yticks(range(0, n_roi, rois.every), [""] * len(range(0, n_roi, rois.every)))
    ax.set_zticks(scale.ticks, [""] * len(scale.ticks))
    # matplotlib has the scores' axis at the right, behind the surface; here it is at the left
    ax.zaxis.line.set_visible(False)
    ax.plot([-0.5] * 2, [-0.5] * 2, [scale.low, scale.high], color=INK, lw=0.6)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_pane_color((1.0, 1.0, 1.0, 0.0))
        axis._axinfo["grid"].update(color=GRID, linewidth=0.5)
        axis._axinfo["tick"].update(inward_factor=0.0, outward_factor=0.0)
    ax.patch.set_visible(False)


def _plot(ax: Axes3D, mean: Array, scale: ScoreScale) -> None:
    cmap, norm = scale.colours
    n_roi, n_layer = mean.shape
    patches, heights = [], []
    covered = np.zeros(mean.shape, dtype=bool)
    for i, j in np.ndindex(n_roi - 1, n_layer - 1):
        corners = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
        values = [mean[corner] for corner in corners]
        if np.isfinite(values).all():
            patches.append([(layer, roi, mean[roi, layer]) for roi, layer in corners])
            heights.append(np.mean(values))
            covered[i : i + 2, j : j + 2] = True
    if patches:
        faces = cmap(norm(np.array(heights)))
        ax.add_collection3d(
            Poly3DCollection(patches, facecolors=faces, edgecolors="white", linewidths=0.4)
        )
    alone = np.argwhere(np.isfinite(mean) & ~covered)
    if not len(alone):
        return
    tops = mean[tuple(alone.T)]
    foot = 0.0 if scale.anchored else scale.low
    stems = [[(j, i, foot), (j, i, mean[i, j])] for i, j in alone]
    colours = cmap(norm(tops))
    ax.add_collection3d(Line3DCollection(stems, colors=colours, linewidths=1.5))
    ax.scatter(alone[:, 1], alone[:, 0], tops, c=colours, s=24, depthshade=False, lw=0)
    if 1 in mean.shape:
        series = mean.ravel()
        steps, still = np.arange(series.size), np.zeros(series.size)
        x, y = (steps, still) if n_roi == 1 else (still, steps)
        ax.plot(x, y, series, color="#8c8c8c", lw=0.9)


def _write_score_axis(
    page: Page, scale: ScoreScale, origin: tuple[float, float], length: float
) -> None:
    for tick, label in zip(scale.ticks, scale.tick_labels, strict=True):
        height = (tick - scale.low) / (scale.high - scale.low)
        x, y = np.array(origin) + on_page((0.0, 0.0, height))
        page.text(x - _PAD, y, label, ha="right")
    x, y = np.array(origin) + on_page((0.0, 0.0, 0.5))
    beside = (-(_PAD + widest(scale.tick_labels, SMALL_SIZE) + 0.05), 0.0)
    lines = scale.label_lines(length)
    page.text(x, y, lines, offset=beside, size=LABEL_SIZE, ha="right", rotation=90)


def _captions(grid: ScoreGrid, mean: Array, rois: _EdgeNames) -> list[str]:
    captions = []
    if grid.several:
        captions.append(f"mean over {len(grid.subjects)} subjects (SEM not shown)")
    if 1 in mean.shape:
        captions.append("one ROI or one layer: a line instead of a surface")
    elif np.isnan(mean).any():
        captions.append("stems: scores beside undefined ones")
    if rois.every > 1:
        captions.append(f"one in {rois.every} ROIs is named")
    return captions + undefined_captions(mean, "holes", grid.scores if grid.several else None)
