"""Permutation: the best scores of permuted images, and the observed scores beside them."""

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon

from rsa_exp.figures.layout.legends import Legend
from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.panels import run_grid
from rsa_exp.figures.layout.score_grid import ScoreGrid, need
from rsa_exp.figures.layout.score_scale import ScoreScale, undefined_captions
from rsa_exp.figures.layout.style import (
    GREY,
    INK,
    LABEL_SIZE,
    RING,
    SMALL_SIZE,
    mean_colour,
    styled,
)
from rsa_exp.figures.layout.text import SLACK, fit_width, line_height, text_width, widest, wrap
from rsa_exp.figures.result import Array, FigureText, NothingToPlot, Plottable
from rsa_exp.stats.metrics.registry import is_best
from rsa_exp.vocabulary import ALPHA

_WIDTH = 5.0  # inches of the figure
_HISTOGRAM, _STRIP = 1.25, 0.42  # inches of axes
_MAGNIFIED = 3.0  # times the null's range beyond which the null has an axis of its own
_SHADE = "#efefef"
_MOST_BINS = 50
_MOST_BOLD = 150  # scores beyond which their ticks are thinner


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class _Observed:
    """Scores with a value, the best of them, and what its ROI and layer are called."""

    scores: Array
    p_fwe: Array
    best: float | None
    best_name: str

    @classmethod
    def of(cls, grid: ScoreGrid, text: FigureText) -> "_Observed":
        scores = grid.scores[0]
        there = np.isfinite(scores)
        if not there.any():
            return cls(scores[there], scores[there], None, "")
        best = is_best(scores.ravel(), greater_is_better=text.greater_is_better)
        roi, layer = np.unravel_index(int(best.argmax()), scores.shape)
        name = f"{grid.rois[roi]}, {grid.layers[layer]}"
        return cls(scores[there], grid.column("p_fwe")[0][there], float(scores[roi, layer]), name)


@styled
def permutation(
    result: Plottable, *, ax: Axes | None = None, figure: Figure | SubFigure | None = None
) -> Figure:
    """Plot the permutation null of the best score, and every observed score on the same axis.

    The observed scores are often many times the null's range away from it; the null's histogram
    then has an axis of its own, and a shade leads from it to the null's range among the scores.

    `result.null` is the best score over all ROIs and layers in each permutation (the least where
    lower is better; NaN is left out); the scores have ``score_perm`` and ``p_fwe``.
    """
    canvas, text, table = Canvas(ax, figure), result.text, result.scores
    if result.null is None:
        raise NothingToPlot("the result has no permutations: analyse with n_perm above 0")
    null = np.asarray(result.null, dtype=float).ravel()
    null = null[np.isfinite(null)]
    if not null.size:
        raise NothingToPlot("no permutation has a score: too few images are without missing pairs")
    need(table, ("score_perm", "p_fwe"), "score")
    # on the images that the permutation test was made on
    grid = run_grid(table.assign(score=table["score_perm"]))
    if result.n_permuted < len(result.images):
        images = f"permutation test: the {result.n_permuted:,} images without missing pairs"
        text = replace(text, note="; ".join(filter(None, [text.note, images])))
    observed = _Observed.of(grid, text)
    critical = threshold(null, greater_is_better=text.greater_is_better)
    scale = ScoreScale.of(np.concatenate([observed.scores, null]), text)
    own = _null_scale(null, scale, text)

    width = min(_WIDTH, canvas.most)
    legend = Legend(_entries(observed), width - 2 * MARGIN)
    count = ScoreScale.of(_counts(null)[0], FigureText("", "", "permutations"))
    end = widest([*own.tick_labels, *scale.tick_labels], SMALL_SIZE) / 2 + 0.03
    left = MARGIN + max(count.left_margin(_HISTOGRAM), end)
    inner = width - left - MARGIN - end
    labels = [wrap(s.label, inner, LABEL_SIZE) for s in (own, scale)]
    line, tick = line_height(LABEL_SIZE), 0.07 + line_height(SMALL_SIZE)
    below = tick + len(labels[1]) * line
    upper = below + _STRIP + line_height(SMALL_SIZE) + 0.16 + tick + len(labels[0]) * line
    body = upper + _HISTOGRAM + line_height(SMALL_SIZE) + 0.04
    captions = _captions(grid, observed, null, critical, text)
    page = Page(canvas, text, captions, width, body, [legend])

    top = page.axes(left, upper, inner, _HISTOGRAM)
    count.on_y(top)
    count.label_y(page, left, upper, _HISTOGRAM)
    own.on_x(top, inner)
    heights, edges = _counts(null)
    top.stairs(heights, edges, fill=True, color=GREY, alpha=0.75, gid="null")
    strip = page.axes(left, below, inner, _STRIP)
    scale.on_x(strip, inner)
    _plot_strip(strip, observed)
    if own is not scale:
        _shade(page, (strip, top), own, scale, (left, below, upper, inner))
    for bottom, lines in zip((upper, below), labels, strict=True):
        beneath, x = (0.0, -tick), left + inner / 2
        page.text(x, bottom, lines, offset=beneath, size=LABEL_SIZE, ha="center", va="top")

    if critical is not None:
        for ax in (top, strip):
            ax.axvline(critical, color=INK, lw=0.9, ls=(0, (3, 2)), zorder=3, gid="threshold")
        percent = f"{100 * (1 - ALPHA if text.greater_is_better else ALPHA):.0f} %"
        wide = replace(own, decimals=own.decimals + 1)
        label = f"{percent}: {wide.number(critical)}"
        _label(page, label, own, critical, (left, inner, upper + _HISTOGRAM))
    if observed.best is not None:
        strip.axvline(observed.best, color=INK, lw=0.9, zorder=2, gid="observed")
        strip.plot(observed.best, 0.93, color=INK, marker="v", ms=4.0, clip_on=False, zorder=4)
        word = "max" if text.greater_is_better else "min"
        label = f"observed {word} {scale.number(observed.best)}: {observed.best_name}"
        _label(page, label, scale, observed.best, (left, inner, below + _STRIP))
    return page.figure


