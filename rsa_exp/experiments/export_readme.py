"""The README.txt of an exported run or sweep: what it is, what came out, how to reproduce it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsa_exp.config.schema import Config, SimulatedData
from rsa_exp.reports.text_table import text_table
from rsa_exp.runs.manifest import SweepManifest
from rsa_exp.runs.recorded_run import RecordedRun
from rsa_exp.stats.metrics.registry import METRICS

__all__ = ["run_readme", "sweep_readme", "title_of"]


def title_of(run: RecordedRun) -> str:
    """Return the title of a run's figures, else its name."""
    return str(_figure_text(run).get("title") or run.name)


def run_readme(run: RecordedRun, *, has_diff: bool) -> str:
    """Describe a run's folder, in which ``code.diff`` may be."""
    record, text, title = run.provenance, _figure_text(run), title_of(run)
    noted = [str(line) for key in ("warnings", "notices") for line in _list(record.get(key))]
    facts = [
        f"{text.get('score_label', run.config.metric)}; {text.get('note', '')}".strip("; "),
        f"One run of rsa_exp {record.get('rsa_exp', '')}, of {record.get('date', 'unknown date')}: "
        f"{run.title}",
    ]
    lines = [title, "=" * len(title), "", *facts, "", *_best_layers(run)]
    lines += ["", *(f"- {line}" for line in noted)] if noted else []
    return "\n".join([*lines, "", *_how_to_reproduce(run, has_diff=has_diff), ""])


def sweep_readme(sweep: SweepManifest, runs: Sequence[tuple[str, str]]) -> str:
    """Describe the folder of a sweep and of its runs, given as (folder, title)."""
    lines = [sweep.name, "=" * len(sweep.name), ""]
    lines += [f"Made by: {sweep.command}", ""] if sweep.command else []
    lines += [
        "report.html summarises the sweep; scores.csv and the other tables here are of all its",
        f"runs. Each of the {len(runs)} runs has a folder, with all its files and a README.txt:",
        "",
        *(f"  {folder}  {title}" for folder, title in runs),
        "",
        "To reproduce it",
        "---------------",
        "",
        "Set up rsa_exp as the README.txt of any of the runs says; then, with HERE for the path of",
        "this folder (and --data-root FOLDER for that of the input files, unless simulated):",
        "",
        "    python -m rsa_exp reproduce HERE",
        "",
    ]
    return "\n".join(lines)


def _figure_text(run: RecordedRun) -> Mapping[str, Any]:
    text = run.provenance.get("text")
    return text if isinstance(text, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _best_layers(run: RecordedRun) -> list[str]:
    """List the layer with the best score of each ROI."""
    metric = METRICS[run.config.metric]
    rows = []
    for roi, cells in run.scores.groupby("roi", sort=False):
        if (at := metric.best(cells["score"])) is not None:
            best = cells.iloc[at]
            interval = ""
            if "ci_low" in cells and best["ci_low"] == best["ci_low"]:
                level = f"{run.config.inference.ci:.0%}"
                interval = f"{level} interval {best['ci_low']:.3f} to {best['ci_high']:.3f}"
            rows.append([str(roi), str(best["layer"]), f"{best['score']:.4f}", interval])
        else:
            rows.append([str(roi), "undefined", "", ""])
    return [
        "Layer with the best score in each ROI (all layers, intervals and tests: scores.csv):",
        "",
        *(f"  {line}" for line in text_table(rows, "llll")),
    ]


def _how_to_reproduce(run: RecordedRun, *, has_diff: bool) -> list[str]:
    """Write the exact commands that reproduce a run."""
    record, config = run.provenance, run.config
    commit, python = record.get("git_commit"), str(record.get("python", "3"))
    minor = ".".join(python.split(".")[:2])
    lines = ["To reproduce it", "---------------", ""]
    lines += [
        f"In a clone of rsa_exp, with HERE for the path of this folder and Python {python}:",
        "",
    ]
    lines += [f"    git checkout {commit}"] if commit else []
    lines += ["    git apply HERE/code.diff"] if has_diff else []
    lines += [
        f"    python{minor} -m venv venv && . venv/bin/activate",
        "    pip install -r HERE/requirements.txt",
        "    pip install --no-deps -e .",
    ]
    data_root = "" if isinstance(config.data, SimulatedData) else " --data-root FOLDER"
    lines += [f"    python -m rsa_exp reproduce HERE{data_root}", ""]
    lines += ["It ends by saying whether every number is the same, with exit status 0 if so."]
    if record.get("git_dirty") is True and not has_diff:
        lines += ["The code had uncommitted changes that were not kept: scores may differ."]
    if isinstance(config.data, SimulatedData):
        return [*lines, "The data are simulated, and are made anew."]
    names = [f"    {item['name']}  (xxh3_128 {item['digest']})" for item in record["inputs"]]
    names += [f"    {name}  (for the names of its images)" for name in _unscored(record, config)]
    lines += ["FOLDER is the folder of these files, which are not in this one:", "", *names]
    return [*lines, "", config.data.hint] if config.data.hint else lines


def _unscored(record: Mapping[str, Any], config: Config) -> list[str]:
    """Files whose rows a run did not score, but whose images decide which are common to all."""
    scored = {item["path"] for item in record["inputs"]}
    opened = [str(s.get("path")) for s in _list(record.get("files")) if isinstance(s, Mapping)]
    return [Path(path).name for path in opened if path not in {*scored, config.images}]
