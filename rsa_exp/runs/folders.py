"""Recorded runs and sweeps that are read from folders: their own, or one that ``export`` wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rsa_exp.errors import UNPRINTABLE, InputError
from rsa_exp.runs import manifest
from rsa_exp.runs.file_sources import FolderFiles
from rsa_exp.runs.manifest import RunManifest, SweepManifest
from rsa_exp.runs.recorded_run import NEEDED, RecordedRun
from rsa_exp.runs.recorded_sweep import RecordedSweep

__all__ = [
    "EXPORTED_RUNS", "SUMMARY_TABLES", "read_run_folder", "read_sweep_folder", "summary_files"
]  # fmt: skip

SUMMARY_TABLES = ("scores", "group", "runs", "agreement")
"""Names of the tables of a sweep's summary."""

EXPORTED_RUNS = "runs"
"""Folder of an exported sweep that has its runs."""


def read_run_folder(folder: Path) -> RecordedRun:
    """Read the run in a folder, in which ``run.json`` may be missing."""
    run = manifest.read_run(folder)
    if run is None:
        complete = all((folder / name).is_file() for name in NEEDED)
        name = UNPRINTABLE.sub("?", folder.name)
        run = RunManifest("", name, "finished" if complete else "unknown", "")
        return RecordedRun(run, FolderFiles(folder), str(folder))
    return RecordedRun(run, FolderFiles(folder, run.files), str(folder))


def read_sweep_folder(folder: Path) -> RecordedSweep | None:
    """Read the sweep in a folder, unless its ``sweep.json`` is damaged; None if it has no sweep."""
    sweep = manifest.read_sweep(folder)
    exported = folder / EXPORTED_RUNS
    if sweep is not None and any(map(UNPRINTABLE.search, (sweep.name, sweep.run_id, *sweep.keys))):
        raise InputError(f"{folder / manifest.SWEEP_FILE} has control characters: it is damaged")
    if exported.is_dir():
        sweep = sweep or SweepManifest("", folder.name, "finished", "")
        run_folders = sorted(path for path in exported.iterdir() if path.is_dir())
    elif sweep is not None:
        run_folders = [path for path, _ in manifest.find_runs(folder, sweep.uid)]
    else:
        return None
    runs = (replace(read_run_folder(path), number=i) for i, path in enumerate(run_folders))
    names = [path.relative_to(folder).as_posix() for path in summary_files(folder)]
    return RecordedSweep(sweep, tuple(runs), FolderFiles(folder, names))


def summary_files(folder: Path) -> list[Path]:
    """Return the files of a sweep's summary that its folder has."""
    names = [*(f"{name}.csv" for name in SUMMARY_TABLES), "report.html"]
    return [
        *(folder / name for name in names if (folder / name).is_file()),
        *sorted((folder / "figures").glob("*.*")),
    ]
