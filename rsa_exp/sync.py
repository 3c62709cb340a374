"""Giving the store what it lacks of what is on disk, and saying of dead runs that they died."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from rsa_exp import filing
from rsa_exp.errors import InputError, listing
from rsa_exp.filing import SweepFiling
from rsa_exp.job import open_store
from rsa_exp.record import entry_of, record_run
from rsa_exp.store_names import store_uri

if TYPE_CHECKING:
    from rsa_exp.summary import Summary
    from rsa_exp.tracking import Store

__all__ = ["adopt", "open_sweep", "reap", "record_runs", "record_sweep", "sync"]

log = logging.getLogger("rsa_exp")

_DIED = "its process ended without a word"


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
    with filing.occupied(outputs, "runs"):
        reap(outputs)
        busy = _busy(outputs)
        runs = [run for _, run in filing.runs_below(outputs) if run.sweep not in busy]
        recorded, damaged = 0, 0
        for experiment in sorted({run.experiment for run in runs if run.store == uri}):
            lacking = [r for r in runs if r.store == uri and r.experiment == experiment]
            if any(run.lacks_record for run in lacking) or _sweeps(outputs, uri, experiment):
                done, bad = _sync(outputs, open_store(uri, experiment), busy)
                recorded, damaged = recorded + done, damaged + bad
    there = sum(run.recorded and run.store == uri for run in runs)
    print(f"{recorded} runs recorded in {uri}; {there} are filed as there already")
    elsewhere = [run.store for run in runs if run.lacks_record and run.store != uri]
    for other in dict.fromkeys(elsewhere):
        print(
            f"{elsewhere.count(other)} runs are to be recorded in {other}: name it with --store "
            "or MLFLOW_TRACKING_URI"
        )
    return 1 if damaged else 0


def _sync(outputs: Path, store: Store, busy: Set[str]) -> tuple[int, int]:
    from rsa_exp.report import collect, summary_files, write_summary
    from rsa_exp.summary import summarise

    done, bad = record_runs(outputs, store, busy, progress=True)
    for folder, sweep in _sweeps(outputs, store.uri, store.experiment):
        if (folder / "report.html").is_file():
            summary, files = summarise(collect(folder)), summary_files(folder)
        else:  # the sweep was killed before its end
            summary, files = write_summary(folder, figures=False)
        record_sweep(folder, sweep, store, summary, files)
    return done, bad


def _sweeps(outputs: Path, uri: str, experiment: str | None) -> list[tuple[Path, SweepFiling]]:
    """Sweeps under a folder that have ended and whose run in a store has not."""
    return [
        (folder, sweep)
        for folder, sweep in filing.sweeps_below(outputs)
        if sweep.run_id
        and not sweep.recorded
        and sweep.status != "running"
        and (sweep.store, sweep.experiment) == (uri, experiment)
    ]


def _busy(outputs: Path) -> set[str]:
    """Return the marks of the sweeps under a folder that are under way."""
    found = filing.sweeps_below(outputs)
    return {sweep.mark for place, sweep in found if filing.in_use(place)}


def reap(folder: Path) -> None:
    """File runs and sweeps under a folder as killed whose processes died without doing so."""
    for place, run in filing.runs_below(folder):
        if run.status == "running":
            filing.file_as_dead(place, run, _DIED)
    for place, sweep in filing.sweeps_below(folder):
        if sweep.status == "running":
            filing.file_as_dead(place, sweep, _DIED)


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
        How many were recorded; how many cannot be, because files of theirs are gone or damaged.

    Raises
    ------
    InputError
        If the store does not take them.
    """
    mine = (store.uri, store.experiment)
    lacking = [
        (place, run)
        for place, run in filing.runs_below(folder)
        if run.lacks_record and (run.store, run.experiment) == mine and run.sweep not in busy
    ]
    damaged: list[Path] = []
    quiet = None if progress else True
    for place, run in tqdm(lacking, desc="recording", unit="run", disable=quiet, leave=False):
        if not run.files:  # it ended before it had settings
            filing.write(place, dataclasses.replace(run, store=""))
            continue
        try:
            entry = entry_of(place, run)
        except (OSError, ValueError, KeyError, TypeError, InputError):
            damaged.append(place)
        else:
            record_run(store, entry, place, run)
    if damaged:
        log.warning("files of these runs are gone or damaged: %s", listing(damaged, 4))
    return len(lacking) - len(damaged), len(damaged)


def open_sweep(store: Store, folder: Path, sweep: SweepFiling) -> SweepFiling:
    """Open a sweep's run in a store: the one it had, if it is still there, else a new one."""
    from rsa_exp.tracking import UID_TAG

    tags = {
        UID_TAG: sweep.mark,
        "sweep": "true",
        "folder": str(folder),
        "swept": ", ".join(sweep.keys),
        "command": sweep.command,
        "n_planned": str(sweep.n_planned),
    }
    known = sweep.run_id
    if not known and (orphan := store.find(sweep.mark)) is not None:
        known = orphan.run_id  # opened by a process that died before it could file it
    found = store.resume(known, tags) if known else None
    if known and found is None:
        log.warning(
            "run %s of the sweep is not in %s any more; all is recorded anew",
            known, store.uri,
        )  # fmt: skip
    tracked = found or store.start(sweep.name, {}, tags, begun=filing.milliseconds(sweep.begun))
    return dataclasses.replace(sweep, run_id=tracked.run_id, recorded=False)


def adopt(folder: Path, sweep: SweepFiling) -> None:
    """Have the runs that a resumed sweep has already recorded where it is recorded now."""
    here = (sweep.store, sweep.experiment, sweep.run_id)
    for path, run in filing.runs_below(folder):
        if run.sweep == sweep.mark and (run.store, run.experiment, run.parent) != here:
            moved = dataclasses.replace(
                run, store=sweep.store, experiment=sweep.experiment, parent=sweep.run_id,
                run_id="", recorded=False,
            )  # fmt: skip
            filing.write(path, moved)


def record_sweep(
    folder: Path, sweep: SweepFiling, store: Store, summary: Summary, files: Sequence[Path]
) -> None:
    """Give a sweep's run in a store its summary, and end it.

    Raises
    ------
    InputError
        If the store does not take it.
    """
    from rsa_exp.record import Entry
    from rsa_exp.tracking import TrackedRun

    listed = [*files, folder / filing.SWEEP_FILE, folder / "multirun.yaml"]
    entry = Entry(
        sweep.name, {}, {}, "", filing.milliseconds(sweep.begun),
        filing.milliseconds(sweep.ended), sweep.status, None,
        metrics=summary.metrics(),
        tags={"mlflow.note.content": summary.headline},
        files=[path for path in listed if path.is_file()],
    )  # fmt: skip
    TrackedRun(store, sweep.run_id).record(entry)
    filing.write(folder, dataclasses.replace(sweep, recorded=True))
