"""A tidy score table as arrays over subjects, ROIs and layers, and what is averaged over them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rsa_exp.figures.layout.text import printable
from rsa_exp.figures.result import Array
from rsa_exp.vocabulary import POOLED

_REQUIRED = ("subject", "roi", "layer", "depth", "metric", "model", "score")
_LEVELS = ("early", "mid", "high")  # of the visual hierarchy, in the order of processing


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class ScoreGrid:
    """One model's scores under one metric, subject x ROI x layer."""

    subjects: tuple[str, ...]  # in the table's order, as ROIs
    rois: tuple[str, ...]
    layers: tuple[str, ...]  # by depth
    hemispheres: tuple[str, ...]  # of each ROI, empty where unknown; so are regions and levels
    regions: tuple[str, ...]
    levels: tuple[str, ...]
    _table: pd.DataFrame
    _index: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, table: pd.DataFrame) -> "ScoreGrid":
        """Lay a tidy table (one row per subject, ROI and layer) out as a grid.

        Raises
        ------
        ValueError
            If the table has no rows, lacks a column, has two metrics, models or scores for
            one cell, or mixes subjects with a mean of them.
        """
        _check(table)
        subjects = table["subject"].astype(str)
        rois, layers = table["roi"].astype(str), table["layer"].astype(str)
        by_depth = np.argsort(table["depth"].to_numpy(dtype=float), kind="stable")
        subject_names = tuple(dict.fromkeys(subjects))
        roi_names = tuple(dict.fromkeys(rois))
        layer_names = tuple(dict.fromkeys(layers.iloc[by_depth]))
        first = ~rois.duplicated().to_numpy()
        columns = ((subject_names, subjects), (roi_names, rois), (layer_names, layers))
        return cls(
            tuple(map(printable, subject_names)),
            tuple(map(printable, roi_names)),
            tuple(map(printable, layer_names)),
            _annotation(table, "hemisphere", first),
            _annotation(table, "region", first),
            _annotation(table, "level", first),
            table,
            tuple(pd.Index(each).get_indexer(values) for each, values in columns),
        )

    def column(self, name: str) -> Array:
        """Return a numeric column, array of shape (n_subject, n_roi, n_layer), NaN where absent."""
        values = np.full((len(self.subjects), len(self.rois), len(self.layers)), np.nan)
        values[self._index] = self._table[name].to_numpy(dtype=float, na_value=np.nan)
        return np.where(np.isfinite(values), values, np.nan)

    @cached_property
    def scores(self) -> Array:
        """Scores, array of shape (n_subject, n_roi, n_layer); NaN means undefined."""
        return self.column("score")

    @cached_property
    def mean_scores(self) -> Array:
        """Mean over subjects, array of shape (n_roi, n_layer)."""
        return mean_sem(self.scores)[0]

    @property
    def several(self) -> bool:
        """Whether there are subjects to average over (and so an SEM)."""
        return len(self.subjects) > 1

    @property
    def regions_or_rois(self) -> tuple[str, ...]:
        """Region of each ROI, or the ROI's own name where it has no region."""
        return tuple(region or roi for region, roi in zip(self.regions, self.rois, strict=True))

    @property
    def by_level(self) -> dict[str, tuple[int, ...]]:
        """Positions of the ROIs of each level, in the order of :func:`ordered_levels`."""
        return {
            level: tuple(i for i, name in enumerate(self.levels) if name == level)
            for level in ordered_levels(self.levels)
        }

    def by_region(self) -> "RegionScores":
        """Average the ROIs of each region and hemisphere."""
        names = tuple(dict.fromkeys(self.regions_or_rois))
        sides = tuple(dict.fromkeys(self.hemispheres))
        shape = (len(self.subjects), len(names), len(sides), len(self.layers))
        scores = np.full(shape, np.nan)
        for i, name in enumerate(names):
            for j, side in enumerate(sides):
                pairs = zip(self.regions_or_rois, self.hemispheres, strict=True)
                members = [k for k, pair in enumerate(pairs) if pair == (name, side)]
                if members:
                    scores[:, i, j] = mean_sem(self.scores[:, members], axis=1)[0]
        return RegionScores(names, sides, scores)


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class RegionScores:
    """Scores by region and hemisphere."""

    names: tuple[str, ...]  # regions (ROIs where they have no region), in the table's order
    hemispheres: tuple[str, ...]  # "LH", "RH", or "" where it is not known
    scores: Array  # (n_subject, n_region, n_hemisphere, n_layer), NaN where undefined or absent

    @property
    def bilateral(self) -> bool:
        """Whether some region has scores from two hemispheres."""
        known = [i for i, side in enumerate(self.hemispheres) if side]
        sides = np.isfinite(self.scores[:, :, known]).any(axis=(0, 3)).sum(axis=1)
        return bool((sides > 1).any())

    @property
    def over_hemispheres(self) -> Array:
        """Mean over hemispheres, array of shape (n_subject, n_region, n_layer)."""
        return mean_sem(self.scores, axis=2)[0]


def ordered_levels(levels: Iterable[str]) -> list[str]:
    """Each level once, in the order of processing; others follow, no level (empty) comes last."""
    found = dict.fromkeys(levels)
    order = [level for level in _LEVELS if level in found]
    order += [level for level in found if level not in order and level]
    return order + ([""] if "" in found else [])


def mean_sem(values: Array, axis: int = 0) -> tuple[Array, Array]:
    """Mean and standard error (ddof=1) over an axis, of the values that are defined.

    The mean is NaN where nothing is defined, the SEM where fewer than two values are.
    """
    defined = np.isfinite(values)
    n = defined.sum(axis=axis, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(defined, values, 0.0).sum(axis=axis, keepdims=True) / n
        squares = np.where(defined, (values - mean) ** 2, 0.0).sum(axis=axis, keepdims=True)
        sem = np.where(n > 1, np.sqrt(squares / (n - 1) / n), np.nan)
    return mean.squeeze(axis), sem.squeeze(axis)


def need(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Raise a ValueError if a table lacks one of the columns."""
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(
            f"the {what} table lacks the columns {', '.join(missing)} (it has "
            f"{', '.join(map(str, table.columns))})"
        )


def _check(table: pd.DataFrame) -> None:
    need(table, _REQUIRED, "score")
    if table.empty:
        raise ValueError("the score table has no rows: there is nothing to plot")
    for name in ("metric", "model"):
        found = table[name].astype(str).unique()
        if len(found) > 1:
            raise ValueError(
                f"a figure shows one {name}, the table has {', '.join(found)}: plot them one "
                f"at a time"
            )
    repeated = table.duplicated(["subject", "roi", "layer"])
    if repeated.any():
        subject, roi, layer = table.loc[repeated, ["subject", "roi", "layer"]].iloc[0]
        raise ValueError(
            f"the table has more than one score for subject {subject}, ROI {roi!r}, layer "
            f"{layer!r}: pass one row for each"
        )
    subjects = set(table["subject"].astype(str))
    pooled = sorted(subjects & set(POOLED))
    if pooled and len(subjects) > 1:
        raise ValueError(
            f"the table mixes {pooled[0]!r}, a mean over subjects, with subjects "
            f"{', '.join(sorted(subjects - set(pooled)))}: its SEM would count data twice; "
            f"plot them in separate figures"
        )


def _annotation(table: pd.DataFrame, name: str, rows: NDArray[np.bool_]) -> tuple[str, ...]:
    if name not in table:
        return ("",) * int(rows.sum())
    return tuple("" if pd.isna(value) else printable(str(value)) for value in table.loc[rows, name])
