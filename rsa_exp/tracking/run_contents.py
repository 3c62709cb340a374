"""What MLflow shows of a run: parameters, metrics, tags, data sets and a description."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rsa_exp.config.schema import FEATURES, Config, FilesData, PatternsData, SimulatedData
from rsa_exp.runs.provenance import git_state
from rsa_exp.runs.significance import count_significant
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.tracking.addresses import metric_name
from rsa_exp.tracking.store import UID_TAG
from rsa_exp.vocabulary import ALPHA

if TYPE_CHECKING:
    import pandas as pd

    from rsa_exp.runs.recorded_run import RecordedRun

__all__ = ["closing_tags", "data_sets", "metrics", "opening_tags", "parameters"]


def parameters(config: Config) -> dict[str, object]:
    """Return what the UI's columns show of a run's settings."""
    data = config.data
    params: dict[str, object] = {
        "subject": config.subject,
        "roi": _joined(config.roi),
        "layer": _joined(config.layer),
        "images": config.images,
        "metric": config.metric,
        "align": config.align,
        "precision": config.precision,
        "seed": config.seed,
        "data": data.kind,
        "data.name": config.study_name,
        "data.subjects": ",".join(data.subjects),
        "model": config.model_name,
    }
    for key in ("bootstrap", "n_boot", "n_perm", "n_splits", "ci", "family", "ceiling"):
        params[f"inference.{key}"] = getattr(config.inference, key)
    for key in ("n_images", "n_runs", "seed", "atlas"):
        if hasattr(data, key):
            params[f"data.{key}"] = getattr(data, key)
    if config.match != "study":
        params["match"] = config.match
    if isinstance(data, FilesData | PatternsData):
        params["data.brain"] = data.brain
        params["data.model" if config.has_data_model else "model.file"] = config.model_file
    if isinstance(data, PatternsData) or (isinstance(data, SimulatedData) and data.n_runs):
        for key in ("distance", "noise", "folds", "zscore", "min_reliability"):
            params[f"data.{key}"] = getattr(data, key)
    if isinstance(data, PatternsData) and data.residuals:
        params["data.residuals"] = data.residuals
    if config.model.kind == FEATURES or (isinstance(data, SimulatedData) and data.n_runs):
        params |= {"model.distance": config.model.distance, "model.zscore": config.model.zscore}
    return params


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def opening_tags(run: RecordedRun) -> dict[str, str]:
    """Return the tags that a run has from its start."""
    manifest, config = run.manifest, run.config
    tags = {
        UID_TAG: manifest.uid,
        "simulated": str(config.simulated).lower(),
        "folder": run.folder,
        "overrides": json.dumps(manifest.overrides, ensure_ascii=False),
        "config_id": manifest.config_id,
    }
    tags |= {"choices": json.dumps(manifest.choices)} if manifest.choices else {}
    commit, dirty = git_state()
    if commit is not None:
        tags |= {"mlflow.source.git.commit": commit, "git_dirty": str(dirty).lower()}
    return tags | manifest.tags


def metrics(run: RecordedRun) -> list[tuple[str, float, int]]:
    """Return the numbers of a finished run: name, value, and step.

    ``score/ROI/layer``, ``profile/ROI`` with the layer's depth as step, ``best/ROI``, noise
    ceilings, and of a run with a single score its spread and tests.
    """
    metric, scores = METRICS[run.config.metric], run.scores
    found: list[tuple[str, float, int]] = []
    for roi, rows in scores.groupby("roi", sort=False):
        for row in rows.itertuples():
            found.append((metric_name("score", str(roi), row.layer), row.score, 0))
            found.append((metric_name("profile", str(roi)), row.score, row.depth))
        if (at := metric.best(rows["score"])) is not None:
            found.append((metric_name("best", str(roi)), rows["score"].iloc[at], 0))
        for column in ("ceiling_low", "ceiling_high"):
            found.append((metric_name(column, str(roi)), rows[column].iloc[0], 0))
    if len(scores) == 1:
        for column in ("score", "se", "ci_low", "ci_high", "p_zero", "p_perm"):
            found.append((column, scores[column].iloc[0], 0))
    if scores["q"].notna().any():
        found.append(("n_significant", float((scores["q"] < ALPHA).sum()), 0))
    found.append(("n_images", float(scores["n_images"].max()), 0))
    return found


def closing_tags(run: RecordedRun) -> dict[str, str]:
    """Return the tags that a finished run ends with."""
    metric, record = METRICS[run.config.metric], run.provenance
    tags = {"content_digest": record["content_digest"]}
    tags |= {f"version.{name}": str(version) for name, version in record["packages"].items()}
    if record["git_commit"] is not None:
        dirty = str(record["git_dirty"]).lower()
        tags |= {"mlflow.source.git.commit": record["git_commit"], "git_dirty": dirty}
    tags["mlflow.note.content"] = _note(run.scores, record)
    for roi, rows in run.scores.groupby("roi", sort=False):
        if (at := metric.best(rows["score"])) is not None:
            tags[metric_name("best", str(roi))] = str(rows["layer"].iloc[at])
    return tags


def _note(scores: pd.DataFrame, record: Mapping[str, Any]) -> str:
    """Return the run's description in the UI, in Markdown."""
    text = record["text"]
    lines = [f"**{text['title']}**", "", f"{text['score_label']}; {text['note']}"]
    summary = count_significant(scores)
    lines += ["", summary] if summary else []
    messages = [*record["warnings"], *record["notices"]]
    lines += ["", *(f"- {line}" for line in messages)] if messages else []
    return "\n".join(lines)


def data_sets(run: RecordedRun) -> list[dict[str, Any]]:
    """Return the files that a finished run read, as `TrackedRun.log_inputs` takes them."""
    prefix = "simulated " if run.config.simulated else ""
    return [
        {
            "role": item["role"],
            "name": prefix + item["name"],
            "digest": item["digest"],
            "path": item["path"],
            "profile": {
                "n_images": item["n_images"],
                "n_rdms": item["n_rdms"],
                "used": len(item["rows"]),
            },
        }
        for item in run.provenance["inputs"]
    ]
