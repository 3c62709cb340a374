"""Uploading runs and sweeps from their folders to the tracking store, once, however often called.

What the store gets is made from the files in a run's folder and nothing else, so that a run can be
uploaded when it ends, or later, after the store was away. What it refuses raises `InputError`.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from rsa_exp.errors import InputError, listing
from rsa_exp.files import file_inside
from rsa_exp.runs import manifest
from rsa_exp.runs.folders import read_run_folder
from rsa_exp.runs.manifest import RunManifest, SweepManifest, milliseconds
from rsa_exp.runs.recorded_run import RecordedRun

if TYPE_CHECKING:
    from rsa_exp.tracking.store import Store
    from rsa_exp.tracking.tracked import TrackedRun

__all__ = [
    "DamagedRunError", "assign_runs", "belongs_to", "open_run", "open_sweep", "upload_run",
    "upload_runs", "upload_sweep",
]  # fmt: skip

log = logging.getLogger("rsa_exp")


class DamagedRunError(InputError):
    """A run whose files are missing or damaged, so that it cannot be uploaded."""


def belongs_to(store: Store, item: RunManifest | SweepManifest) -> bool:
    """Whether a run or a sweep is to be tracked in this store and experiment."""
    return (item.store, item.experiment) == (store.uri, store.experiment)


def open_run(store: Store, run: RecordedRun) -> TrackedRun:
    """Open a run in a store; it needs no more than its manifest and ``config.yaml``."""
    from rsa_exp.tracking.run_contents import opening_tags, parameters

    return store.start(
        run.name,
        parameters(run.config),
        opening_tags(run),
        parent=run.manifest.parent or None,
        started=milliseconds(run.manifest.started),
    )


def upload_run(store: Store, run: RecordedRun, tracked: TrackedRun | None = None) -> RunManifest:
    """Give a store all of a run that has ended; return its manifest, with the store's id of it.

    Parameters
    ----------
    run : RecordedRun
        A run in a folder of this machine.
    tracked : TrackedRun or None
        The store's run; None looks for the one that was opened for it, else opens one.

    Raises
    ------
    DamagedRunError
        If a file of the run is missing or damaged.
    """
    from rsa_exp.tracking import run_contents as contents
    from rsa_exp.tracking.tracked import PARENT_TAG

    state, folder = run.manifest, Path(run.folder)
    tags = {"folder": run.folder} | ({"superseded": "true"} if state.superseded else {})
    tags |= {PARENT_TAG: state.parent} if state.parent else {}
    finished = state.status == "finished"
    try:
        files = [file_inside(folder, name) for name in state.files]
        params = contents.parameters(run.config)
        metrics = contents.metrics(run) if finished else []
        data_sets = contents.data_sets(run) if finished else []
        tags |= contents.closing_tags(run) if finished else {}
    except (InputError, OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedRunError(f"files of run {run.title} cannot be read: {error}") from error
    ended = milliseconds(state.ended)
    found = tracked or store.find(state.uid) or open_run(store, run)
    found.log_inputs(data_sets)
    found.log(params=params, metrics=metrics, tags=tags, files=files, at=ended)
    found.end(state.status, state.error or None, ended)
    state = dataclasses.replace(state, run_id=found.run_id, uploaded=True)
    manifest.write(folder, state)
    return state


def upload_runs(
    folder: Path, store: Store, busy: Set[str] = frozenset(), *, progress: bool = False
) -> tuple[int, int]:
    """Upload the runs below a folder that belong to a store and are not in it yet.

    Sweeps under way, whose uids are `busy`, upload their runs themselves.

    Returns
    -------
    uploaded, damaged : int
        How many were uploaded; how many cannot be, because their files are missing or damaged, or
        the store does not take them though it takes others.
    """
    missing = [
        (run_folder, state)
        for run_folder, state in manifest.find_runs(folder)
        if state.needs_upload and belongs_to(store, state) and state.sweep not in busy
    ]
    uploaded = 0
    damaged: list[Path] = []
    refused: list[InputError] = []
    quiet = None if progress else True
    for run_folder, state in tqdm(missing, "uploading", unit="run", disable=quiet, leave=False):
        if manifest.read_run(run_folder) != state:  # a cluster has started it again since
            continue
        if not state.files:  # it failed before it had settings
            manifest.write(run_folder, dataclasses.replace(state, store=""))
            continue
        try:
            upload_run(store, read_run_folder(run_folder))
            uploaded += 1
        except DamagedRunError:
            damaged.append(run_folder)
        except InputError as error:
            store.has(state.uid)  # raises if it is the store that cannot be used
            refused.append(error)
    if refused and not uploaded:
        raise refused[0]
    if refused:
        log.warning("the store refuses %d runs: %s", len(refused), listing(refused, 2))
    if damaged:
        log.warning("files of these runs are missing or damaged: %s", listing(damaged, 4))
    return uploaded, len(damaged) + len(refused)


def open_sweep(store: Store, folder: Path, sweep: SweepManifest) -> SweepManifest:
    """Open a sweep's run in a store: the one it had, if it is still there, else a new one."""
    from rsa_exp.tracking.store import UID_TAG

    tags = {
        UID_TAG: sweep.uid,
        "sweep": "true",
        "folder": str(folder),
        "swept": ", ".join(sweep.keys),
        "command": sweep.command,
        "n_planned": str(sweep.n_planned),
    }
    tags |= {"reproduces": sweep.reproduces} if sweep.reproduces else {}
    known = sweep.run_id
    if not known and (orphan := store.find(sweep.uid)) is not None:
        known = orphan.run_id  # opened by a process that died before it could write that down
    found = store.resume(known, tags) if known else None
    if known and found is None:
        log.warning(
            "run %s of the sweep is not in %s any more; all its runs are uploaded again",
            known, store.uri,
        )  # fmt: skip
    tracked = found or store.start(sweep.name, {}, tags, started=milliseconds(sweep.started))
    return dataclasses.replace(sweep, run_id=tracked.run_id, uploaded=False)


