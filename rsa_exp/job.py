"""One run from config to folder and store: what Hydra's job and `reproduce` both do."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsa_exp import interrupts, output
from rsa_exp.config import to_yaml
from rsa_exp.errors import InputError
from rsa_exp.schema import Config, FilesData

if TYPE_CHECKING:
    from rsa_exp.pipeline import RunResult
    from rsa_exp.tracking import Store, TrackedRun

__all__ = ["JobSpec", "Outcome", "execute"]

log = logging.getLogger("rsa_exp")


@dataclass(frozen=True)
class JobSpec:
    """How a run is filed.

    Attributes
    ----------
    folder : Path
        Where its files go.
    name : str
        What the store calls it.
    overrides : list of str
        Hydra overrides it was made with.
    parent : str or None
        Id of the sweep's run in the store.
    sweep : str or None
        What marks the runs of one sweep on disk.
    tags : dict of str to str
        Further tags.
    """

    folder: Path
    name: str
    overrides: list[str]
    parent: str | None = None
    sweep: str | None = None
    tags: dict[str, str] | None = None


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes
    ----------
    folder : Path
        Where its files are.
    address : str or None
        Where the UI shows it, when it was tracked.
    """

    folder: Path
    address: str | None


def execute(config: Config, spec: JobSpec) -> Outcome:
    """Run, write, draw and record.

    Results are on disk before they are tracked. A tracked run never stays RUNNING: it ends as
    FINISHED, as FAILED with the reason, or as KILLED when it was interrupted.

    Raises
    ------
    InputError
        If the input, the output folder or the store cannot be used.
    """
    output.claim_folder(spec.folder, "run")
    store = _store(config)
    tracked = None
    try:
        if store is not None:
            with interrupts.shield():
                tracked = store.start(spec.name, _params(config), _tags(config, spec), spec.parent)
        return _execute(config, spec, tracked)
    except BaseException as error:
        if tracked is not None:
            with interrupts.shield(closing=True):
                _end(tracked, error)
        raise


def _execute(config: Config, spec: JobSpec, tracked: TrackedRun | None) -> Outcome:
    from rsa_exp import pipeline
    from rsa_exp.figures import save
    from rsa_exp.provenance import provenance
    from rsa_exp.stats import METRICS

    files = [output.write_text(spec.folder / "config.yaml", to_yaml(config))]
    if tracked is not None:
        tracked.log(files=files)  # so that a failed run, too, says what it was
    result = pipeline.run(config)

    keep = files.append
    files += _write_tables(spec.folder, result)
    keep(output.write_json(spec.folder / "alignment.json", result.alignment))
    keep(output.write_text(spec.folder / "images.txt", "\n".join(result.images) + "\n"))
    greater = METRICS[config.metric].greater_is_better
    _tell(result, greater)

    start = time.perf_counter()
    for name, figure in pipeline.draw(result, config.figures.names):
        interrupts.checkpoint()
        files += save(figure, output.prepare_folder(spec.folder / "figures"), name)
    seconds = result.seconds | {"draw": time.perf_counter() - start}
    record = provenance(result.inputs, result.images, spec.overrides, config.seed)
    record |= {"seconds": seconds, "notices": result.notices, "warnings": result.warnings}
    record["sweep"] = spec.sweep
    keep(output.write_json(spec.folder / "provenance.json", record))

    if tracked is not None:
        tracked.record(_record(config, result, record, files, greater))
    return Outcome(spec.folder, tracked.address if tracked else None)


def _write_tables(folder: Path, result: RunResult) -> list[Path]:
    """Write the tables that the run has, and its draws if they are to be kept."""
    import pandas as pd

    found = result.inference
    null = None if found.null is None else pd.DataFrame({"best_score": found.null})
    tables = {
        "scores": result.scores,
        "subject_scores": result.subject_scores,
        "comparisons": found.comparisons,
        "ceilings": found.ceilings,
        "best_layers": found.best_layers,
        "permutations": null,
    }
    files = [
        output.write_table(folder / f"{name}.csv", table)
        for name, table in tables.items()
        if table is not None
    ]
    if found.draws is not None:
        files.append(output.write_arrays(folder / "draws.npz", found.draws))
    return files


