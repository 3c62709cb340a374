"""Best layers: how often each layer is an ROI's best, over bootstrap samples or split halves."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from rsa_exp.figures.layout.cells import NO_VALUE, hatched, outline, readable_on
from rsa_exp.figures.layout.legends import Legend, layer_entries
from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.panels import run_grid
from rsa_exp.figures.layout.score_grid import ScoreGrid
from rsa_exp.figures.layout.style import LABEL_SIZE, NAME_LIMIT, SMALL_SIZE, layer_colours, styled
from rsa_exp.figures.layout.text import SLACK, line_height, literal, shorten, text_width, widest
from rsa_exp.figures.result import Array, NothingToPlot, Plottable

_LONGEST = 4.2  # inches of a bar
_THICK, _THIN = 0.16, 0.06  # inches of the bars of an ROI
_BETWEEN, _CLOSE = 0.1, 0.05  # inches between ROIs, and between more than fit a page so
_MOST_ROIS = 16


@styled
def best_layers(
    result: Plottable, *, ax: Axes | None = None, figure: Figure | SubFigure | None = None
) -> Figure:
    """Plot how often each layer is the best of an ROI, as a bar divided among the layers.

    The thick bar is of bootstrap samples, the thin one under it of split halves; where only one
    of the two was computed it is the thick bar.

    The table `result.best_layers` has one row per ROI and layer with ``best, boot_frequency,
    split_frequency, split_agreement``.
    """
    canvas, text = Canvas(ax, figure), result.text
    best = result.best_layers
    if best is None:
        raise NothingToPlot("the result has no best layers: analyse with a bootstrap or splits")
    columns = ("boot_frequency", "split_frequency")
    grid = run_grid(best, ("best", *columns, "split_agreement"))
    kinds = [
        (what, values)
        for what, name in (("bootstrap samples", columns[0]), ("split halves", columns[1]))
        if np.isfinite(values := grid.column(name)[0]).any()
    ]
    if not kinds:
        raise NothingToPlot(f"neither {columns[0]} nor {columns[1]} has a value")
    chosen = np.nan_to_num(grid.column("best")[0])
    agreement = _agreement(grid)

    n_roi = len(grid.rois)
    rois = shorten(grid.rois, NAME_LIMIT)
    left = MARGIN + widest(rois, SMALL_SIZE) * SLACK + 0.08
    right = widest(agreement, SMALL_SIZE) * SLACK + (0.12 if any(agreement) else 0.0)
    length = min(canvas.most - left - right - 2 * MARGIN, _LONGEST)
    between = _BETWEEN if n_roi <= _MOST_ROIS else _CLOSE
    row = _THICK + (_THIN if len(kinds) > 1 else 0.0) + between
    label = f"share of {kinds[0][0]} in which a layer is the best (%)"
    if len(kinds) > 1:
        label = "how often a layer is the best (%)"
    below = 0.07 + line_height(SMALL_SIZE) + line_height(LABEL_SIZE)
    width = left + length + right + 2 * MARGIN

    colours = layer_colours(len(grid.layers))
    legend = Legend(layer_entries(grid.layers), width - 2 * MARGIN)
    captions = _captions(kinds, chosen, agreement)
    page = Page(canvas, text, captions, width, below + n_roi * row, [legend])
    ax = page.axes(left, below, length, n_roi * row)
    ax.set_xlim(0, 100)
    ax.set_xticks([0, 25, 50, 75, 100])
    ax.set_ylim(n_roi * row, 0)  # inches, downwards
    tops = np.arange(n_roi) * row + between / 2
    ax.set_yticks(tops + _THICK / 2, [literal(roi) for roi in rois])
    ax.tick_params(axis="y", length=0, pad=3)
    ax.spines["left"].set_visible(False)
    for i, top in enumerate(tops.tolist()):
        for k, (_, values) in enumerate(kinds):
            span = (top + k * _THICK, (_THICK, _THIN)[k])
            _plot_bar(ax, values[i], colours, span, f"{('boot', 'split')[k]}-{i}")
        _write_shares(ax, kinds[0][1][i], grid.layers, colours, (top, length))
        _outline(ax, kinds[0][1][i], chosen[i], top)
        page.text(left + length + 0.12, below + (n_roi * row - top - _THICK / 2), agreement[i])
    beneath = (0.0, 0.02 - below)
    page.text(
        left + length / 2, below, label, offset=beneath, size=LABEL_SIZE, ha="center", va="bottom"
    )
    return page.figure


def _agreement(grid: ScoreGrid) -> list[str]:
    """How often the halves of a split agree on the best layer, as text; empty if unknown."""
    values = grid.column("split_agreement")[0]
    first = [row[np.isfinite(row)][:1] for row in values]
    return [f"agree {100 * found[0]:.0f} %" if found.size else "" for found in first]


def _edges(shares: Array) -> Array:
    """Percentages at which the layers' segments begin and end, array of shape (n_layer + 1,)."""
    return np.concatenate([[0.0], np.cumsum(100 * np.nan_to_num(shares))])


