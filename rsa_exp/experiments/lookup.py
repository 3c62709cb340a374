"""Finding a run or a sweep by its id, its address in the UI, or its folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from rsa_exp.errors import InputError, listing
from rsa_exp.runs.folders import read_run_folder, read_sweep_folder
from rsa_exp.runs.recorded_run import RecordedRun
from rsa_exp.runs.recorded_sweep import RecordedSweep

if TYPE_CHECKING:
    from rsa_exp.tracking.store import Store

__all__ = ["find", "find_run", "finished_runs"]

# Hosts that `python -m rsa_exp ui` shows the local store at.
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# In the address of a run, and in that of a sweep's runs.
_ID = re.compile(r"(?:/runs/|mlflow\.parentRunId\W+)([0-9a-f]{32})(?![0-9a-f])")


def find(name: str, store_folder: Path) -> RecordedRun | RecordedSweep:
    """Find a run or a sweep, whatever became of it.

    It is named by an id, its unique beginning, the address of a run in the UI, or a folder: that of
    a run, of a sweep, or one that ``export`` wrote.

    Raises
    ------
    InputError
        If there is none.
    """
    folder = _named_folder(name)
    if folder is not None:
        return read_sweep_folder(folder) or read_run_folder(folder)
    from rsa_exp.tracking.download import read_stored

    return read_stored(*_in_store(name, store_folder))


def finished_runs(found: RecordedRun | RecordedSweep) -> list[RecordedRun]:
    """Return a run, or the runs of a sweep that finished, if they have all their files."""
    if isinstance(found, RecordedRun):
        found.check_complete()
        return [found]
    runs = [run for run in found.runs if run.status in {"finished", "unknown"}]
    for run in runs:
        run.check_complete()
    if not runs:
        where = found.manifest.run_id or found.files.location
        raise InputError(f"no run of sweep {where} finished: there is nothing to compare")
    return runs


def find_run(name: str, store_folder: Path) -> RecordedRun:
    """Find a finished run with all its files, as `find` does; not a sweep of several runs."""
    runs = finished_runs(find(name, store_folder))
    if len(runs) > 1:
        names = listing([run.title for run in runs], 6)
        raise InputError(f"{name} is a sweep; give one of its runs: {names}")
    return runs[0]


def _named_folder(name: str) -> Path | None:
    """Return the folder that a user's word for a run names; None if it is an id or an address."""
    if not name.strip():
        raise InputError("name a run: its id, its address in the UI, or its folder")
    try:
        if Path(name).is_dir():
            return Path(name).absolute()
    except OSError:  # longer than any name
        pass
    if "/" in name and "://" not in name:
        raise InputError(f"there is no folder {name}")
    return None


def _in_store(name: str, store_folder: Path) -> tuple[Store, str]:
    """Open the store that a run should be in, and return it with the run's id."""
    from rsa_exp.tracking.store import existing_store

    if "://" not in name:
        return existing_store(store_folder), name
    try:
        address = urlsplit(name)
    except ValueError as error:
        raise InputError(f"{name} is not an address: {error}") from error
    found = _ID.search(unquote(name))
    if found is None:
        raise InputError(f"{name} is not the address of a run: it has no /runs/RUN_ID")
    store = existing_store(store_folder)
    server = f"{address.scheme}://{address.netloc}"
    if store.folder is None and not f"{store.uri}/".startswith(f"{server}/"):
        raise InputError(
            f"{server} is not the tracking store, which is {store.uri}: set "
            f"MLFLOW_TRACKING_URI={server}"
        )
    if store.folder is not None and address.hostname not in _LOOPBACK:
        raise InputError(f"the run is on a server: set MLFLOW_TRACKING_URI={server}")
    return store, found.group(1)