def assign_runs(folder: Path, sweep: SweepManifest) -> None:
    """Assign the runs that a resumed sweep has already to the store where it is tracked now."""
    target = (sweep.store, sweep.experiment, sweep.run_id)
    for run_folder, run in manifest.find_runs(folder):
        if run.sweep == sweep.uid and (run.store, run.experiment, run.parent) != target:
            assigned = dataclasses.replace(
                run, store=sweep.store, experiment=sweep.experiment, parent=sweep.run_id,
                run_id="", uploaded=False,
            )  # fmt: skip
            manifest.write(run_folder, assigned)


def upload_sweep(
    store: Store,
    folder: Path,
    sweep: SweepManifest,
    metrics: Sequence[tuple[Sequence[str], float, int]],
    headline: str,
    files: Sequence[Path],
) -> None:
    """Give the run of a sweep, which was opened in a store, its summary, and end it.

    Parameters
    ----------
    metrics : sequence of (sequence of str, float, int)
        Parts of the name, value and step.
    headline : str
        What the sweep found, for the run's description.
    files : sequence of Path
        The summary on disk.
    """
    from rsa_exp.tracking.addresses import metric_name
    from rsa_exp.tracking.tracked import TrackedRun

    listed = [*files, folder / manifest.SWEEP_FILE, folder / "multirun.yaml"]
    ended = milliseconds(sweep.ended)
    tracked = TrackedRun(store, sweep.run_id)
    tracked.log(
        metrics=[(metric_name(*parts), value, step) for parts, value, step in metrics],
        tags={"mlflow.note.content": headline},
        files=[path for path in listed if path.is_file()],
        at=ended,
    )
    tracked.end(sweep.status, at=ended)
    manifest.write(folder, dataclasses.replace(sweep, uploaded=True))