def _store(config: Config) -> Store | None:
    if not config.tracking.enabled:
        return None
    from rsa_exp.tracking import Store

    return Store(Path(config.tracking.folder), config.tracking.experiment)


def _end(tracked: TrackedRun, error: BaseException) -> None:
    """Close the run of a failed job; that this fails too must not hide the first failure."""
    known = isinstance(error, InputError)
    killed = isinstance(error, KeyboardInterrupt | SystemExit)
    reason = str(error) if known else f"{type(error).__name__}: {error}"
    try:
        tracked.end("KILLED" if killed else "FAILED", "interrupted" if killed else reason)
    except Exception as second:
        log.warning("run %s could not be marked as failed: %s", tracked.run_id, second)


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


def _tags(config: Config, spec: JobSpec) -> dict[str, str]:
    from rsa_exp.provenance import git_state

    commit, dirty = git_state()
    tags = {"simulated": str(config.simulated).lower(), "folder": str(spec.folder)}
    if commit is not None:
        tags |= {"mlflow.source.git.commit": commit, "git_dirty": str(dirty).lower()}
    return tags | (spec.tags or {})


def _record(
    config: Config, result: RunResult, record: dict[str, Any], files: list[Path], greater: bool
) -> dict[str, Any]:
    """Return what the store gets of a finished run."""
    from rsa_exp.store_names import metric_name
    from rsa_exp.terminal import ALPHA

    scores = result.scores
    metrics: list[tuple[str, float, int]] = []
    tags = {"content_digest": record["content_digest"]}
    tags |= {f"version.{name}": str(version) for name, version in record["packages"].items()}
    tags["mlflow.note.content"] = _note(result)
    for roi, rows in scores.groupby("roi", sort=False):
        for row in rows.itertuples():
            metrics.append((metric_name("score", str(roi), row.layer), row.score, 0))
            metrics.append((metric_name("profile", str(roi)), row.score, row.depth))
        if rows["score"].notna().any():
            best = rows.loc[rows["score"].idxmax() if greater else rows["score"].idxmin()]
            metrics.append((metric_name("best", str(roi)), best["score"], 0))
            tags[metric_name("best", str(roi))] = best["layer"]
        for column in ("ceiling_low", "ceiling_high"):
            metrics.append((metric_name(column, str(roi)), rows[column].iloc[0], 0))
    if len(scores) == 1:
        for column in ("score", "se", "ci_low", "ci_high", "p_zero", "p_perm"):
            metrics.append((column, scores[column].iloc[0], 0))
    if scores["q"].notna().any():
        metrics.append(("n_significant", float((scores["q"] < ALPHA).sum()), 0))
    metrics.append(("n_images", float(scores["n_images"].max()), 0))
    prefix = "simulated " if config.simulated else ""
    inputs = [
        {
            "role": item.role,
            "name": prefix + item.name,
            "digest": item.digest,
            "path": item.path,
            "profile": {"n_images": item.n_images, "n_rdms": item.n_rdms, "used": len(item.rows)},
        }
        for item in result.inputs
    ]
    return {"metrics": metrics, "tags": tags, "inputs": inputs, "files": files}


def _tell(result: RunResult, greater: bool) -> None:
    """Show the run's notices and scores on the terminal."""
    from rsa_exp.terminal import score_table, summary_of_tests

    for notice in result.notices:
        log.info("note: %s", notice)
    for warning in result.warnings:
        log.warning(warning)
    report = result.alignment
    each = ", ".join(f"{Path(file['file']).name} {file['n_images']}" for file in report["files"])
    log.info("images: %s; %d common, %d used", each, report["n_common"], report["n_used"])
    log.info("\n%s: %s (%s)", result.text.title, result.text.score_label, result.text.note)
    best = result.inference.best_layers
    log.info(score_table(result.scores, best, greater_is_better=greater))
    if summary := summary_of_tests(result.scores):
        log.info(summary)


def _note(result: RunResult) -> str:
    """Return the run's description in the UI, in Markdown."""
    from rsa_exp.terminal import summary_of_tests

    lines = [f"**{result.text.title}**", "", f"{result.text.score_label}; {result.text.note}"]
    summary = summary_of_tests(result.scores)
    lines += ["", summary] if summary else []
    said = [*result.warnings, *result.notices]
    lines += ["", *(f"- {text}" for text in said)] if said else []
    return "\n".join(lines)
