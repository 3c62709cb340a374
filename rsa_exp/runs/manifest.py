"""The manifests ``run.json`` and ``sweep.json``: what became of a run or a sweep.

A run's numbers are in its other files; ``run.json`` has whether they are complete, which settings
and code they belong to, and whether a store has them. It is written last, whole or not at all, so
that a run whose status is ``finished`` is complete.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from rsa_exp import files

__all__ = [
    "MAX_BYTES", "RUN_FILE", "SUPERSEDED", "SWEEP_FILE", "Manifest", "RunManifest", "SweepManifest",
    "find_runs", "find_sweeps", "milliseconds", "now", "read_run", "read_sweep", "write",
]  # fmt: skip

RUN_FILE = "run.json"
SWEEP_FILE = "sweep.json"
SUPERSEDED = "superseded"
"""Folder of a sweep to which runs are moved that were run again."""

MAX_BYTES = 20_000_000
"""No text file of a run is larger."""

# Files of a run lie in its folder or in its figures/.
_FILE = re.compile(r"(figures/)?\w[\w.-]*")

Manifest = TypeVar("Manifest", "RunManifest", "SweepManifest")


# Keys of fields that had other names in older versions, whose files stay readable.
_STARTED = {"key": "begun"}
_UPLOADED = {"key": "recorded"}
_SWEEP_UID = {"key": "mark"}


@dataclass(frozen=True)
class RunManifest:
    """The contents of ``run.json``.

    Attributes
    ----------
    uid : str
        The run's own id, by which a store's run is found that was opened for it.
    name : str
        What the store calls it.
    status : str
        ``running``, ``finished``, ``failed`` or ``killed``.
    started, ended : str
        ISO times; `ended` is empty before.
    config_id, code_id : str
        What its numbers are determined by besides its inputs (see `rsa_exp.runs.digests`).
    overrides : list of str
        Hydra overrides it was made with.
    choices : dict of str to str
        What was chosen of each config group.
    error : str
        Why it failed; empty if it did not.
    sweep : str
        The uid of its sweep; empty for a run by itself.
    store, experiment, parent : str
        Where it is tracked: the store's address, the experiment, the id of the sweep's run there.
        Empty when it is not tracked or has no parent.
    run_id : str
        Its id in the store; empty until it ended there.
    uploaded : bool
        Whether the store has all of it.
    superseded : bool
        Whether it was run again since.
    tags : dict of str to str
        Further tags in the store.
    files : list of str
        What belongs to it, relative to its folder.
    """

    uid: str
    name: str
    status: str
    started: str = field(metadata=_STARTED)
    config_id: str = ""
    code_id: str = ""
    ended: str = ""
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    error: str = ""
    sweep: str = ""
    store: str = ""
    experiment: str = ""
    parent: str = ""
    run_id: str = ""
    uploaded: bool = field(default=False, metadata=_UPLOADED)
    superseded: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    @property
    def needs_upload(self) -> bool:
        """Whether a store should have it, or have its end, and does not."""
        return bool(self.store) and not self.uploaded and self.status != "running"


@dataclass(frozen=True)
class SweepManifest:
    """The contents of ``sweep.json``.

    Attributes
    ----------
    uid : str
        The sweep's own id, which its runs carry in ``run.json``.
    name, status, started, ended, store, experiment, run_id
        As of a `RunManifest`.
    keys : list of str
        What was swept, in any of its parts.
    overrides : list of str
        Its settings as typed, without those of Hydra itself.
    command, started_in : str
        The command as typed, and the folder it was typed in.
    uploaded : bool
        Whether the store has its summary and its end.
    reproduces : str
        The sweep that it reproduces; empty for one of its own.
    n_planned : int
        Runs that were asked for when it was started or last resumed; 0 if that is not known.
    """

    uid: str = field(metadata=_SWEEP_UID)
    name: str
    status: str
    started: str = field(metadata=_STARTED)
    ended: str = ""
    keys: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    command: str = ""
    started_in: str = ""
    store: str = ""
    experiment: str = ""
    run_id: str = ""
    uploaded: bool = field(default=False, metadata=_UPLOADED)
    reproduces: str = ""
    n_planned: int = 0

    @property
    def needs_upload(self) -> bool:
        """Whether a store has its run, but not its end."""
        return bool(self.run_id) and not self.uploaded and self.status != "running"


def now() -> str:
    """Return the time as manifests have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def milliseconds(time: str) -> int | None:
    """Return a manifest's time in ms since 1970; None for an empty one."""
    return int(datetime.fromisoformat(time).timestamp() * 1000) if time else None


def write(folder: Path, manifest: RunManifest | SweepManifest) -> Path:
    """Write a manifest into its folder, whole or not at all."""
    name = RUN_FILE if isinstance(manifest, RunManifest) else SWEEP_FILE
    values = {key: getattr(manifest, item.name) for key, item in _keys(type(manifest)).items()}
    return files.write_json(folder / name, {"format": 1, **values})


def _keys(kind: type[RunManifest | SweepManifest]) -> dict[str, dataclasses.Field[Any]]:
    """Fields of a manifest by their keys in the file."""
    return {item.metadata.get("key", item.name): item for item in dataclasses.fields(kind)}


def read_run(folder: Path) -> RunManifest | None:
    """Read a run's manifest; None if the folder has none that can be read."""
    run = _read(folder / RUN_FILE, RunManifest)
    if run is None or not re.fullmatch("[0-9a-f]{32}", run.uid):
        return None
    return run if all(_FILE.fullmatch(name) for name in run.files) else None


def read_sweep(folder: Path) -> SweepManifest | None:
    """Read a sweep's manifest; None if the folder has none that can be read."""
    return _read(folder / SWEEP_FILE, SweepManifest)


def _read(path: Path, kind: type[Manifest]) -> Manifest | None:
    """Read a manifest, which may be damaged or forged; None unless all types are right."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    known = {key: item for key, item in _keys(kind).items() if key in values}
    if not all(_has_type(values[key], str(item.type)) for key, item in known.items()):
        return None
    try:
        return kind(**{item.name: values[key] for key, item in known.items()})
    except TypeError:  # a key without a default is missing
        return None


def _has_type(value: object, kind: str) -> bool:
    if kind == "list[str]":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == "dict[str, str]":
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    plain = {"bool": bool, "int": int}
    return isinstance(value, plain.get(kind, str))


def find_runs(folder: Path, sweep: str | None = None) -> list[tuple[Path, RunManifest]]:
    """Find the runs below a folder, in the order of the folders' numbers.

    Given the uid of a sweep, only those of its runs that were not run again since.
    """
    found = [
        (run_folder, run)
        for run_folder in _folders_with(RUN_FILE, folder)
        if (run := read_run(run_folder)) is not None
        and (sweep is None or (run.sweep == sweep and not run.superseded))
    ]
    return sorted(found, key=lambda item: [files.natural_order(part) for part in item[0].parts])


def find_sweeps(folder: Path) -> list[tuple[Path, SweepManifest]]:
    """Find the sweeps below a folder, and their manifests."""
    found = [(each, read_sweep(each)) for each in _folders_with(SWEEP_FILE, folder)]
    return [(each, sweep) for each, sweep in found if sweep is not None]


def _folders_with(name: str, folder: Path) -> list[Path]:
    """Folders that have a file; those that are moved meanwhile are left out."""
    return sorted(Path(each) for each, _, names in os.walk(folder) if name in names)
