"""Exporting a run or a sweep as a plain folder: for a paper's supplement, and for ``reproduce``."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rsa_exp import files, interrupts
from rsa_exp.errors import InputError, listing
from rsa_exp.experiments.export_readme import run_readme, sweep_readme, title_of
from rsa_exp.experiments.lookup import find, finished_runs
from rsa_exp.experiments.ro_crate import METADATA, describe
from rsa_exp.runs import manifest
from rsa_exp.runs.folders import EXPORTED_RUNS
from rsa_exp.runs.recorded_run import RecordedRun
from rsa_exp.runs.recorded_sweep import RecordedSweep

__all__ = ["export"]


def export(name: str, folder: Path, store_folder: Path) -> int:
    """Write all files of a run, or of a sweep's finished runs, into a new folder; all or nothing.

    Raises
    ------
    InputError
        If there is no such run, it did not finish, a file of it is missing, or the folder cannot
        be written or is not empty.
    """
    folder = folder.expanduser().absolute()
    _refuse_full(folder)
    found = find(name, store_folder)
    runs = finished_runs(found)
    try:
        with files.whole_folder(folder) as part:
            if isinstance(found, RecordedSweep):
                exported = _write_sweep(found, runs, part)
                title = found.name
                about = f"{len(runs)} runs of rsa_exp: {listing([run.name for run in runs], 6)}"
            else:
                _write_run(found, part)
                exported = [("", found)]
                title, about = found.title, title_of(found)
            crate = describe(part, title, about, exported, manifest.now())
            files.write_json(part / METADATA, crate)
    except OSError as error:
        raise InputError(
            f"{name} cannot be exported to {folder}: {error.strerror or error}"
            f"{f' ({error.filename})' if error.filename else ''}"
        ) from error
    n = sum(path.is_file() for path in folder.rglob("*"))
    print(f"{folder}: {n} files; README.txt describes them")
    print(f"reproduce it: python -m rsa_exp reproduce {shlex.quote(str(folder))}")
    return 0


def _refuse_full(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder} exists already; name a new folder, or an empty one")


def _write_sweep(
    sweep: RecordedSweep, runs: Sequence[RecordedRun], folder: Path
) -> list[tuple[str, RecordedRun]]:
    """Write a sweep's summary and its runs; return the runs with their folders in this one."""
    sweep.files.copy_to(folder)
    (folder / "multirun.yaml").unlink(missing_ok=True)  # Hydra's own, of this machine
    # Neither this machine's folders and store, nor a uid by which it could be resumed.
    plain = dataclasses.replace(
        sweep.manifest, uid="", started="", ended="", started_in="", store="", experiment="",
        run_id="", uploaded=False,
    )  # fmt: skip
    manifest.write(folder, plain)
    digits = len(str(len(runs)))
    progress = tqdm(runs, desc="runs", unit="run", disable=None, leave=False)
    exported = []
    for number, run in enumerate(progress, start=1):
        interrupts.checkpoint()
        # What an earlier export numbered is not numbered twice.
        name = re.sub(r"^\d+-(?=.)", "", run.name) if not run.run_id else run.name
        subfolder = f"{EXPORTED_RUNS}/{number:0{digits}d}-{_safe(name)}/"
        _write_run(run, folder / subfolder)
        exported.append((subfolder, run))
    readme = sweep_readme(sweep.manifest, [(place, title_of(run)) for place, run in exported])
    files.write_text(folder / "README.txt", readme)
    return exported


def _write_run(run: RecordedRun, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    run.files.copy_to(folder)
    if not (folder / "requirements.txt").is_file():
        files.write_text(folder / "requirements.txt", _requirements(run.provenance))
    has_diff = (folder / "code.diff").is_file()
    files.write_text(folder / "README.txt", run_readme(run, has_diff=has_diff))


def _safe(name: str) -> str:
    """Turn a name into one that any system takes for a folder."""
    return re.sub(r"[^A-Za-z0-9_.=+-]+", "_", name).strip("._")[:80] or "run"


def _requirements(record: Mapping[str, Any]) -> str:
    """Make requirements of the packages that a run's provenance names."""
    versions = record.get("packages", {})
    head = (
        f"# rsa-exp {record.get('rsa_exp', '')}, commit {record.get('git_commit')}; Python "
        f"{record.get('python', '')}\n# Only the packages that scores come from: the run did not "
        "keep the others.\n"
    )
    return head + "".join(f"{name}=={number}\n" for name, number in versions.items() if number)
