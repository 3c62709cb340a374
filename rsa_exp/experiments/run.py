"""One run from its config to its folder and the store, for Hydra's jobs and for `reproduce`."""

from __future__ import annotations

import dataclasses
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from rsa_exp import files as output
from rsa_exp import interrupts
from rsa_exp.config.compose import to_yaml
from rsa_exp.config.schema import Config
from rsa_exp.errors import InputError
from rsa_exp.experiments.membership import Membership
from rsa_exp.experiments.recording import Recording, RecordingBeside
from rsa_exp.experiments.resume import free_run_folder
from rsa_exp.experiments.run_output import (
    log_file,
    print_result,
    write_figures,
    write_provenance,
    write_results,
)
from rsa_exp.runs import locks, manifest
from rsa_exp.runs.digests import code_id, config_id
from rsa_exp.tracking.addresses import store_uri
from rsa_exp.tracking.outage import TrackingOutage, not_uploaded

__all__ = ["FinishedRun", "RunSpec", "execute", "objective", "record_failure"]

log = logging.getLogger("rsa_exp")


@dataclass(frozen=True)
class RunSpec:
    """What a run is called and where it goes, besides its config.

    Attributes
    ----------
    folder : Path
        Folder of its files.
    name : str
        Its name in the store.
    overrides : list of str
        Hydra overrides it is made with.
    sweep : Membership
        The sweep that it belongs to; empty for a run by itself.
    tags : dict of str to str
        Further tags in the store.
    choices : dict of str to str
        The option chosen of each config group.
    """

    folder: Path
    name: str
    overrides: list[str]
    sweep: Membership = field(default_factory=Membership)
    tags: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FinishedRun:
    """A finished run: its folder and its `objective`.

    Its id in the store and its page in the UI are None if it is not tracked.
    """

    folder: Path
    run_id: str | None
    address: str | None
    objective: float


def execute(config: Config, spec: RunSpec, *, alone: bool = False) -> FinishedRun:
    """Score, write, plot and track one run.

    Results are on disk before they are uploaded. A tracked run never stays RUNNING: it ends as
    FINISHED, as FAILED with the reason, or as KILLED when it was interrupted. A run of a sweep
    whose store went away is kept on disk, for `rsa_exp.experiments.sync`.

    Parameters
    ----------
    alone : bool
        Whether no other run follows in this process. If it has no inference either, the store is
        opened while it is scored, by a process of its own.

    Raises
    ------
    InputError
        If the input, the output folder or, for a run by itself, the store cannot be used.
    """
    output.prepare_folder(spec.folder)
    with locks.locked(spec.folder, "run"), log_file(spec.folder / "run.log"):
        run = _RunInProgress(config, spec, beside=alone and _is_short(config))
        output.claim_folder(spec.folder, "run")
        return run.execute()


def record_failure(spec: RunSpec, error: str) -> None:
    """Write the manifest of a sweep's run that failed before it started, so that it is counted."""
    run = manifest.read_run(spec.folder)
    if run is not None and (run.sweep, run.overrides) == (spec.sweep.uid, spec.overrides):
        return  # it started, and wrote its own
    folder = output.prepare_folder(free_run_folder(spec.folder))
    failed = dataclasses.replace(
        _new_manifest(spec), status="failed", ended=manifest.now(), error=error
    )
    manifest.write(folder, failed)


def objective(folder: Path, config: Config) -> float:
    """Return what a sweeper that searches maximises: a Hydra job's return value.

    The score of the best layer, mean over ROIs, of a finished run; for a distance, where the least
    is best, its negative, so that more is better for every metric. NaN if undefined.
    """
    from rsa_exp.stats.metrics.registry import METRICS

    scores = output.read_scores(folder / "scores.csv")
    merit = METRICS[config.metric].sign * scores["score"]
    return float(merit.groupby(scores["roi"]).max().mean())


def _is_short(config: Config) -> bool:
    """Whether a run has no inference: nobody waits long to hear that its store cannot be used."""
    inference = config.inference
    return inference.bootstrap == "none" and not inference.n_perm and not inference.n_splits


def _new_manifest(spec: RunSpec) -> manifest.RunManifest:
    return manifest.RunManifest(
        uid=uuid4().hex,
        name=spec.name,
        status="running",
        started=manifest.now(),
        overrides=spec.overrides,
        choices=spec.choices,
        sweep=spec.sweep.uid,
        parent=spec.sweep.parent,
        tags=spec.tags,
    )


