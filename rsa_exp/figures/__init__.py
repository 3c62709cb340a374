"""Figures of an RSA at journal size: of a result, and of tables over several runs.

Each function returns a :class:`matplotlib.figure.Figure`; nothing is shown, and nothing is written
but by :func:`save`. Names are imported when they are first used: matplotlib takes a while.

A figure can be plotted into an Axes or a SubFigure of a larger layout: all that it shows, title and
note included, goes into that area. Text keeps its size and the rest is stretched or squeezed, so an
area should not be much smaller than ``heatmap(result).get_size_inches()`` gives.

Modules are apart from the functions they define (``of_result/heatmap.py`` has `heatmap`): a module
``rsa_exp.figures.heatmap`` would take the function's place once it is imported.

Examples
--------
>>> from rsa_exp import figures
>>> figures.heatmap(result)  # doctest: +SKIP
>>> figures.bars(result, ax=ax)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from rsa_exp.figures.of_tables.agreement import agreement
    from rsa_exp.figures.of_tables.difference import difference
    from rsa_exp.figures.of_tables.multiples import multiples
    from rsa_exp.figures.registry import FIGURES, draw
    from rsa_exp.figures.result import FigureText, NothingToPlot, Plottable, RdmPair, Tables
    from rsa_exp.figures.saving import save

__all__ = [
    "FIGURES", "FigureText", "NothingToPlot", "Plottable", "RdmPair", "Tables", "agreement", "bars",
    "best_layers", "comparisons", "difference", "draw", "heatmap", "intervals", "multiples",
    "permutation", "profiles", "radar", "rdms", "save", "scatter", "surface",
]  # fmt: skip

_HOMES = {
    "registry": ("FIGURES", "draw"),
    "result": ("FigureText", "NothingToPlot", "Plottable", "RdmPair", "Tables"),
    "saving": ("save",),
    **{f"of_tables.{name}": (name,) for name in ("agreement", "difference", "multiples")},
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES.get(name, f'of_result.{name}')}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return __all__
