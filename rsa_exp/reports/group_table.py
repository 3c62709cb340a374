"""One row for each ROI and layer of a sweep: the mean over subjects, the group, the mean RDM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rsa_exp.reports.variants import Variant
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.vocabulary import GROUP, POOLED

__all__ = ["ANALYSES", "CELL", "SUBJECTS", "as_grid", "group_table", "latest", "member_rows"]

SUBJECTS = "subjects"
"""The analysis that is the mean over single subjects."""
ANALYSES = (SUBJECTS, *POOLED)
CELL = ["variant", "roi", "layer"]

_FACTS = ["hemisphere", "region", "level", "model", "depth", "metric"]
_INFERRED = [
    "se", "ci_low", "ci_high", "ci_method", "p_zero", "p_perm", "p_ceiling", "ceiling_low",
    "ceiling_high", "q_sweep", "n_tests_sweep", "p_fwe_sweep",
]  # fmt: skip
_COLUMNS = [
    "analysis", "roi", "hemisphere", "region", "level", "model", "layer", "depth", "metric",
    "score", "sem", "n_subjects", *_INFERRED,
]  # fmt: skip


def latest(scores: pd.DataFrame, variants: Sequence[Variant]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Name the variant of each score, and keep one score of each cell.

    Returns
    -------
    kept, repeated : DataFrame
        Rows with the columns variant and analysis; where a cell was scored by several runs of one
        variant, the last run's is kept and the others are repeated.
    """
    of_run = {run.number: each.name for each in variants for run in each.runs}
    subjects = scores["subject"].astype(str)
    named = scores.assign(
        variant=scores["run"].map(of_run), analysis=subjects.where(subjects.isin(POOLED), SUBJECTS)
    )
    twice = named.duplicated(["variant", "subject", "roi", "layer"], keep="last")
    return named[~twice], named[twice]


def member_rows(variants: Sequence[Variant]) -> pd.DataFrame:
    """Each subject's scores in the group runs, with the variant; empty without such runs."""
    tables = [
        run.subject_scores.assign(variant=each.name, run=run.number)
        for each in variants
        for run in each.runs
        if run.subject_scores is not None
    ]
    if not tables:
        return pd.DataFrame(columns=["variant", "run", "subject", "roi", "layer", "score"])
    joined = pd.concat(tables, ignore_index=True)
    return joined.drop_duplicates(["variant", "subject", "roi", "layer"], keep="last")


def group_table(
    kept: pd.DataFrame, members: pd.DataFrame, variants: Sequence[Variant], extra: Mapping[str, str]
) -> pd.DataFrame:
    """Combine the runs of each variant into one row per analysis, ROI and layer.

    `kept` is of `latest`, `members` of `member_rows`; `extra` names the columns of swept keys that
    have columns of their own.

    Returns
    -------
    DataFrame
        Columns variant, the extra ones, analysis (``subjects``: the mean over single subjects;
        ``group``; ``joint``), roi, hemisphere, region, level, model, layer, depth, metric, score,
        sem (standard error over subjects, NaN below two), n_subjects (how many have a score),
        and for group and joint what inference found. A mean over subjects is NaN where one that
        the variant has scores of has none: all means of a variant are over the same subjects, those
        of two variants need not be (see `rsa_exp.reports.variants.lacking`).
    """
    pooled = kept[kept["analysis"] != SUBJECTS]
    table = pd.concat([_means(kept), _pooled(pooled, members, variants)], ignore_index=True)
    order = {name: i for i, name in enumerate(dict.fromkeys(kept["roi"]))}
    names = [each.name for each in variants]
    table = table.assign(
        _variant=table["variant"].map(names.index),
        _analysis=table["analysis"].map(ANALYSES.index),
        _roi=table["roi"].map(order),
    ).sort_values(["_variant", "_analysis", "_roi", "depth"], kind="stable", ignore_index=True)
    settings = {each.name: each.settings for each in variants}
    for key, column in extra.items():
        table[column] = [settings[name][key] for name in table["variant"]]
    return table[["variant", *extra.values(), *_COLUMNS]]


def as_grid(rows: pd.DataFrame, column: str, rois: list[str], layers: list[str]) -> FloatArray:
    """Return a column of one variant and analysis as an array of shape (n_roi, n_layer).

    NaN where there is no row.
    """
    values = np.full((len(rois), len(layers)), np.nan)
    roi_at = {name: i for i, name in enumerate(rois)}
    layer_at = {name: j for j, name in enumerate(layers)}
    at = rows["roi"].map(roi_at).to_numpy(), rows["layer"].map(layer_at).to_numpy()
    values[at] = rows[column].to_numpy(dtype=float)
    return values


def _means(kept: pd.DataFrame) -> pd.DataFrame:
    """Mean over single subjects; empty where none was scored."""
    rows = kept[kept["analysis"] == SUBJECTS]
    cells = rows.groupby(CELL, sort=False)
    table = cells[_FACTS].first().join(_over_subjects(rows)).reset_index()
    wanted = table["variant"].map(rows.groupby("variant")["subject"].nunique())
    whole = table["n_subjects"] == wanted
    table["score"] = table["mean"].where(whole)
    table["sem"] = table["sem"].where(whole)
    empty = {"ci_method": "", "n_tests_sweep": 0}
    return table.assign(
        analysis=SUBJECTS, **{name: empty.get(name, np.nan) for name in _INFERRED}
    ).drop(columns="mean")


def _over_subjects(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean, standard error and number of the defined scores of each cell."""
    found = rows.groupby(CELL, sort=False)["score"].agg(["mean", "std", "count"])
    sem = found["std"] / np.sqrt(found["count"])
    return pd.DataFrame({"mean": found["mean"], "sem": sem, "n_subjects": found["count"]})


def _pooled(rows: pd.DataFrame, members: pd.DataFrame, variants: Sequence[Variant]) -> pd.DataFrame:
    """Scores of groups and mean RDMs, with the spread over a group's subjects."""
    n_pooled = {
        run.number: len(run.setting("data.subjects", ())) for each in variants for run in each.runs
    }
    table = rows.reset_index(drop=True).drop(columns="subject")
    spread = _over_subjects(members.astype({"score": float})) if len(members) else None
    table["sem"], table["n_subjects"] = np.nan, table["run"].map(n_pooled)
    if spread is not None:
        found = spread.reindex(pd.MultiIndex.from_frame(table[CELL])).reset_index(drop=True)
        of_group = (table["analysis"] == GROUP) & found["n_subjects"].notna()
        table["sem"] = found["sem"].where(of_group & table["score"].notna())
        table["n_subjects"] = found["n_subjects"].where(of_group, table["n_subjects"]).astype(int)
    return table
