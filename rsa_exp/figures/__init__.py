"""Publication-grade figures of an RSA: scores from a tidy table, and the RDMs behind them.

Every figure function returns a :class:`matplotlib.figure.Figure`; nothing is shown, and nothing
is written but by :func:`save`.

>>> FIGURES["heatmap"](table, text)  # doctest: +SKIP
"""

from collections.abc import Callable

import pandas as pd
from matplotlib.figure import Figure

from rsa_exp.figures.agreement import agreement_figure
from rsa_exp.figures.bars import bars_figure
from rsa_exp.figures.best_layers import best_layers_figure
from rsa_exp.figures.comparisons import comparisons_figure
from rsa_exp.figures.difference import difference_figure
from rsa_exp.figures.heatmap import heatmap_figure
from rsa_exp.figures.intervals import intervals_figure
from rsa_exp.figures.multiples import multiples_figure
from rsa_exp.figures.null import null_figure
from rsa_exp.figures.profiles import profiles_figure
from rsa_exp.figures.radar import radar_figure
from rsa_exp.figures.rdms import RdmPair, rdm_figure
from rsa_exp.figures.saving import save
from rsa_exp.figures.scatter import scatter_figure
from rsa_exp.figures.subject_radar import subject_radar_figure
from rsa_exp.figures.surface import surface_figure
from rsa_exp.figures.text import FigureText

FIGURES: dict[str, Callable[[pd.DataFrame, FigureText], Figure]] = {
    "heatmap": heatmap_figure,
    "bars": bars_figure,
    "profiles": profiles_figure,
    "scatter": scatter_figure,
    "radar": radar_figure,
    "surface": surface_figure,
}
"""Figures of a score table, by the name a configuration selects them with."""

FIGURE_NAMES: tuple[str, ...] = (
    *FIGURES,
    "rdms",
    "intervals",
    "comparisons",
    "best_layers",
    "permutation",
)
"""All figures: those of a score table, and those that need more than it."""

__all__ = [
    "FIGURES",
    "FIGURE_NAMES",
    "FigureText",
    "RdmPair",
    "agreement_figure",
    "best_layers_figure",
    "comparisons_figure",
    "difference_figure",
    "intervals_figure",
    "multiples_figure",
    "null_figure",
    "rdm_figure",
    "save",
    "subject_radar_figure",
]
