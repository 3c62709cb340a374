"""An exported folder described for machines: RO-Crate 1.1, with each run as a Process Run Crate.

See https://w3id.org/ro/crate/1.1 and https://w3id.org/ro/wfrun/process/0.5.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rsa_exp.errors import listing
from rsa_exp.experiments.export_readme import title_of
from rsa_exp.runs.recorded_run import RecordedRun

__all__ = ["METADATA", "describe"]

ExportedRun = tuple[str, RecordedRun]
"""A run and its folder relative to the exported one: ``""``, or ``runs/1-sub-1_corr/``."""

METADATA = "ro-crate-metadata.json"

_SPECIFICATION = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
# RO-Crate 1.1 has no term for it; this is the one that run crates use.
_SHA256 = "https://w3id.org/ro/terms/workflow-run#sha256"
# Every crate must say how it may be used.
_LICENCE = "No licence was stated when this was exported: ask those who publish it."

_FORMATS = {
    ".csv": "text/csv",
    ".diff": "text/x-diff",
    ".html": "text/html",
    ".json": "application/json",
    ".npz": "application/zip",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}

_ABOUT = {
    "README.txt": "What this is, and how to reproduce it",
    "agreement.csv": "Agreement of every two variants of the analysis",
    "alignment.json": "Images of each file, matched and dropped",
    "best_layers.csv": "How often each layer is best, over draws and split halves",
    "ceilings.csv": "Noise ceilings with their uncertainty",
    "code.diff": "Uncommitted changes of the code, as git apply takes them",
    "comparisons.csv": "Layers within each ROI and ROIs within each layer, compared",
    "config.yaml": "All settings of the run, resolved",
    "draws.npz": "All bootstrap draws",
    "group.csv": "Mean over subjects of each score, with its uncertainty",
    "images.txt": "Names of the images used",
    "permutations.csv": "Best score of each permutation of the images",
    "provenance.json": "Code, packages, machine, and content digests of all that was read",
    "report.html": "Report of the sweep",
    "requirements.txt": "Installed packages, as pip install -r takes them",
    "runs.csv": "Runs of the sweep",
    "scores.csv": "Score of every ROI and layer, with intervals and tests",
    "subject_scores.csv": "Scores of each subject",
    "sweep.json": "Name and swept settings of the sweep",
}
# What an export adds to a run, and what the run was given: none of it is a result.
_NO_RESULTS = {
    METADATA, "README.txt", "requirements.txt", "code.diff", "config.yaml", "provenance.json",
}  # fmt: skip

_Entity = dict[str, Any]


def describe(
    folder: Path, name: str, description: str, runs: Sequence[ExportedRun], published: str
) -> dict[str, Any]:
    """Describe a folder that is otherwise complete as JSON-LD, which names no agent and no licence.

    Parameters
    ----------
    folder : Path
        Every file below it is described, with size and digest.
    name, description : str
        Of all of it.
    runs : sequence of ExportedRun
        The runs that made the files.
    published : str
        ISO time of the export.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != METADATA)
    files = {path.relative_to(folder).as_posix(): _file(folder, path) for path in paths}
    actions = [_action(run_folder, run, files) for run_folder, run in runs]
    datasets = [
        {
            "@id": quote(run_folder),
            "@type": "Dataset",
            "name": run.name,
            "description": title_of(run),
            "hasPart": _refer_to_all([*_members(run_folder, files).values()]),
        }
        for run_folder, run in runs
        if run_folder
    ]
    run_folders = tuple(run_folder for run_folder, _ in runs if run_folder)
    loose = [item for path, item in files.items() if not path.startswith(run_folders)]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": name,
        "description": description,
        "datePublished": published,
        "conformsTo": {"@id": _PROFILE},
        "license": _LICENCE,
        "hasPart": _refer_to_all([*loose, *datasets]),
        "mentions": _refer_to_all(actions),
    }
    made_of: dict[str, _Entity] = {}  # software and inputs, which runs share
    for _, run in runs:
        for item in (_software(run.provenance), *_inputs(run.provenance)):
            made_of.setdefault(item["@id"], item)
    return {
        "@context": [f"{_SPECIFICATION}/context", {"sha256": _SHA256}],
        "@graph": [
            {
                "@id": METADATA,
                "@type": "CreativeWork",
                "about": {"@id": "./"},
                "conformsTo": {"@id": _SPECIFICATION},
            },
            root,
            {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate"}
            | {"version": "0.5"},
            *datasets,
            *files.values(),
            *actions,
            *made_of.values(),
        ],
    }


def _refer_to(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"@id": item["@id"]}


def _refer_to_all(items: Sequence[Mapping[str, Any]]) -> dict[str, Any] | list[dict[str, Any]]:
    """Refer to items; RO-Crate 1.1 wants no list of one."""
    return [_refer_to(item) for item in items] if len(items) != 1 else _refer_to(items[0])


def _members(run_folder: str, files: Mapping[str, _Entity]) -> dict[str, _Entity]:
    """Files of one run, by their paths in its folder."""
    return {
        path.removeprefix(run_folder): item
        for path, item in files.items()
        if path.startswith(run_folder)
    }


def _file(folder: Path, path: Path) -> _Entity:
    relative = path.relative_to(folder).as_posix()
    figure = path.parent.name == "figures"
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {
        "@id": quote(relative),
        "@type": "File",
        "name": path.name,
        "description": f"Figure: {path.stem}" if figure else _ABOUT.get(path.name, path.stem),
        "encodingFormat": _FORMATS.get(path.suffix, "application/octet-stream"),
        "contentSize": str(path.stat().st_size),
        "sha256": digest,
    }


def _action(run_folder: str, run: RecordedRun, files: Mapping[str, _Entity]) -> _Entity:
    members = _members(run_folder, files)
    given = [item for path, item in members.items() if path == "config.yaml"]
    results = [item for path, item in members.items() if path not in _NO_RESULTS]
    record = run.provenance
    overrides = [str(text) for text in record.get("overrides", [])]
    command = " ".join(["python -m rsa_exp", *map(_without_path, overrides)])
    ended = run.manifest.ended or str(record.get("date", ""))
    times = {"startTime": _seconds(run.manifest.started), "endTime": _seconds(ended)}
    return {
        "@id": f"#run-{quote(run_folder.strip('/').replace('/', '-') or '1')}",
        "@type": "CreateAction",
        "name": run.name,
        "description": f"{title_of(run)}: {command}",
        "instrument": _refer_to(_software(record)),
        "object": _refer_to_all([*_inputs(record), *given]),
        "result": _refer_to_all(results),
        "actionStatus": "http://schema.org/CompletedActionStatus",
    } | {key: value for key, value in times.items() if value}


def _without_path(override: str) -> str:
    """Leave a path of the machine that the run was on out of a setting."""
    key, _, value = override.partition("=")
    return f"{key}=..." if Path(value.strip("'\"")).is_absolute() else override


def _seconds(time: str) -> str:
    """Drop what is less than a second of an ISO time."""
    return re.sub(r"\.\d+", "", time)


def _software(record: Mapping[str, Any]) -> _Entity:
    version, commit = str(record.get("rsa_exp", "unknown")), record.get("git_commit")
    parts = [version, *([str(commit)[:7]] if commit else [])]
    parts += ["changed"] if record.get("git_dirty") is True else []
    at = f", commit {commit}" if commit else ""
    edited = " with uncommitted changes" if record.get("git_dirty") is True else ""
    return {
        "@id": f"#rsa_exp-{quote('-'.join(parts))}",
        "@type": "SoftwareApplication",
        "name": "rsa_exp",
        "description": "Experiment-tracked representational similarity analysis, run with "
        f"Python {record.get('python', 'unknown')}",
        "softwareVersion": f"{version}{at}{edited}",
    }


def _inputs(record: Mapping[str, Any]) -> list[_Entity]:
    """Files that were read: named by content, as they are not in the folder."""
    return [
        {
            "@id": f"#input-{quote(str(item['digest']))}",
            "@type": "CreativeWork",
            "name": item["name"],
            "description": f"RDMs of the {item['role']}, not in this folder; of them were read: "
            f"{listing(item['rows'], 40)}",
            "identifier": f"xxh3_128:{item['digest']}",
        }
        for item in record["inputs"]
    ]
