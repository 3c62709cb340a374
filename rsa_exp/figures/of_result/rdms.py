"""Brain RDM beside model RDM, as ranks, in an order that shows their structure."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from rsa_exp.figures.layout.colour_bar import BAR_WIDTH, colour_bar
from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.style import INK, LABEL_SIZE, PNG_DPI, UNDEFINED, styled
from rsa_exp.figures.layout.text import fit_width
from rsa_exp.figures.result import Array, NothingToPlot, Plottable, RdmPair

_LARGEST = 3.0  # inches of an RDM
_GAP = 0.2
_TITLE = 0.22
_BAR = BAR_WIDTH + 0.6  # inches of the colour bar with its numbers and label


@styled
def rdms(
    result: Plottable, *, ax: Axes | None = None, figure: Figure | SubFigure | None = None
) -> Figure:
    """Plot the brain and the model RDM with the best score, as percentile ranks.

    Ranks make the two comparable whatever their units: an RSA by rank correlation sees no more
    than this. Images are ordered by clustering of the model RDM.
    """
    canvas, text = Canvas(ax, figure), result.text
    pair = result.rdms
    if pair is None:
        raise NothingToPlot("the result has no RDMs to show: it has no defined score")
    n = len(pair.model)
    order = cluster_order(pair.model)
    ranks = [percentiles(rdm)[np.ix_(order, order)] for rdm in (pair.brain, pair.model)]
    cmap = mpl.colormaps["viridis"].with_extremes(bad=UNDEFINED)

    # a whole number of pixels per cell: no cell is wider than its neighbour
    side = n * max(1, int(_LARGEST * PNG_DPI / n)) / PNG_DPI
    if canvas.figure is not None:
        side = min(_LARGEST, (canvas.most - MARGIN - 2 * _GAP - _BAR) / 2)
    undefined = any(np.isnan(rdm[~np.eye(n, dtype=bool)]).any() for rdm in ranks)
    bar = MARGIN + 2 * side + 2 * _GAP
    captions = _captions(pair, undefined)
    page = Page(canvas, text, captions, bar + _BAR, side + _TITLE, rigid=True)
    for i, (rdm, name) in enumerate(zip(ranks, (pair.brain_name, pair.model_name), strict=True)):
        left = MARGIN + i * (side + _GAP)
        ax = page.axes(left, 0.0, side, side)
        kind = ("brain", "model")[i]
        ax.imshow(rdm, cmap=cmap, vmin=0, vmax=100, aspect="auto", interpolation="none", gid=kind)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set(visible=True, color=INK, lw=0.5)
        heading = fit_width(f"{kind}: {name}", side, LABEL_SIZE)
        page.text(left, side + _TITLE / 2, heading, size=LABEL_SIZE)
    ticks = np.array([0.0, 25.0, 50.0, 75.0, 100.0])
    names = tuple(f"{tick:.0f}" for tick in ticks)
    label = ["dissimilarity (percentile rank)"]
    colour_bar(page, (bar, 0.0, side), cmap, Normalize(0, 100), ticks, names, label)
    return page.figure


def percentiles(rdm: Array) -> Array:
    """Percentile rank of each pair's dissimilarity among all pairs, ties at their mid-rank.

    Of a symmetric RDM of shape (n, n): ``100 (rank - 1/2) / n_pairs``, in (0, 100); NaN where
    undefined, 0 on the diagonal (an image does not differ from itself).
    """
    pairs = squareform(np.where(np.eye(len(rdm), dtype=bool), 0.0, rdm), checks=False)
    defined = np.isfinite(pairs)
    ranks = np.full(pairs.shape, np.nan)
    if defined.any():
        ranks[defined] = 100 * (rankdata(pairs[defined]) - 0.5) / defined.sum()
    return squareform(ranks, checks=False) if pairs.size else np.zeros((1, 1))


def cluster_order(rdm: Array) -> NDArray[np.intp]:
    """Order of images by average-linkage clustering of a symmetric RDM of shape (n, n).

    Undefined dissimilarities count as the mean of the others, for the order alone.
    """
    pairs = squareform(np.where(np.eye(len(rdm), dtype=bool), 0.0, rdm), checks=False)
    defined = np.isfinite(pairs)
    if len(rdm) < 3 or not defined.any():
        return np.arange(len(rdm))
    filled = np.where(defined, pairs, pairs[defined].mean())
    return leaves_list(linkage(filled, "average")).astype(np.intp)


def _captions(pair: RdmPair, undefined: bool) -> list[str]:
    n = len(pair.model)
    captions = ["images ordered by hierarchical clustering (average linkage) of the model RDM"]
    if n < pair.n_total:
        captions.insert(0, f"{n} of {pair.n_total} images shown")
    if undefined:
        captions.append("grey: undefined (n/a)")
    return captions
