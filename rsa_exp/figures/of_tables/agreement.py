"""Agreement: whether the order of layers and of ROIs survives how the analysis was done."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rsa_exp.figures.layout.axis_names import AxisNames
from rsa_exp.figures.layout.cells import name_cells, plot_cell
from rsa_exp.figures.layout.colour_bar import colour_bar
from rsa_exp.figures.layout.page import MARGIN, Canvas, Page
from rsa_exp.figures.layout.score_grid import need
from rsa_exp.figures.layout.style import (
    DOUBLE_COLUMN,
    GRID,
    LABEL_SIZE,
    NAME_LIMIT,
    SINGLE_COLUMN,
    SMALL_SIZE,
    styled,
)
from rsa_exp.figures.layout.text import SLACK, printable, shorten, widest
from rsa_exp.figures.result import Array, FigureText

_COLOURS, _RANGE = mpl.colormaps["RdBu_r"], Normalize(-1.0, 1.0)
_COLUMNS = ("what", "variant_a", "variant_b", "tau", "same_best")
_WIDEST = 0.48  # inches of a cell
_MOST_SQUARE = 8  # variants up to which cells are square
_LOWEST = 0.21  # inches of a cell that is not
_GAP = 0.3  # inches between matrices
_BETWEEN = 0.1  # inches between rows of them
_TITLE = 0.24  # inches above a matrix
_BAR_TICKS = ("−1", "−.5", "0", ".5", "1")
_LOWEST_BAR = 0.95
_BAR_LABEL = "Kendall’s τ-b"
_BAR = 0.7  # inches right of the matrices for the colour bar


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class _Matrix:
    """Agreement of every two variants."""

    what: str  # "layers" or "ROIs"
    tau: Array  # (n_variant, n_variant), symmetric; NaN where undefined and on the diagonal
    same_best: Array  # like `tau`

    def tau_written(self, row: int, column: int) -> str:
        """Write tau: ``".85"``."""
        tau = self.tau[row, column]
        if np.isnan(tau):
            return "n/a"
        return f"{round(tau, 2) + 0.0:.2f}".replace("0.", ".", 1).replace("-", "−")

    def best_written(self, row: int, column: int) -> str:
        """Write how often the best is the same: in percent; of the one best ROI, whether it is."""
        share = self.same_best[row, column]
        if np.isnan(share):
            return "n/a"
        if self.what == "ROIs" and share in (0.0, 1.0):
            return "same" if share else "other"
        return f"{100 * share:.0f}%"

    @property
    def needed(self) -> float:
        """Inches of the widest text in a cell."""
        n = len(self.tau)
        cells = [(i, j) for i in range(n) for j in range(i)]
        written = [
            write(*cell) for cell in cells for write in (self.tau_written, self.best_written)
        ]
        return widest(written, SMALL_SIZE) * SLACK


@dataclass(frozen=True)
class _Layout:
    """Sizes in inches."""

    names: tuple[str, ...]  # variants as shown, or their numbers
    left: float  # left of the first matrix, where its rows' names end
    cell: tuple[float, float]  # width and height
    columns: int  # matrices side by side: all of them, or 1
    below: AxisNames  # names under the matrices

    @classmethod
    def of(cls, variants: Sequence[str], matrices: Sequence[_Matrix]) -> "_Layout":
        """Side by side if the scores fit, else one below the other, then with shorter names.

        Names that leave no room even so become numbers.
        """
        n = len(variants)
        least = max(matrix.needed for matrix in matrices) + 0.03
        names = [shorten(variants, limit) for limit in (NAME_LIMIT, 18)]
        abreast = len(matrices)
        for columns, shown in (
            (abreast, names[0]),
            *((1, name) for name in names),
            (1, _numbers(n)),
        ):
            left = MARGIN + widest(shown, SMALL_SIZE) * SLACK + 0.08
            room = DOUBLE_COLUMN - left - (columns - 1) * _GAP - _BAR - MARGIN
            width = min(room / (columns * n), _WIDEST)
            if width >= least:
                break
        below = AxisNames.fit(shown, width)
        left = max(left, below.overhang - width / 2 + 0.05)
        height = width if columns == abreast and n <= _MOST_SQUARE else min(width, _LOWEST)
        return cls(shown, left, (width, height), columns, below)

    @property
    def numbered(self) -> bool:
        """Whether variants are shown by their numbers."""
        return self.names == _numbers(len(self.names))

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of a matrix."""
        return len(self.names) * self.cell[0], len(self.names) * self.cell[1]


def _numbers(n: int) -> tuple[str, ...]:
    return tuple(f"{i}" for i in range(1, n + 1))