def threshold(null: Array, *, greater_is_better: bool) -> float | None:
    """Value that a score has to pass for (k + 1) / (n_perm + 1) to be below 0.05.

    It is one of the null's (finite) values, about their 95th percentile, or 5th for distances; None
    if there are too few for any score to be that unlikely.
    """
    rank = -(-(null.size + 1) // round(1 / ALPHA)) - 1  # as many may be as extreme, less one
    if rank < 1:
        return None
    ordered = np.sort(null)
    return float(ordered[-rank] if greater_is_better else ordered[rank - 1])


def _null_scale(null: Array, scale: ScoreScale, text: FigureText) -> ScoreScale:
    """Axis of the histogram: that of the scores unless the null would be a spike on it."""
    extreme = "greatest" if text.greater_is_better else "least"
    label = f"{extreme} {text.score_label} of a permutation"
    own = ScoreScale.of(null, replace(text, score_label=label, signed=False))
    return own if scale.high - scale.low > _MAGNIFIED * (own.high - own.low) else scale


def _counts(null: Array) -> tuple[Array, Array]:
    """Histogram of the null: counts, and the edges of the bins."""
    if np.ptp(null) == 0.0:
        half = 0.005 * abs(null[0]) or 0.05  # a tenth of the axis that ScoreScale gives one value
        return np.array([float(null.size)]), np.array([null[0] - half, null[0] + half])
    edges = np.histogram_bin_edges(null, "auto")
    if len(edges) > _MOST_BINS + 1:
        edges = np.histogram_bin_edges(null, _MOST_BINS)
    counts, _ = np.histogram(null, edges)
    return counts.astype(float), edges


def _kinds(observed: _Observed) -> list[tuple[str, str, Array]]:
    """Name, colour and scores of each kind of score that occurs."""
    tested = np.isfinite(observed.p_fwe)
    passed = observed.p_fwe < ALPHA
    kinds = [
        (f"score with p_fwe < {ALPHA:g}", mean_colour(), passed),
        (f"p_fwe ≥ {ALPHA:g}", GREY, tested & ~passed),
        ("not tested", RING, ~tested),
    ]
    return [(name, colour, observed.scores[which]) for name, colour, which in kinds if which.any()]


def _entries(observed: _Observed) -> list[tuple[Artist, str]]:
    return [
        (Line2D([], [], ls="", color=colour, marker="|", ms=8, mew=1.2), name)
        for name, colour, _ in _kinds(observed)
    ]


def _plot_strip(ax: Axes, observed: _Observed) -> None:
    ax.set_ylim(0, 1)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.patch.set_visible(False)
    for line in list(ax.lines):  # at zero, where it would look like a score
        line.remove()
    width = 0.9 if observed.scores.size <= _MOST_BOLD else 0.5
    for name, colour, scores in reversed(_kinds(observed)):
        ax.vlines(scores, 0.0, 0.8, color=colour, lw=width, alpha=0.8, zorder=2.5, gid=name)


def _shade(
    page: Page,
    axes: tuple[Axes, Axes],
    own: ScoreScale,
    scale: ScoreScale,
    position: tuple[float, float, float, float],
) -> None:
    """Lead from the null's range on the strip up to the histogram's axis."""
    left, below, upper, inner = position
    low, high = (
        left + inner * (end - scale.low) / (scale.high - scale.low) for end in (own.low, own.high)
    )
    corners = [(low, below), (low, below + _STRIP), (left, upper), (left, upper + _HISTOGRAM)]
    right = [(high, below), (high, below + _STRIP), (left + inner, upper)]
    right.append((left + inner, upper + _HISTOGRAM))
    outline = [page.box(x, y, 0.0, 0.0)[:2] for x, y in (*corners, *reversed(right))]
    page.part.add_artist(
        Polygon(outline, fc=_SHADE, ec="none", transform=page.part.transSubfigure, zorder=-1)
    )
    for ax in axes:
        ax.patch.set_visible(False)


def _label(
    page: Page, label: str, scale: ScoreScale, value: float, position: tuple[float, float, float]
) -> None:
    """Write a label above a vertical line, within the width of the axes."""
    left, inner, bottom = position
    label = fit_width(label, inner, SMALL_SIZE)
    half = text_width(label, SMALL_SIZE) * SLACK / 2
    x = left + inner * (value - scale.low) / (scale.high - scale.low)
    x = float(np.clip(x, left + half, left + inner - half))
    page.text(x, bottom, label, offset=(0.0, 0.03), ha="center", va="bottom")


def _captions(
    grid: ScoreGrid, observed: _Observed, null: Array, critical: float | None, text: FigureText
) -> list[str]:
    extreme, beyond = ("greatest", "exceed") if text.greater_is_better else ("least", "are below")
    captions = [
        f"histogram: {extreme} score over all ROIs and layers in each of {null.size:,} "
        f"permutations of the images"
    ]
    tested = int(np.isfinite(observed.p_fwe).sum())
    if tested:
        passed = int((observed.p_fwe < ALPHA).sum())
        captions.append(
            f"{passed:,} of {tested:,} scores have p_fwe < {ALPHA:g}, too few permutations for any"
            if critical is None
            else f"{passed:,} of {tested:,} scores {beyond} its dashed line (p_fwe < {ALPHA:g})"
        )
    return captions + undefined_captions(grid.scores, "not shown")
