"""Continuing a sweep that was stopped: which of its runs are finished and still valid."""

from __future__ import annotations

import dataclasses
import re
from functools import lru_cache
from pathlib import Path

from rsa_exp.config.keys import affects
from rsa_exp.config.schema import Config
from rsa_exp.errors import InputError
from rsa_exp.experiments.membership import Membership
from rsa_exp.runs import locks, manifest
from rsa_exp.runs.digests import config_id
from rsa_exp.runs.manifest import SUPERSEDED, RunManifest
from rsa_exp.runs.validity import is_still_valid

__all__ = ["changed_keys", "find_valid_run", "free_run_folder", "supersede_unfinished"]

# Marks a folder that is kept for a run which has written nothing yet.
_RESERVED = ".taken"


def changed_keys(before: list[str], now: list[str]) -> list[str]:
    """List the settings with which a sweep is resumed that make other numbers than before."""
    old, new = _values(before), _values(now)
    return [key for key in new if old.get(key) != new[key] and affects(key) == "numbers"]


def find_valid_run(sweep: Membership, config: Config, overrides: list[str]) -> Path | None:
    """Find the folder of a run of a resumed sweep that is finished and still valid.

    Runs of the same settings that are not valid any more are moved to ``superseded/``. A sweep that
    was not resumed has no such run. The run's own overrides distinguish runs over several files
    before these are read.

    Raises
    ------
    InputError
        If such a run is being made by another process, or an input cannot be used any more.
    """
    if sweep.folder is None or not sweep.resumed:
        return None
    valid = None
    own = _swept_without_digest(overrides, sweep.keys)
    earlier = _runs_by_config(sweep.folder, sweep.uid, sweep.resumed).get(config_id(config), [])
    for folder, run in earlier:
        if _swept_without_digest(run.overrides, sweep.keys) != own:
            continue
        if locks.is_locked(folder):
            raise InputError(f"another process is at work on the run in {folder}; wait for it")
        if valid is None and is_still_valid(folder, run, config):
            valid = folder
        else:
            _supersede(sweep.folder, folder, run)
    return valid


def supersede_unfinished(folder: Path, uid: str) -> None:
    """Move a sweep's unfinished runs to ``superseded/``: they are made again if still asked for."""
    for run_folder, run in manifest.find_runs(folder, uid):
        if run.status != "finished" and not locks.is_locked(run_folder):
            _supersede(folder, run_folder, run)


def free_run_folder(wanted: Path) -> Path:
    """Return the wanted folder for a run, or a new one beside it if a run is in it already."""
    if not any((wanted / name).exists() for name in (manifest.RUN_FILE, "scores.csv", _RESERVED)):
        return wanted
    number = max(
        (int(path.name) for path in wanted.parent.iterdir() if path.name.isdigit()), default=-1
    )
    while True:
        number += 1
        folder = wanted.with_name(str(number))
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        (folder / _RESERVED).touch()
        return folder


def _values(overrides: list[str]) -> dict[str, str]:
    return dict(text.lstrip("+").split("=", 1) for text in overrides if "=" in text)


def _swept_without_digest(overrides: list[str], keys: tuple[str, ...]) -> dict[str, str]:
    """Values of a run's swept settings that its ``config_id`` leaves out, such as paths."""
    values = _values(overrides)
    return {
        key: values.get(key, "") for key in keys if key == "images" or affects(key) != "numbers"
    }


@lru_cache(maxsize=2)
def _runs_by_config(
    folder: Path, uid: str, resumed: str
) -> dict[str, list[tuple[Path, RunManifest]]]:
    """Find the runs that a sweep had when it was resumed, by their ``config_id``; newest first."""
    del resumed  # part of the cache's key: a sweep may be resumed again
    found: dict[str, list[tuple[Path, RunManifest]]] = {}
    for run_folder, run in manifest.find_runs(folder, uid):
        found.setdefault(run.config_id, []).append((run_folder, run))
    for runs in found.values():
        runs.sort(key=lambda item: item[1].started, reverse=True)
    return found


def _supersede(sweep_folder: Path, folder: Path, run: RunManifest) -> None:
    """Move a run that is made again to ``superseded/``."""
    now = manifest.read_run(folder)
    if now is None or now.uid != run.uid:  # moved already, by another run of this sweep
        return
    manifest.write(folder, dataclasses.replace(now, superseded=True, uploaded=False))
    stamp = re.sub(r"[^0-9T]", "", run.started)
    target = sweep_folder / SUPERSEDED / f"{folder.name}-{stamp}"
    target.parent.mkdir(exist_ok=True)
    folder.rename(target)
