"""What the store gets of a run, made from the files in the run's folder and nothing else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsa_exp import files as output
from rsa_exp.config.compose import from_logged
from rsa_exp.config.schema import Config, FilesData
from rsa_exp.runs import manifest
from rsa_exp.vocabulary import ALPHA

if TYPE_CHECKING:
    import pandas as pd

    from rsa_exp.tracking.store import Store
    from rsa_exp.tracking.tracked import TrackedRun

__all__ = ["Entry", "entry_of", "open_run", "record_run"]


@dataclass(frozen=True)
class Entry:
    """A run as the store is told of it.

    Attributes
    ----------
    name : str
        What the UI shows.
    params : dict of str to object
        What the UI's columns show of its config.
    opening : dict of str to str
        Tags that it has from its beginning.
    parent : str
        Id of its sweep's run; empty if there is none.
    begun, ended : int or None
        In ms since 1970.
    status, error : str
        As in its manifest.
    metrics : list of (str, float, int)
        Name, value and step.
    tags : dict of str to str
        Tags that it ends with.
    inputs : list of dict
        What `TrackedRun.log_inputs` takes.
    files : list of Path
        Its artifacts.
    """

    name: str
    params: dict[str, object]
    opening: dict[str, str]
    parent: str
    begun: int | None
    ended: int | None
    status: str
    error: str | None
    metrics: list[tuple[str, float, int]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def entry_of(folder: Path, run: manifest.RunManifest, config: Config | None = None) -> Entry:
    """Say what the store is told of a run.

    Parameters
    ----------
    folder : Path
        The run's folder.
    run : Run
        Its manifest.
    config : Config or None
        Its settings; None reads them.

    Raises
    ------
    InputError
        If the config there is not one of rsa_exp, or a file is not in the folder itself.
    OSError, ValueError, KeyError
        If a file of the run is gone or damaged.
    """
    if config is None:
        config = from_logged((folder / "config.yaml").read_text(encoding="utf-8"))
    files = [output.file_inside(folder, name) for name in run.files]
    entry = Entry(
        run.name,
        _params(config),
        _opening(folder, run, config),
        run.parent,
        manifest.milliseconds(run.started),
        manifest.milliseconds(run.ended),
        run.status,
        run.error or None,
        files=files,
        tags={"folder": str(folder)} | ({"superseded": "true"} if run.superseded else {}),
    )
    if run.status == "finished":
        record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        scores = output.read_scores(folder / "scores.csv")
        entry.metrics.extend(_metrics(scores, config))
        entry.tags.update(_closing(scores, record, config))
        entry.inputs.extend(_inputs(record, config))
    return entry


def open_run(store: Store, entry: Entry) -> TrackedRun:
    """Open a run in a store.

    Raises
    ------
    InputError
        If the store does not take it.
    """
    return store.start(
        entry.name, entry.params, entry.opening, parent=entry.parent or None, begun=entry.begun
    )


def record_run(
    store: Store,
    entry: Entry,
    folder: Path,
    run: manifest.RunManifest,
    tracked: TrackedRun | None = None,
) -> manifest.RunManifest:
    """Give a store all of a run that has ended, once, however often this is done.

    Parameters
    ----------
    store : Store
        Where.
    entry : Entry
        What.
    folder : Path
        The run's folder.
    run : Run
        Its manifest.
    tracked : TrackedRun or None
        The store's run; None looks for the one that was opened for it, else opens one.

    Returns
    -------
    Run
        The manifest as it is now on disk.

    Raises
    ------
    InputError
        If the store does not take it.
    """
    found = tracked or store.find(run.uid) or open_run(store, entry)
    found.record(entry)
    run = dataclasses.replace(run, run_id=found.run_id, uploaded=True)
    manifest.write(folder, run)
    return run


def _params(config: Config) -> dict[str, object]:
    """Return what the UI's columns show of a config."""
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
    for key in ("n_images", "seed", "atlas"):
        if hasattr(data, key):
            params[f"data.{key}"] = getattr(data, key)
    if isinstance(data, FilesData):
        params |= {"data.brain": data.brain, "data.model": data.model}
    return params


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _opening(folder: Path, run: manifest.RunManifest, config: Config) -> dict[str, str]:
    from rsa_exp.runs.provenance import git_state
    from rsa_exp.tracking.store import UID_TAG

    commit, dirty = git_state()
    tags = {
        UID_TAG: run.uid,
        "simulated": str(config.simulated).lower(),
        "folder": str(folder),
        "overrides": json.dumps(run.overrides, ensure_ascii=False),
        "config_id": run.config_id,
    }
    tags |= {"choices": json.dumps(run.choices)} if run.choices else {}
    if commit is not None:
        tags |= {"mlflow.source.git.commit": commit, "git_dirty": str(dirty).lower()}
    return tags | run.tags


def _metrics(scores: pd.DataFrame, config: Config) -> list[tuple[str, float, int]]:
    from rsa_exp.stats.metrics.registry import METRICS
    from rsa_exp.tracking.addresses import metric_name

    metric = METRICS[config.metric]
    metrics: list[tuple[str, float, int]] = []
    for roi, rows in scores.groupby("roi", sort=False):
        for row in rows.itertuples():
            metrics.append((metric_name("score", str(roi), row.layer), row.score, 0))
            metrics.append((metric_name("profile", str(roi)), row.score, row.depth))
        if (at := metric.best(rows["score"])) is not None:
            metrics.append((metric_name("best", str(roi)), rows["score"].iloc[at], 0))
        for column in ("ceiling_low", "ceiling_high"):
            metrics.append((metric_name(column, str(roi)), rows[column].iloc[0], 0))
    if len(scores) == 1:
        for column in ("score", "se", "ci_low", "ci_high", "p_zero", "p_perm"):
            metrics.append((column, scores[column].iloc[0], 0))
    if scores["q"].notna().any():
        metrics.append(("n_significant", float((scores["q"] < ALPHA).sum()), 0))
    metrics.append(("n_images", float(scores["n_images"].max()), 0))
    return metrics


def _closing(scores: pd.DataFrame, record: Mapping[str, Any], config: Config) -> dict[str, str]:
    from rsa_exp.stats.metrics.registry import METRICS
    from rsa_exp.tracking.addresses import metric_name

    metric = METRICS[config.metric]
    tags = {"content_digest": record["content_digest"]}
    tags |= {f"version.{name}": str(version) for name, version in record["packages"].items()}
    if record["git_commit"] is not None:
        dirty = str(record["git_dirty"]).lower()
        tags |= {"mlflow.source.git.commit": record["git_commit"], "git_dirty": dirty}
    tags["mlflow.note.content"] = _note(scores, record)
    for roi, rows in scores.groupby("roi", sort=False):
        if (at := metric.best(rows["score"])) is not None:
            tags[metric_name("best", str(roi))] = str(rows["layer"].iloc[at])
    return tags


def _note(scores: pd.DataFrame, record: Mapping[str, Any]) -> str:
    """Return the run's description in the UI, in Markdown."""
    from rsa_exp.runs.significance import count_significant

    text = record["text"]
    lines = [f"**{text['title']}**", "", f"{text['score_label']}; {text['note']}"]
    summary = count_significant(scores)
    lines += ["", summary] if summary else []
    said = [*record["warnings"], *record["notices"]]
    lines += ["", *(f"- {line}" for line in said)] if said else []
    return "\n".join(lines)


def _inputs(record: Mapping[str, Any], config: Config) -> list[dict[str, Any]]:
    prefix = "simulated " if config.simulated else ""
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
        for item in record["inputs"]
    ]
