"""What tests of sweeps look at: a sweep's folder, its manifest and those of its runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from studies import Finished

from rsa_exp.runs import manifest

Cli = Callable[..., Finished]


def sweep_of(folder: Path) -> Path:
    (path,) = folder.glob("outputs/*/*/sweep.json")
    return path.parent


def uids(sweep: Path) -> dict[str, str]:
    return {run.name: run.uid for _, run in manifest.find_runs(sweep, mark(sweep))}


def mark(sweep: Path) -> str:
    found = manifest.read_sweep(sweep)
    assert found is not None
    return found.uid


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
