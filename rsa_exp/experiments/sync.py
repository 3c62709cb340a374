"""Giving the store what it lacks of what is on disk, and saying of dead runs that they died."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence, Set
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from rsa_exp.errors import InputError, listing
from rsa_exp.experiments.run import open_store
from rsa_exp.runs import locks, manifest
from rsa_exp.runs.manifest import RunManifest, SweepManifest
from rsa_exp.tracking.addresses import store_uri
from rsa_exp.tracking.record import entry_of, record_run

if TYPE_CHECKING:
    from rsa_exp.reports.summary import Summary
    from rsa_exp.tracking.store import Store

__all__ = ["adopt", "open_sweep", "record_runs", "record_sweep", "sync"]

log = logging.getLogger("rsa_exp")


def sync(outputs: Path, store_folder: Path) -> int:
    """Upload what a store lacks of the runs and sweeps under a folder.

    Doing it again uploads nothing. Only the store that the user names is written to; what was to
    be recorded elsewhere is counted and said.

    Parameters
    ----------
    outputs : Path
        Folder of runs.
    store_folder : Path
        Folder of the local store, unless ``MLFLOW_TRACKING_URI`` is set.

    Returns
    -------
    int
        0, or 1 if a run on disk was damaged.

    Raises
    ------
    InputError
        If there is no such folder, or the store cannot be used.
    """
    if not outputs.is_dir():
        raise InputError(f"there is no folder {outputs}; name the one that runs landed in")
    uri = store_uri(store_folder)
    outputs = outputs.absolute()
    with locks.locked(outputs, "records", lock=locks.SYNC_LOCK), ExitStack() as held:
        locks.mark_dead_as_killed(outputs)
        busy = _hold(outputs, held)
        runs = [run for _, run in manifest.find_runs(outputs) if run.sweep not in busy]
        sweeps = [sweep for _, sweep in manifest.find_sweeps(outputs) if sweep.uid not in busy]
        experiments = {run.experiment for run in runs if run.needs_upload and run.store == uri}
        experiments |= {s.experiment for s in sweeps if s.needs_upload and s.store == uri}
        recorded, damaged = 0, 0
        for experiment in sorted(experiments):
            done, bad = _sync(outputs, open_store(uri, experiment), busy)
            recorded, damaged = recorded + done, damaged + bad
    there = sum(run.uploaded and run.store == uri for run in runs)
    print(f"{recorded} runs recorded in {uri}; {there} are filed as there already")
    elsewhere = [run.store for run in runs if run.needs_upload and run.store != uri]
    for other in dict.fromkeys(elsewhere):
        print(
            f"{elsewhere.count(other)} runs are to be recorded in {other}: name it with --store "
            "or MLFLOW_TRACKING_URI"
        )
    return 1 if damaged else 0


def _sync(outputs: Path, store: Store, busy: Set[str]) -> tuple[int, int]:
    from rsa_exp.experiments.report import collect, summary_files, write_summary
    from rsa_exp.reports.summary import summarise

    done, bad = record_runs(outputs, store, busy, progress=True)
    for folder, sweep in manifest.find_sweeps(outputs):
        if sweep.uid in busy or not sweep.needs_upload or not _is_of(store, sweep):
            continue
        if (folder / "report.html").is_file():
            summary, files = summarise(collect(folder)), summary_files(folder)
        else:  # the sweep was killed before its end
            summary, files = write_summary(folder, figures=False)
        record_sweep(folder, sweep, store, summary, files)
    return done, bad


def _is_of(store: Store, item: RunManifest | SweepManifest) -> bool:
    return (item.store, item.experiment) == (store.uri, store.experiment)


def _hold(outputs: Path, held: ExitStack) -> set[str]:
    """Let no sweep under a folder be resumed meanwhile; return the marks of those under way."""
    lacking = {run.sweep for _, run in manifest.find_runs(outputs) if run.needs_upload}
    busy = set()
    for place, sweep in manifest.find_sweeps(outputs):
        if sweep.uid not in lacking and not sweep.needs_upload and sweep.status != "running":
            continue
        try:
            held.enter_context(locks.locked(place, "sweep", wait=0))
        except InputError:
            busy.add(sweep.uid)
    return busy


def record_runs(
    folder: Path, store: Store, busy: Set[str] = frozenset(), *, progress: bool = False
) -> tuple[int, int]:
    """Give a store what it lacks of the runs under a folder that belong to it.

    Parameters
    ----------
    folder : Path
        Where the runs are.
    store : Store
        Where they are to be recorded.
    busy : set of str
        Marks of sweeps under way, which record their runs themselves.
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    recorded, damaged : int
        How many were recorded; how many cannot be, because files of theirs are gone or damaged, or
        the store does not take them though it takes others.

    Raises
    ------
    InputError
        If the store takes none of them.
    """
    lacking = [
        (place, run)
        for place, run in manifest.find_runs(folder)
        if run.needs_upload and _is_of(store, run) and run.sweep not in busy
    ]
    recorded = 0
    damaged: list[Path] = []
    refused: list[InputError] = []
    quiet = None if progress else True
    for place, run in tqdm(lacking, desc="recording", unit="run", disable=quiet, leave=False):
        if manifest.read_run(place) != run:  # a cluster has begun it again since
            continue
        if not run.files:  # it ended before it had settings
            manifest.write(place, dataclasses.replace(run, store=""))
            continue
        try:
            entry = entry_of(place, run)
        except (OSError, ValueError, KeyError, TypeError, InputError):
            damaged.append(place)
            continue
        try:
            record_run(store, entry, place, run)
            recorded += 1
        except InputError as error:
            store.has(run.uid)  # raises if it is the store that cannot be used
            refused.append(error)
    if refused and not recorded:
        raise refused[0]
    if refused:
        log.warning("%d runs are not taken: %s", len(refused), listing(refused, 2))
    if damaged:
        log.warning("files of these runs are gone or damaged: %s", listing(damaged, 4))
    return recorded, len(damaged) + len(refused)


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
        known = orphan.run_id  # opened by a process that died before it could file it
    found = store.resume(known, tags) if known else None
    if known and found is None:
        log.warning(
            "run %s of the sweep is not in %s any more; all is recorded anew",
            known, store.uri,
        )  # fmt: skip
    tracked = found or store.start(sweep.name, {}, tags, begun=manifest.milliseconds(sweep.started))
    return dataclasses.replace(sweep, run_id=tracked.run_id, uploaded=False)


def adopt(folder: Path, sweep: SweepManifest) -> None:
    """Have the runs that a resumed sweep has already recorded where it is recorded now."""
    here = (sweep.store, sweep.experiment, sweep.run_id)
    for path, run in manifest.find_runs(folder):
        if run.sweep == sweep.uid and (run.store, run.experiment, run.parent) != here:
            moved = dataclasses.replace(
                run, store=sweep.store, experiment=sweep.experiment, parent=sweep.run_id,
                run_id="", uploaded=False,
            )  # fmt: skip
            manifest.write(path, moved)


def record_sweep(
    folder: Path, sweep: SweepManifest, store: Store, summary: Summary, files: Sequence[Path]
) -> None:
    """Give a sweep's run in a store its summary, and end it.

    Raises
    ------
    InputError
        If the store does not take it.
    """
    from rsa_exp.tracking.record import Entry
    from rsa_exp.tracking.tracked import TrackedRun

    listed = [*files, folder / manifest.SWEEP_FILE, folder / "multirun.yaml"]
    entry = Entry(
        sweep.name, {}, {}, "", manifest.milliseconds(sweep.started),
        manifest.milliseconds(sweep.ended), sweep.status, None,
        metrics=summary.metrics(),
        tags={"mlflow.note.content": summary.headline},
        files=[path for path in listed if path.is_file()],
    )  # fmt: skip
    TrackedRun(store, sweep.run_id).record(entry)
    manifest.write(folder, dataclasses.replace(sweep, uploaded=True))