class _RunInProgress:
    """A run in progress."""

    def __init__(self, config: Config, spec: RunSpec, *, beside: bool) -> None:
        self._config, self._spec, self._folder = config, spec, spec.folder
        self._outage = TrackingOutage(spec.sweep.folder) if spec.sweep.folder is not None else None
        self._beside = beside
        self._recording: Recording | None = None
        tracking = config.tracking
        self._run = dataclasses.replace(
            _new_manifest(spec), config_id=config_id(config), code_id=code_id()
        )
        if tracking.enabled:
            uri = store_uri(Path(tracking.folder), server=tracking.server)
            self._run = dataclasses.replace(
                self._run, store=uri, experiment=tracking.experiment
            )  # fmt: skip
        before = manifest.read_run(spec.folder)
        self._requeued = before is not None and self._is_requeued(before)
        if before is not None and self._requeued:
            (spec.folder / "scores.csv").unlink(missing_ok=True)
            self._run = dataclasses.replace(self._run, uid=before.uid)

    def _is_requeued(self, before: manifest.RunManifest) -> bool:
        """Whether a cluster starts a run again after its process was killed."""
        now = self._run
        return before.status in {"running", "killed"} and (
            (before.sweep, before.config_id, before.overrides)
            == (now.sweep, now.config_id, now.overrides)
        )

    def execute(self) -> FinishedRun:
        """Do everything from the first manifest to the upload."""
        self._write_manifest()
        try:
            config = output.write_text(self._folder / "config.yaml", to_yaml(self._config))
            self._write_manifest(files=[config.name])
            with interrupts.shield():
                self._open_in_store()
            files = [config, *self._compute()]
            names = [path.relative_to(self._folder).as_posix() for path in files]
            self._write_manifest(status="finished", ended=manifest.now(), files=names)
        except BaseException as error:
            with interrupts.shield(closing=True):
                self._fail(error)
            raise
        with interrupts.shield():
            address = self._upload()
        run_id = self._run.run_id if self._run.uploaded else None
        return FinishedRun(self._folder, run_id, address, objective(self._folder, self._config))

    def _compute(self) -> list[Path]:
        """Score, plot and write; return the files."""
        from rsa_exp.runs.inputs import analyse_config
        from rsa_exp.runs.provenance import code_diff

        config, folder = self._config, self._folder
        diff = code_diff()  # before the code is edited while this runs
        result = analyse_config(config, self._spec.sweep.sums_folder)
        files = write_results(folder, result)
        print_result(result, config)
        start = time.perf_counter()
        files += write_figures(folder, result, config.figures.names)
        seconds = result.seconds | {"draw": time.perf_counter() - start}
        overrides = self._spec.overrides
        return files + write_provenance(folder, result, overrides, config.seed, seconds, diff)

    def _write_manifest(self, **changes: Any) -> None:
        self._run = dataclasses.replace(self._run, **changes)
        manifest.write(self._folder, self._run)

    def _without_store(self) -> bool:
        return not self._run.store or (self._outage is not None and self._outage.is_recent())

    def _open_in_store(self) -> None:
        """Open the run in the store; a sweep whose store went away continues without it."""
        if self._without_store():
            return
        recording = self._new_recording()
        try:
            recording.open(again=self._requeued)
            self._recording = recording
        except InputError as error:
            if self._outage is None:
                self._write_manifest(store="")  # nothing to be uploaded later
                raise
            self._outage.report(error)

    def _new_recording(self) -> Recording:
        kind = RecordingBeside if self._beside else Recording
        return kind(self._folder, self._run.store, self._run.experiment)

    def _upload(self) -> str | None:
        """Upload the run, which has ended; return its address in the UI."""
        if self._without_store():
            return None
        try:
            self._run, address = (self._recording or self._new_recording()).upload()
        except InputError as error:
            if self._outage is None:
                raise not_uploaded(self._folder, error) from error
            self._outage.report(f"a run could not be uploaded to {error}")
            return None
        return address

    def _fail(self, error: BaseException) -> None:
        """Record that the run failed; a failure to do so must not hide the first one."""
        known = isinstance(error, InputError)
        killed = isinstance(error, KeyboardInterrupt | SystemExit)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        with suppress(OSError):
            self._write_manifest(
                status="killed" if killed else "failed",
                error="interrupted" if killed else reason,
                ended=manifest.now(),
            )
            if self._recording is None:
                return
            try:
                self._upload()
            except Exception as second:
                log.warning("the run could not be marked as failed: %s", second)
