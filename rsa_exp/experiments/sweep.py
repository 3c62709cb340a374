"""A sweep: many runs in one folder, under one run of the store, with one summary over them all."""

from __future__ import annotations

import dataclasses
import logging
import shlex
import shutil
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from rsa_exp import files as output
from rsa_exp import interrupts
from rsa_exp.errors import InputError
from rsa_exp.experiments.membership import SUMS, Membership
from rsa_exp.experiments.recording import open_store
from rsa_exp.experiments.resume import changed_keys, supersede_unfinished
from rsa_exp.runs import locks, manifest
from rsa_exp.tracking import upload
from rsa_exp.tracking.addresses import ui_command
from rsa_exp.tracking.outage import TrackingOutage, not_uploaded

__all__ = ["Sweep", "SweepPlan"]

log = logging.getLogger("rsa_exp")


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep is to do, as the user asked for it.

    Attributes
    ----------
    folder : Path
        Under which its runs' folders are.
    resumed : bool
        Whether the folder holds a sweep that is continued.
    overrides : list of str
        Settings as typed or recorded.
    swept : dict of str to str
        Settings that have several values, with these as typed.
    n_runs : int
        How many runs it has; 0 if that is not known.
    command : str
        The command as typed.
    store, experiment : str
        Address of the store, empty when runs are not tracked, and the experiment there.
    figures : bool
        Whether its summary has figures.
    """

    folder: Path
    resumed: bool
    overrides: list[str]
    swept: dict[str, str]
    n_runs: int
    command: str
    store: str
    experiment: str
    figures: bool


def _new_manifest(plan: SweepPlan) -> manifest.SweepManifest:
    values = [f"{key}={value}" for key, value in plan.swept.items()]
    return manifest.SweepManifest(
        uid=uuid4().hex,
        name=" ".join(["sweep", *values]),
        status="running",
        started=manifest.now(),
        keys=list(plan.swept),
        overrides=plan.overrides,
        command=plan.command,
        started_in=str(Path.cwd()),
    )


def _continued_manifest(plan: SweepPlan, before: manifest.SweepManifest) -> manifest.SweepManifest:
    keys = [*before.keys, *plan.swept, *changed_keys(before.overrides, plan.overrides)]
    sweep = dataclasses.replace(before, keys=list(dict.fromkeys(keys)))
    if plan.overrides == before.overrides:
        return sweep
    command = shlex.join(["python", "-m", "rsa_exp", "--multirun", *plan.overrides])
    return dataclasses.replace(sweep, overrides=plan.overrides, command=command)


class Sweep:
    """A sweep under way, in the process that started it.

    Parameters
    ----------
    plan : SweepPlan
        What it is to do: a new sweep, or one that is continued.

    Attributes
    ----------
    failures : list of str
        Runs that failed, in whichever process, and why; empty before `finish`.

    Raises
    ------
    InputError
        If its folder or its store cannot be used.
    """

    def __init__(self, plan: SweepPlan) -> None:
        self.failures: list[str] = []
        self._folder, self._figures = plan.folder, plan.figures
        before = manifest.read_sweep(self._folder) if plan.resumed else None
        if before is None:
            if (self._folder / manifest.SWEEP_FILE).exists():
                raise InputError(
                    f"{self._folder} holds a sweep already; continue it with resume={self._folder}"
                )
            output.claim_folder(self._folder, "sweep")
        self._store = open_store(plan.store, plan.experiment) if plan.store else None
        sweep = _new_manifest(plan) if before is None else _continued_manifest(plan, before)
        sweep = dataclasses.replace(sweep, status="running", ended="", n_planned=plan.n_runs)
        if plan.store and (sweep.store, sweep.experiment) != (plan.store, plan.experiment):
            sweep = dataclasses.replace(
                sweep, store=plan.store, experiment=plan.experiment, run_id=""
            )  # fmt: skip
        self._sweep = sweep
        self._lock = ExitStack()
        self._lock.enter_context(locks.locked(self._folder, "sweep"))
        try:
            self._start(before is not None)
        except BaseException as error:
            with self._lock:
                if before is None:
                    self._remove(error)
            raise

    def _start(self, resumed: bool) -> None:
        TrackingOutage(self._folder).clear()
        if resumed:
            locks.mark_dead_as_killed(self._folder)
            supersede_unfinished(self._folder, self._sweep.uid)
        manifest.write(self._folder, self._sweep)
        if self._store is not None:
            with interrupts.shield():
                self._sweep = upload.open_sweep(self._store, self._folder, self._sweep)
        manifest.write(self._folder, self._sweep)
        (self._folder / "report.html").unlink(missing_ok=True)  # out of date from now on
        if resumed and self._store is not None:
            upload.assign_runs(self._folder, self._sweep)
        Membership(
            self._folder,
            self._sweep.uid,
            self._sweep.run_id,
            tuple(self._sweep.keys),
            manifest.now() if resumed else "",
        ).to_environment()

    def finish(self, error: BaseException | None) -> BaseException | None:
        """Summarise the sweep, end its run in the store, and print where its results are.

        Given what ended the sweep early, or its first run's failure, returns that, or what went
        wrong here.
        """
        Membership().to_environment()
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
        try:
            with self._lock:
                any_run = self._write_end(error)
                if not any_run and error is not None and not interrupted:
                    self._remove(error)
                    return error
                self._summarise(figures=self._figures and not interrupted)
        except InputError as second:
            error = _first_error(error, second)
        except OSError as second:
            reason = InputError(f"the sweep's summary could not be written: {second}")
            error = _first_error(error, reason)
        except (KeyboardInterrupt, SystemExit) as second:
            error = second
        except Exception:
            if not interrupted:
                raise
            # A signal may have left the modules that summarise half imported.
            self._end_without_summary()
        return error

    def _end_without_summary(self) -> None:
        folder = shlex.quote(str(self._folder))
        log.warning("the sweep was not summarised; python -m rsa_exp report %s does it", folder)
        self._end_in_store(self._sweep.status)

    def _remove(self, error: BaseException) -> None:
        """Leave nothing to resume of a sweep that could start none of its runs."""
        (self._folder / manifest.SWEEP_FILE).unlink(missing_ok=True)
        with interrupts.shield(closing=True):
            self._end_in_store("failed", str(error))

    def _end_in_store(self, status: str, error: str | None = None) -> None:
        """End the sweep's run, if the store can; the user wants to leave."""
        if self._store is not None and self._sweep.run_id:
            from rsa_exp.tracking.tracked import TrackedRun

            with suppress(Exception):
                TrackedRun(self._store, self._sweep.run_id).end(status, error)

    def _write_end(self, error: BaseException | None) -> bool:
        """Write how the sweep and its runs in other processes ended; return if it has any run."""
        locks.mark_dead_as_killed(self._folder)
        runs = [run for _, run in manifest.find_runs(self._folder, self._sweep.uid)]
        self.failures = [f"{run.name}: {run.error}" for run in runs if run.status == "failed"]
        status = "failed" if self.failures else "finished"
        if error is not None:
            status = "killed" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed"
        self._sweep = dataclasses.replace(self._sweep, status=status, ended=manifest.now())
        manifest.write(self._folder, self._sweep)
        if status == "finished":
            shutil.rmtree(self._folder / SUMS, ignore_errors=True)
        return bool(runs)

    def _summarise(self, *, figures: bool) -> None:
        from rsa_exp.experiments.report import write_summary

        refused = None
        if self._store is not None:
            TrackingOutage(self._folder).clear()
            try:
                upload.upload_runs(self._folder, self._store)
            except InputError as error:
                refused = error
        summary, files = write_summary(self._folder, figures=figures)
        finished = int((summary.runs["status"] == "finished").sum())
        log.info(
            "\n%d of %d runs finished; all their scores: %s",
            finished, max(len(summary.runs), self._sweep.n_planned), self._folder / "scores.csv",
        )  # fmt: skip
        log.info(summary.headline)
        log.info("report: %s", self._folder / "report.html")
        if self._store is None:
            return
        if refused is not None:
            raise not_uploaded(self._folder, refused, "not all could")
        with interrupts.shield(closing=True):
            metrics = summary.metrics()
            upload.upload_sweep(
                self._store, self._folder, self._sweep, metrics, summary.headline, files
            )
        if self._store.folder is not None:  # a server shows them itself
            log.info("compare the runs: %s", ui_command(self._store.folder))
        log.info(self._store.address(self._sweep.run_id, children=True))


def _first_error(first: BaseException | None, second: InputError) -> BaseException:
    """Return the error that a sweep ends with; print the second where that is another one."""
    if first is not None:
        log.error(second)
    return first or second
