"""The figures of a result by their names, as a configuration selects them."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from matplotlib.figure import Figure

from rsa_exp.figures.of_result.bars import bars
from rsa_exp.figures.of_result.best_layers import best_layers
from rsa_exp.figures.of_result.comparisons import comparisons
from rsa_exp.figures.of_result.heatmap import heatmap
from rsa_exp.figures.of_result.intervals import intervals
from rsa_exp.figures.of_result.permutation import permutation
from rsa_exp.figures.of_result.profiles import profiles
from rsa_exp.figures.of_result.radar import radar
from rsa_exp.figures.of_result.rdms import rdms
from rsa_exp.figures.of_result.scatter import scatter
from rsa_exp.figures.of_result.surface import surface
from rsa_exp.figures.result import NothingToPlot, Plottable

__all__ = ["FIGURES", "draw"]

FIGURES: Mapping[str, Callable[..., Figure]] = {
    plot.__name__: plot
    for plot in (
        heatmap, bars, profiles, scatter, radar, surface, rdms, intervals, comparisons,
        best_layers, permutation,
    )
}  # fmt: skip
"""Figures of a result; the names are `rsa_exp.vocabulary.FIGURE_NAMES`."""


def draw(result: Plottable, names: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Make figures one after another.

    Parameters
    ----------
    result : Plottable
        Of `rsa_exp.analyse`, or :class:`Tables`.
    names : sequence of str
        Keys of :data:`FIGURES`.

    Yields
    ------
    tuple of str and Figure
        Name and figure; those that the result has no numbers for are left out.

    Examples
    --------
    >>> for name, figure in figures.draw(result, ["heatmap", "intervals"]):  # doctest: +SKIP
    ...     figures.save(figure, Path("figures"), name)
    """
    for name in names:
        try:
            figure = FIGURES[name](result)
        except NothingToPlot:
            continue
        yield name, figure