def _plot_bar(
    ax: Axes, shares: Array, colours: Sequence[str], span: tuple[float, float], gid: str
) -> None:
    top, height = span
    if not np.isfinite(shares).any():
        empty = hatched((0, top), 100, height)
        empty.set_gid(f"undefined-{gid}")
        ax.add_patch(empty)
        return
    edges = _edges(shares)
    for j in np.flatnonzero(np.diff(edges) > 0).tolist():
        bar = Rectangle((edges[j], top), edges[j + 1] - edges[j], height, fc=colours[j])
        bar.set(ec="white", lw=0.5, gid=f"{gid}-{j}")
        ax.add_patch(bar)


def _write_shares(
    ax: Axes,
    shares: Array,
    layers: Sequence[str],
    colours: Sequence[str],
    position: tuple[float, float],
) -> None:
    """Write the percentage in each segment that has room for it, and the layer's name if so."""
    top, length = position
    edges = _edges(shares)
    for j, share in enumerate(np.diff(edges).tolist()):
        percent = f"{share:.0f} %"
        for label in (f"{layers[j]} {percent}", percent):
            if text_width(label, SMALL_SIZE) * SLACK + 0.06 <= share / 100 * length:
                at = (edges[j] + edges[j + 1]) / 2, top + _THICK / 2
                written = ax.text(*at, literal(label), size=SMALL_SIZE, ha="center", va="center")
                written.set(color=readable_on(colours[j]), gid="share")
                break
    if not np.isfinite(shares).any():
        empty = ax.text(50, top + _THICK / 2, "n/a", size=SMALL_SIZE, ha="center", va="center")
        empty.set_bbox({"fc": NO_VALUE, "ec": "none", "pad": 0.8})


def _outline(ax: Axes, shares: Array, best: Array, top: float) -> None:
    """Outline the segments of the best layers of all images."""
    edges = _edges(shares)
    for j in np.flatnonzero(best * np.diff(edges) > 0).tolist():
        size = (edges[j + 1] - edges[j], _THICK)
        outline(ax, (edges[j], top), size, (2.2, 1.0), zorder=3, gid=f"best-{j}")


def _captions(
    kinds: Sequence[tuple[str, Array]], best: Array, agreement: Sequence[str]
) -> list[str]:
    captions = [
        f"{bars} bars: {what}" for bars, (what, _) in zip(("thick", "thin"), kinds, strict=False)
    ]
    if len(kinds) == 1:
        captions = [f"bars: {kinds[0][0]}"]
    if best.any():
        captions.append("outlined: best layer of all images")
    if any(agreement):
        captions.append("agree: split halves with the same best layer")
    undefined = np.isnan(np.stack([values for _, values in kinds])).all(axis=2).any()
    return captions + (["hatched: not defined (n/a)"] if undefined else [])
