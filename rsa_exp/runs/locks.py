"""Locks on the folders of runs and sweeps, and marking those whose process died as killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rsa_exp.errors import InputError
from rsa_exp.runs import manifest
from rsa_exp.runs.manifest import Manifest

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
            _mark_as_killed(run_folder, run, manifest.read_run, {"error": _DIED})
    for sweep_folder, sweep in manifest.find_sweeps(folder):
        if sweep.status == "running":
            _mark_as_killed(sweep_folder, sweep, manifest.read_sweep, {})


def _mark_as_killed(
    folder: Path, found: Manifest, read: Callable[[Path], Manifest | None], changes: dict[str, Any]
) -> None:
    """Mark one as killed, unless its process is alive or has written its end meanwhile."""
    with suppress(InputError), locked(folder, "", wait=0):
        if read(folder) == found:
            killed = replace(found, status="killed", ended=manifest.now(), **changes)
            manifest.write(folder, killed)
