"""Locks on the folders of runs and sweeps, and marking those whose process died as killed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rsa_exp.errors import InputError
from rsa_exp.runs import manifest
from rsa_exp.runs.manifest import RunManifest, SweepManifest

__all__ = ["SYNC_LOCK", "is_locked", "locked", "mark_dead_as_killed"]

SYNC_LOCK = ".sync.lock"
"""Held by a process that uploads what is in a folder."""

_LOCK = ".lock"  # held by the process that is at work on a run or sweep, in its folder
_WAIT = 1.0  # seconds; `is_locked` takes a lock for an instant
_DIED = "its process ended without a word"


@contextmanager
def locked(folder: Path, what: str, *, lock: str = _LOCK, wait: float = _WAIT) -> Iterator[None]:
    """Hold a folder's lock inside the block, waiting some seconds for it.

    Raises
    ------
    InputError
        If another process has it: it is at work on `what`, such as a run, in the folder.
    """
    held = FileLock(folder / lock)
    try:
        held.acquire(timeout=wait)
    except Timeout as error:
        raise InputError(
            f"another process is at work on the {what} in {folder}; wait for it, or stop it"
        ) from error
    try:
        yield
    finally:
        held.release()  # its file stays: who waits for it may have it open


def is_locked(folder: Path) -> bool:
    """Whether a process is at work on a run or sweep; a dead one has no lock."""
    path = folder / _LOCK
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def mark_dead_as_killed(folder: Path) -> None:
    """Mark the runs and sweeps below a folder as killed whose processes died without doing so."""
    for run_folder, run in manifest.find_runs(folder):
        if run.status == "running":
            _mark_as_killed(run_folder, run)
    for sweep_folder, sweep in manifest.find_sweeps(folder):
        if sweep.status == "running":
            _mark_as_killed(sweep_folder, sweep)


def _mark_as_killed(folder: Path, read: RunManifest | SweepManifest) -> None:
    """Mark one as killed, unless its process is alive or has written its end meanwhile."""
    changes: dict[str, Any] = {"status": "killed", "ended": manifest.now()}
    try:
        with locked(folder, "", wait=0):
            latest: RunManifest | SweepManifest | None
            if isinstance(read, RunManifest):
                latest = manifest.read_run(folder)
                changes["error"] = _DIED
            else:
                latest = manifest.read_sweep(folder)
            if latest == read:
                manifest.write(folder, dataclasses.replace(read, **changes))
    except InputError:
        pass