@styled
def agreement(table: pd.DataFrame, text: FigureText) -> Figure:
    """Plot how far every two variants of an analysis agree, on layers and on ROIs.

    A matrix each: below the diagonal Kendall's tau-b, coloured; above it, without colour, how
    often the best layer is the same, and whether the best ROI is.

    Parameters
    ----------
    table : DataFrame
        One row per pair of variants (``variant_a, variant_b``) and ``what`` (``"layers"``: mean
        over ROIs of the tau-b between layer profiles; ``"ROIs"``: tau-b between the ROIs' scores
        at their best layers), with ``tau`` in [-1, 1] and ``same_best`` in [0, 1]; NaN means not
        comparable. A pair without a row is not comparable either.
    text : FigureText
        Title and note.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If the table has no rows, lacks a column, is about something else, or has a pair twice
        or a variant with itself.

    Examples
    --------
    >>> table = pd.read_csv("agreement.csv")  # doctest: +SKIP
    >>> figures.agreement(table, FigureText("ResNet-50 vs BOLD5000", "", ""))  # doctest: +SKIP
    """
    variants, matrices = _matrices(table)
    layout = _Layout.of(variants, matrices)
    width, height = layout.size
    rows = -(-len(matrices) // layout.columns)
    right = layout.left + layout.columns * (width + _GAP) - _GAP
    bar = max(min(height, 2.0), _LOWEST_BAR)
    pitch = height + _TITLE + _BETWEEN
    body = max(rows * pitch - _BETWEEN + layout.below.height, bar + _TITLE + 0.05)
    page_width = max(SINGLE_COLUMN, right + _BAR + MARGIN)
    captions = _captions(matrices)
    if layout.numbered:
        captions += [f"{i}: {name}" for i, name in enumerate(variants, 1)]
    page = Page(Canvas(), text, captions, page_width, body)
    for i, matrix in enumerate(matrices):
        row, column = divmod(i, layout.columns)
        x, top = layout.left + column * (width + _GAP), body - row * pitch
        page.text(x, top - _TITLE / 2, f"Order of {matrix.what}", size=LABEL_SIZE)
        ax = page.axes(x, top - _TITLE - height, width, height)
        _plot(ax, matrix)
        ax.set_xticks([])
        below = layout.below if row == rows - 1 else None
        name_cells(ax, layout.names if column == 0 else (), below)
    ticks = np.linspace(-1, 1, len(_BAR_TICKS))
    position = (right + 0.15, body - _TITLE - bar, bar)
    colour_bar(page, position, _COLOURS, _RANGE, ticks, _BAR_TICKS, [_BAR_LABEL])
    return page.figure


def _matrices(table: pd.DataFrame) -> tuple[tuple[str, ...], list[_Matrix]]:
    """Variants in the order in which the table names them, and a matrix for each `what`."""
    need(table, _COLUMNS, "agreement")
    if table.empty:
        raise ValueError("the agreement table has no rows: there is nothing to plot")
    unknown = sorted(set(table["what"]) - {"layers", "ROIs"})
    if unknown:
        raise ValueError(
            f"the agreement table has {unknown[0]!r} under 'what', expected 'layers' or 'ROIs'"
        )
    pairs = table[["variant_a", "variant_b"]].astype(str).to_numpy()
    variants = list(dict.fromkeys(pairs.ravel()))
    indices = np.array([[variants.index(name) for name in pair] for pair in pairs], dtype=np.intp)
    matrices = []
    for what in ("layers", "ROIs"):
        chosen = (table["what"] == what).to_numpy()
        if chosen.any():
            a, b = indices[chosen].T
            pair = np.stack([np.minimum(a, b), np.maximum(a, b)])
            if (a == b).any() or np.unique(pair, axis=1).shape[1] < len(a):
                raise ValueError(
                    f"the agreement table has a pair of variants twice for {what}, or a variant "
                    f"with itself"
                )
            tau, same_best = (
                _symmetric(table.loc[chosen, name], a, b, len(variants))
                for name in ("tau", "same_best")
            )
            matrices.append(_Matrix(what, tau, same_best))
    return tuple(map(printable, variants)), matrices


def _symmetric(values: pd.Series, a: NDArray[np.intp], b: NDArray[np.intp], n: int) -> Array:
    matrix = np.full((n, n), np.nan)
    matrix[a, b] = matrix[b, a] = values.to_numpy(dtype=float, na_value=np.nan)
    return matrix


def _plot(ax: Axes, matrix: _Matrix) -> None:
    n = len(matrix.tau)
    ax.set_xlim(0, n)
    ax.set_ylim(n, 0)
    ax.spines[:].set_visible(False)
    for row, column in np.ndindex(n, n):
        cell, below = (row, column), row > column
        if row == column:
            continue
        value = (matrix.tau if below else matrix.same_best)[cell]
        written = matrix.tau_written(*cell) if below else matrix.best_written(*cell)
        colour, edge = (_COLOURS(_RANGE(value)), "white") if below else ((1.0, 1.0, 1.0, 1.0), GRID)
        face = None if np.isnan(value) else colour
        label = plot_cell(ax, cell, written, face, edge, "tau" if below else "best")
        if face is not None:
            label.set(va="center_baseline")  # words of any letters level


def _captions(matrices: Sequence[_Matrix]) -> list[str]:
    kinds = [matrix.what for matrix in matrices]
    orders = {"layers": "layers (mean over ROIs)", "ROIs": "ROIs (by their best layers)"}
    best = {
        "layers": "share of ROIs with the same best layer",
        "ROIs": "whether the best ROI is the same",
    }
    off = ~np.eye(len(matrices[0].tau), dtype=bool)
    undefined = any(np.isnan([m.tau[off], m.same_best[off]]).any() for m in matrices)
    captions = [
        "coloured, lower left: Kendall’s τ-b of two variants’ orders of "
        + " and of ".join(orders[kind] for kind in kinds)
        + " (1: same order, 0: unrelated, −1: reversed)",
        "white, upper right: " + ", and ".join(best[kind] for kind in kinds),
    ]
    return captions + (["hatched: not comparable (n/a)"] if undefined else [])
