"""Tables over all runs of a sweep: all scores, and the outcome of each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rsa_exp.analysis.family import correct_over_runs
from rsa_exp.runs.recorded_run import RecordedRun
from rsa_exp.runs.recorded_sweep import RecordedSweep
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.vocabulary import FACT_COLUMNS, INFERENCE_COLUMNS

__all__ = ["joined_scores", "run_table"]

_OVER_SWEEP = {"q": "q_sweep", "n_tests": "n_tests_sweep", "p_fwe": "p_fwe_sweep"}


def joined_scores(sweep: RecordedSweep, extra: Mapping[str, str]) -> pd.DataFrame:
    """Join the scores of all finished runs and correct their tests as one family.

    Returns
    -------
    DataFrame
        One row per run, subject, ROI and layer: run, the swept keys of `extra` under its names,
        the columns of ``scores.csv``, and q_sweep, n_tests_sweep, p_fwe_sweep over all runs. q,
        n_tests and p_fwe are the run's own, unless its ``inference.family`` is ``sweep``.
    """
    runs = sweep.finished
    if not runs:
        facts = ["run", *extra.values(), *FACT_COLUMNS]
        return pd.DataFrame(columns=[*facts, *INFERENCE_COLUMNS, *_OVER_SWEEP.values()])
    tables = [run.scores for run in runs]
    sizes = [len(table) for table in tables]
    joined = pd.concat(tables, ignore_index=True)
    joined.insert(0, "run", np.repeat([run.number for run in runs], sizes))
    for i, (key, column) in enumerate(extra.items(), start=1):
        values = np.array([run.swept([key]).get(key, "") for run in runs], dtype=object)
        joined.insert(i, column, np.repeat(values, sizes))
    # A cell that two runs scored is one test: the later one's.
    cell = [*extra.values(), "study", "subject", "roi", "model", "layer", "metric"]
    last = ~joined.duplicated(cell, keep="last").to_numpy()
    parts = np.split(last, np.cumsum(sizes)[:-1])
    tested = [(table[kept], run.null) for table, kept, run in zip(tables, parts, runs, strict=True)]
    tested = [(table, null) for table, null in tested if len(table)]
    corrected = correct_over_runs(*zip(*tested, strict=True))
    corrected = corrected.set_index(np.flatnonzero(last))
    of_sweep = np.repeat([run.setting("inference.family") == "sweep" for run in runs], sizes)
    for own, over in _OVER_SWEEP.items():
        joined[over] = corrected[own].reindex(joined.index)
        joined[own] = joined[own].where(~of_sweep, joined[over])
    joined["n_tests_sweep"] = joined["n_tests_sweep"].fillna(0).astype(int)
    joined["n_tests"] = joined["n_tests"].fillna(0).astype(int)
    return joined


def run_table(sweep: RecordedSweep) -> pd.DataFrame:
    """Return the outcome of each run: status, settings, best score, images, time, folder, id.

    Returns
    -------
    DataFrame
        One row per run; best_roi, best_layer, best_score, n_images and seconds are empty (None,
        NaN) for runs that did not finish.
    """
    columns = ["run", "name", "status", "error", *sweep.keys]
    columns += ["best_roi", "best_layer", "best_score", "n_images", "seconds", "folder", "run_id"]
    return pd.DataFrame([_row(run, sweep.keys) for run in sweep.runs], columns=columns)


def _row(run: RecordedRun, keys: Sequence[str]) -> dict[str, object]:
    swept = run.swept(keys)
    row: dict[str, object] = {key: swept.get(key, "") for key in keys}
    row |= {"run": run.number, "name": run.name, "status": run.status}
    row |= {"error": run.manifest.error or None, "folder": run.folder, "run_id": run.run_id or None}
    row |= {"best_roi": None, "best_layer": None, "best_score": np.nan, "n_images": np.nan}
    row["seconds"] = np.nan
    if run.status != "finished":
        return row
    row["seconds"] = sum(run.provenance.get("seconds", {}).values()) or np.nan
    row["n_images"] = run.scores["n_images"].max()
    at = METRICS[str(run.scores["metric"].iloc[0])].best(run.scores["score"])
    if at is not None:
        best = run.scores.iloc[at]
        row |= {f"best_{name}": best[name] for name in ("roi", "layer", "score")}
    return row
