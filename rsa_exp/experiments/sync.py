"""Uploading runs that were made while the tracking server was offline."""

from __future__ import annotations

from collections.abc import Set
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rsa_exp.errors import InputError
from rsa_exp.experiments.recording import open_store
from rsa_exp.experiments.report import read_sweep, write_summary
from rsa_exp.reports.summary import summarise
from rsa_exp.runs import locks, manifest
from rsa_exp.runs.folders import summary_files
from rsa_exp.runs.manifest import RunManifest, SweepManifest
from rsa_exp.tracking import upload
from rsa_exp.tracking.addresses import store_uri

if TYPE_CHECKING:
    from rsa_exp.tracking.store import Store

__all__ = ["sync"]


def sync(outputs: Path, store_folder: Path) -> int:
    """Upload what a store lacks of the runs and sweeps below a folder.

    Doing it again uploads nothing. Only the store that the user names is written to; runs that
    belong to another are counted and reported.

    Returns
    -------
    int
        0, or 1 if a run on disk was damaged.
    """
    if not outputs.is_dir():
        raise InputError(f"there is no folder {outputs}; name the one that has the runs")
    uri = store_uri(store_folder)
    outputs = outputs.absolute()
    with locks.locked(outputs, "uploads", lock=locks.SYNC_LOCK), ExitStack() as held:
        locks.mark_dead_as_killed(outputs)
        busy = _lock_sweeps(outputs, held)
        runs = [run for _, run in manifest.find_runs(outputs) if run.sweep not in busy]
        sweeps = [sweep for _, sweep in manifest.find_sweeps(outputs) if sweep.uid not in busy]
        items: list[RunManifest | SweepManifest] = [*runs, *sweeps]
        missing = [item for item in items if item.needs_upload]
        n_uploaded, n_damaged = 0, 0
        for experiment in sorted({item.experiment for item in missing if item.store == uri}):
            done, damaged = _sync_experiment(outputs, open_store(uri, experiment), busy)
            n_uploaded, n_damaged = n_uploaded + done, n_damaged + damaged
    n_before = sum(run.uploaded and run.store == uri for run in runs)
    print(f"{n_uploaded} runs uploaded to {uri}; {n_before} were uploaded before")
    others = [run.store for run in runs if run.needs_upload and run.store != uri]
    for other in dict.fromkeys(others):
        print(
            f"{others.count(other)} runs belong to {other}: name it with --store or "
            "MLFLOW_TRACKING_URI"
        )
    return 1 if n_damaged else 0


def _sync_experiment(outputs: Path, store: Store, busy: Set[str]) -> tuple[int, int]:
    """Upload the runs and sweeps of one experiment; count uploaded and damaged runs."""
    counts = upload.upload_runs(outputs, store, busy, progress=True)
    for folder, sweep in manifest.find_sweeps(outputs):
        if sweep.uid in busy or not sweep.needs_upload or not upload.belongs_to(store, sweep):
            continue
        if (folder / "report.html").is_file():
            summary, files = summarise(read_sweep(folder)), summary_files(folder)
        else:  # the sweep was killed before its end
            summary, files = write_summary(folder, figures=False)
        upload.upload_sweep(store, folder, sweep, summary.metrics(), summary.headline, files)
    return counts


def _lock_sweeps(outputs: Path, held: ExitStack) -> set[str]:
    """Let no sweep below a folder be resumed meanwhile; return the uids of those under way."""
    missing = {run.sweep for _, run in manifest.find_runs(outputs) if run.needs_upload}
    busy = set()
    for folder, sweep in manifest.find_sweeps(outputs):
        if sweep.uid not in missing and not sweep.needs_upload and sweep.status != "running":
            continue
        try:
            held.enter_context(locks.locked(folder, "sweep", wait=0))
        except InputError:
            busy.add(sweep.uid)
    return busy
