"""What figures are made from: tables of scores and inference, a pair of RDMs, title and labels.

Nothing heavy is imported here, so that an analysis can name these types without matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Array", "FigureText", "NothingToPlot", "Plottable", "RdmPair", "Tables"]

Array = NDArray[np.float64]


class NothingToPlot(ValueError):  # noqa: N818 - a result without these numbers is not an error
    """The result lacks the numbers for a figure."""


@dataclass(frozen=True)
class FigureText:
    """Title and note of a figure, and how its scores are to be read.

    Attributes
    ----------
    title : str
        Heading of the figure, e.g. ``"Subject 1 vs ResNet-50, simulated BOLD5000"``.
    note : str
        Small grey line at the bottom: provenance, number of images and pairs. Each figure
        adds what it shows (what error bars are, what was left out).
    score_label : str
        Name of the score with its unit, e.g. ``"Pearson r"``.
    greater_is_better : bool
        Whether a greater score means more similar RDMs; False for distances.
    signed : bool
        Whether zero is the score's null value, so that an axis may be anchored at 0.
    """

    title: str
    note: str
    score_label: str
    greater_is_better: bool = True
    signed: bool = True


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class RdmPair:
    """A brain and a model RDM of the same images.

    Attributes
    ----------
    brain, model : ndarray of shape (n_cond, n_cond)
        Symmetric dissimilarities, NaN where undefined; the diagonal is not looked at. Images
        are in the same order in both.
    brain_name, model_name : str
        E.g. ``"LHPPA"`` and ``"layer3"``.
    n_total : int
        Images in the whole analysis; these are a part of them, or all.
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
            if not np.allclose(rdm, rdm.T, equal_nan=True):
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


class Plottable(Protocol):
    """A result that figures can be made of; what `rsa_exp.analyse` returns is one."""

    @property
    def scores(self) -> pd.DataFrame:
        """One row per ROI and layer (and subject), with the columns of ``scores.csv``."""

    @property
    def text(self) -> FigureText:
        """Title, note, and how to read the score."""

    @property
    def subject_scores(self) -> pd.DataFrame | None:
        """Each subject's scores, if `scores` are their mean."""

    @property
    def comparisons(self) -> pd.DataFrame | None:
        """Differences between layers and between ROIs, as in ``comparisons.csv``."""

    @property
    def best_layers(self) -> pd.DataFrame | None:
        """How often each layer is an ROI's best, as in ``best_layers.csv``."""

    @property
    def null(self) -> Array | None:
        """Best score over all ROIs and layers of each permutation, shape (n_perm,)."""

    @property
    def n_permuted(self) -> int:
        """Images that the permutation test was made on."""

    @property
    def images(self) -> Sequence[str]:
        """Names of all images."""

    @property
    def level(self) -> float:
        """Coverage of the confidence intervals, in (0, 1)."""

    @property
    def rdms(self) -> RdmPair | None:
        """The RDMs with the best score."""


@dataclass(frozen=True, eq=False)  # tables have no one truth value
class Tables:
    """Tables to be plotted without an analysis: read from files, or joined from several runs.

    Attributes are those of :class:`Plottable`. `scores` may be of several subjects; the
    figures of scores then show their mean.

    Examples
    --------
    >>> import pandas as pd
    >>> from rsa_exp import figures
    >>> text = figures.FigureText("Subject 1", "", "Pearson r")
    >>> figures.heatmap(figures.Tables(pd.read_csv("scores.csv"), text))  # doctest: +SKIP
    """

    scores: pd.DataFrame
    text: FigureText
    subject_scores: pd.DataFrame | None = None
    comparisons: pd.DataFrame | None = None
    best_layers: pd.DataFrame | None = None
    null: Array | None = None
    n_permuted: int = 0
    images: Sequence[str] = ()
    level: float = 0.95
    rdms: RdmPair | None = None


def subject_scores(result: Plottable) -> pd.DataFrame | None:
    """Return each subject's scores, empty where their mean is: figures agree with the table.

    Returns
    -------
    DataFrame or None
        None if the scores are not a mean over subjects.
    """
    subjects, group = result.subject_scores, result.scores
    if subjects is None:
        return None
    undefined = group[group["score"].isna()]
    cells = set(zip(undefined["roi"], undefined["layer"], strict=True))
    hidden = [cell in cells for cell in zip(subjects["roi"], subjects["layer"], strict=True)]
    return subjects.assign(score=subjects["score"].mask(hidden))


def plotted_scores(result: Plottable) -> pd.DataFrame:
    """Return the scores that figures show: of each subject, where they are a mean over them."""
    subjects = subject_scores(result)
    return result.scores if subjects is None else subjects
