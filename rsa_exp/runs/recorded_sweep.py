"""A recorded sweep: what it is, its runs, and the files of its summary."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tqdm import tqdm

from rsa_exp.runs.file_sources import RunFiles
from rsa_exp.runs.manifest import SweepManifest
from rsa_exp.runs.recorded_run import RecordedRun

__all__ = ["RecordedSweep"]


@dataclass(frozen=True, eq=False)
class RecordedSweep:
    """A sweep as its folder or the tracking store has it.

    Attributes
    ----------
    manifest : SweepManifest
        What it is and what became of it.
    runs : tuple of RecordedRun
        Its runs in their order, without those that were run again since.
    files : RunFiles
        Its summary: tables, figures and report.
    """

    manifest: SweepManifest
    runs: tuple[RecordedRun, ...]
    files: RunFiles

    @property
    def name(self) -> str:
        """For example ``sweep subject=1,2,3``."""
        return self.manifest.name

    @property
    def keys(self) -> list[str]:
        """What was swept."""
        return self.manifest.keys

    @property
    def finished(self) -> tuple[RecordedRun, ...]:
        """Runs that finished."""
        return tuple(run for run in self.runs if run.status == "finished")

    def verified(self) -> RecordedSweep:
        """Return the sweep with all files of its runs read; damaged runs count as failed."""
        progress = tqdm(self.runs, "reading runs", unit="run", disable=None, leave=False, delay=1)
        return replace(self, runs=tuple(run.verified() for run in progress))
