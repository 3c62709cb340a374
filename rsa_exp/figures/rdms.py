"""Brain RDM beside model RDM, as ranks, in an order that shows their structure."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from rsa_exp.figures.colour_bar import BAR_WIDTH, colour_bar
from rsa_exp.figures.grid import Array
from rsa_exp.figures.page import MARGIN, Page
from rsa_exp.figures.style import INK, LABEL_SIZE, PNG_DPI, UNDEFINED, styled
from rsa_exp.figures.text import FigureText, fit_width

_LARGEST = 3.0  # inches of an RDM
_GAP = 0.2
_TITLE = 0.22


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class RdmPair:
    """A brain and a model RDM of the same images.

    Attributes
    ----------
    brain, model : ndarray of shape (n_image, n_image)
        Symmetric dissimilarities, NaN where undefined; the diagonal is not looked at. Images
        are in the same order in both.
    brain_name, model_name : str
        E.g. ``"LHPPA"`` and ``"layer3"``.
    n_total : int
        Images in the whole analysis, of which these are a part or all.
    """

    brain: Array
    model: Array
    brain_name: str
    model_name: str
    n_total: int

    def __post_init__(self) -> None:
        for name, rdm in (("brain", self.brain), ("model", self.model)):
            if rdm.ndim != 2 or rdm.shape[0] != rdm.shape[1] or not rdm.size:
                raise ValueError(f"the {name} RDM has shape {rdm.shape}: expected (n, n)")
            if not np.array_equal(rdm, rdm.T, equal_nan=True) and not np.allclose(
                rdm, rdm.T, equal_nan=True
            ):
                raise ValueError(f"the {name} RDM is not symmetric")
        if self.brain.shape != self.model.shape:
            raise ValueError(
                f"the brain RDM is of {len(self.brain)} images, the model RDM of "
                f"{len(self.model)}: expected the same images in both"
            )
        if self.n_total < len(self.brain):
            raise ValueError(
                f"the RDMs are of {len(self.brain)} images, more than the {self.n_total} of "
                f"the whole analysis"
            )


@styled
def rdm_figure(pair: RdmPair, text: FigureText) -> Figure:
    """Draw the two RDMs as percentile ranks, images ordered by clustering of the model RDM.

    Ranks make the two comparable whatever their units: an RSA by rank correlation sees no more
    than this.

    Parameters
    ----------
    pair : RdmPair
        The RDMs; not changed.
    text : FigureText
        Title and note.
    """
    n = len(pair.model)
    order = cluster_order(pair.model)
    ranks = [percentiles(rdm)[np.ix_(order, order)] for rdm in (pair.brain, pair.model)]
    cmap = mpl.colormaps["viridis"].with_extremes(bad=UNDEFINED)

    # a whole number of pixels per cell: no cell is drawn wider than its neighbour
    side = n * max(1, int(_LARGEST * PNG_DPI / n)) / PNG_DPI
    undefined = any(np.isnan(rdm[~np.eye(n, dtype=bool)]).any() for rdm in ranks)
    bar = MARGIN + 2 * side + 2 * _GAP
    page = Page(text, _captions(pair, undefined), bar + BAR_WIDTH + 0.6, side + _TITLE)
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

    Parameters
    ----------
    rdm : ndarray of shape (n, n)
        Symmetric; NaN where undefined.

    Returns
    -------
    ndarray of shape (n, n)
        ``100 (rank - 1/2) / n_pairs``, in (0, 100); NaN where undefined, 0 on the diagonal
        (an image does not differ from itself).
    """
    pairs = squareform(np.where(np.eye(len(rdm), dtype=bool), 0.0, rdm), checks=False)
    defined = np.isfinite(pairs)
    ranks = np.full(pairs.shape, np.nan)
    if defined.any():
        ranks[defined] = 100 * (rankdata(pairs[defined]) - 0.5) / defined.sum()
    return squareform(ranks, checks=False) if pairs.size else np.zeros((1, 1))


def cluster_order(rdm: Array) -> NDArray[np.intp]:
    """Order of images by average-linkage clustering of their dissimilarities.

    Undefined dissimilarities count as the mean of the others, for the order alone.

    Parameters
    ----------
    rdm : ndarray of shape (n, n)
        Symmetric; NaN where undefined.

    Returns
    -------
    ndarray of int, shape (n,)
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
