"""Writing a sweep's summary: its tables, figures and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from rsa_exp import files, interrupts
from rsa_exp.errors import InputError
from rsa_exp.experiments.lookup import find
from rsa_exp.reports.html import Picture
from rsa_exp.reports.summary import summarise
from rsa_exp.runs import locks, manifest
from rsa_exp.runs.folders import SUMMARY_TABLES, read_sweep_folder
from rsa_exp.runs.recorded_sweep import RecordedSweep

if TYPE_CHECKING:
    from rsa_exp.reports.summary import Summary

__all__ = ["read_sweep", "report", "write_summary"]


def report(sweep: str, store_folder: Path, output_dir: Path) -> int:
    """Write a sweep's summary again: from its folder, or from the store alone.

    That of a sweep from the store is written below `output_dir`, in a folder of its own.
    """
    folder = Path(sweep)
    if folder.is_dir():
        if manifest.read_sweep(folder) is not None:
            locks.mark_dead_as_killed(folder)
        write_summary(folder.absolute(), figures=True)
    else:
        from rsa_exp.tracking.store import existing_store
        from rsa_exp.tracking.tracked import TrackedRun

        found = find(sweep, store_folder)
        if not isinstance(found, RecordedSweep):
            raise InputError(
                f"run {found.run_id} is not a sweep; name the run that its runs are children of"
            )
        run_id = found.manifest.run_id
        if not found.runs:
            raise InputError(f"sweep {run_id} has no runs in {found.files.location}")
        folder = files.prepare_folder(output_dir.absolute() / "reports" / run_id[:12])
        _, written = write_summary(folder, found, figures=True)
        TrackedRun(existing_store(store_folder), run_id).log(files=written)
    print(folder / "report.html")
    return 0


def read_sweep(folder: Path) -> RecordedSweep:
    """Read the sweep in a folder, which must have one."""
    sweep = read_sweep_folder(folder)
    if sweep is None:
        raise InputError(f"{folder} is not the folder of a sweep: no {manifest.SWEEP_FILE} in it")
    return sweep


def write_summary(
    folder: Path, sweep: RecordedSweep | None = None, *, figures: bool
) -> tuple[Summary, list[Path]]:
    """Summarise a sweep and write its tables, its figures and ``report.html``.

    Parameters
    ----------
    folder : Path
        The sweep's, where all is written.
    sweep : RecordedSweep or None
        The sweep; None reads it from the folder, which must have one.
    figures : bool
        Whether figures are plotted; without, those of an earlier summary are deleted.

    Returns
    -------
    summary, written : Summary, list of Path
        What was written, and where.
    """
    from rsa_exp.figures import save

    summary = summarise(sweep or read_sweep(folder))
    tables = {name: getattr(summary, name) for name in SUMMARY_TABLES}
    written = [
        files.write_table(folder / f"{name}.csv", table)
        for name, table in tables.items()
        if table is not None
    ]
    if summary.agreement is None:  # an earlier summary may have had one
        (folder / "agreement.csv").unlink(missing_ok=True)
    for path in (folder / "figures").glob("*"):
        path.unlink()
    pictures = []
    progress = tqdm(summary.figures() if figures else (), desc="figures", disable=None, leave=False)
    for name, figure in progress:
        interrupts.checkpoint()
        saved = save(figure, files.prepare_folder(folder / "figures"), name)
        pictures.append(Picture(name, saved[0]))
        written += saved
    written.append(files.write_text(folder / "report.html", summary.report(pictures)))
    return summary, written
