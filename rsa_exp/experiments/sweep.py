"""What happens around a multirun: one parent run in the store, one summary over all runs."""

from __future__ import annotations

import dataclasses
import logging
import math
import shlex
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from rsa_exp import files as output
from rsa_exp import interrupts
from rsa_exp.cli.terminal import ui_command
from rsa_exp.errors import InputError
from rsa_exp.experiments.membership import Membership, announce
from rsa_exp.experiments.resume import changed_keys, clear
from rsa_exp.runs import manifest as filing
from rsa_exp.stats.parallel import n_workers
from rsa_exp.tracking.addresses import store_uri
from rsa_exp.tracking.outage import Outage

if TYPE_CHECKING:
    from rsa_exp.tracking.store import Store

__all__ = ["Sweep", "SweepAborted", "SweepCallback", "swept_keys"]

log = logging.getLogger("rsa_exp")

# What installs Hydra's launchers that are plugins.
_EXTRAS = {"hydra_joblib_launcher": "parallel", "hydra_submitit_launcher": "slurm"}


class Sweep:
    """A multirun under way, in the process that started it.

    Parameters
    ----------
    folder : Path
        Under which its runs' folders are.
    sweep : SweepFiling
        What it is.
    store : Store or None
        Where it is recorded.
    figures : bool
        Whether its summary has figures.
    resumed : bool
        Whether `folder` holds runs of it already.

    Attributes
    ----------
    current : Sweep or None
        The one under way.
    resuming : Path or None
        Folder of the sweep that the next multirun goes on with.
    typed : list of str
        The command line's arguments.
    failures : list of str
        Runs that failed, in whichever process, and why; once it is summed up.
    """

    current: ClassVar[Sweep | None] = None
    resuming: ClassVar[Path | None] = None
    typed: ClassVar[list[str]] = []

    def __init__(
        self,
        folder: Path,
        sweep: filing.SweepFiling,
        store: Store | None,
        *,
        figures: bool,
        resumed: bool,
    ) -> None:
        self.folder, self._figures = folder, figures
        self._sweep, self._store = sweep, store
        self.failures: list[str] = []
        self._held = ExitStack()
        self._held.enter_context(filing.occupied(folder, "sweep"))
        try:
            self._begin(resumed)
        except BaseException as error:
            with self._held:
                if not resumed:
                    self._forget(error)
            raise
        Sweep.current = self

    def _begin(self, resumed: bool) -> None:
        from rsa_exp.experiments import sync

        Outage(self.folder).end()
        if resumed:
            sync.reap(self.folder)
            clear(self.folder, self._sweep.mark)
        filing.write(self.folder, self._sweep)
        if self._store is not None:
            with interrupts.shield():
                self._sweep = sync.open_sweep(self._store, self.folder, self._sweep)
        filing.write(self.folder, self._sweep)
        (self.folder / "report.html").unlink(missing_ok=True)  # of what was there before
        if resumed and self._store is not None:
            sync.adopt(self.folder, self._sweep)
        announce(
            Membership(
                self.folder,
                self._sweep.mark,
                self._sweep.run_id or None,
                tuple(self._sweep.keys),
                filing.now() if resumed else None,
            )
        )

    def finish(self, error: BaseException | None) -> BaseException | None:
        """Sum the sweep up, end its run in the store, and say where everything is.

        Parameters
        ----------
        error : BaseException or None
            What ended the sweep early, or the first run's failure.

        Returns
        -------
        BaseException or None
            `error`, or what went wrong here.
        """
        Sweep.current = None
        announce(None)
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
        try:
            with self._held:
                if not self._file_end(error) and error is not None and not interrupted:
                    self._forget(error)
                    return error
                self._sum_up(figures=self._figures and not interrupted)
        except InputError as second:
            error = _either(error, second)
        except OSError as second:
            reason = InputError(f"the sweep's summary could not be written: {second}")
            error = _either(error, reason)
        except (KeyboardInterrupt, SystemExit) as second:
            error = second
        except Exception:
            if not interrupted:
                raise
            # Half an import may be all that a signal left of what sums up.
            self._end_unsummed()
        return error

    def _end_unsummed(self) -> None:
        from rsa_exp.tracking.tracked import TrackedRun

        folder = shlex.quote(str(self.folder))
        log.warning("not summed up; python -m rsa_exp report %s does it", folder)
        if self._store is not None:
            with suppress(Exception):  # it is the user who wants to leave
                TrackedRun(self._store, self._sweep.run_id).end(self._sweep.status)

    def _forget(self, error: BaseException) -> None:
        """Leave nothing to resume of a sweep that none of its runs could be made of."""
        from rsa_exp.tracking.tracked import TrackedRun

        (self.folder / filing.SWEEP_FILE).unlink(missing_ok=True)
        if self._store is not None and self._sweep.run_id:
            with interrupts.shield(closing=True), suppress(Exception):
                TrackedRun(self._store, self._sweep.run_id).end("failed", str(error))

    def _file_end(self, error: BaseException | None) -> bool:
        """Say how the sweep ended, also of runs that failed in other processes.

        Returns
        -------
        bool
            Whether any run was begun.
        """
        from rsa_exp.experiments import sync

        sync.reap(self.folder)
        runs = [run for _, run in filing.runs_below(self.folder, self._sweep.mark)]
        self.failures = [f"{run.name}: {run.error}" for run in runs if run.status == "failed"]
        status = "failed" if self.failures else "finished"
        if error is not None:
            status = "killed" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed"
        self._sweep = dataclasses.replace(self._sweep, status=status, ended=filing.now())
        filing.write(self.folder, self._sweep)
        return bool(runs)

    def _sum_up(self, *, figures: bool) -> None:
        from rsa_exp.experiments import sync
        from rsa_exp.experiments.report import write_summary

        unrecorded = None
        if self._store is not None:
            Outage(self.folder).end()
            try:
                sync.record_runs(self.folder, self._store)
            except InputError as error:
                unrecorded = error
        summary, files = write_summary(self.folder, figures=figures)
        finished = int((summary.runs["status"] == "finished").sum())
        log.info(
            "\n%d of %d runs finished; all their scores: %s",
            finished, max(len(summary.runs), self._sweep.n_planned), self.folder / "scores.csv",
        )  # fmt: skip
        log.info(summary.headline)
        log.info("report: %s", self.folder / "report.html")
        if self._store is None:
            return
        if unrecorded is None:
            with interrupts.shield(closing=True):
                sync.record_sweep(self.folder, self._sweep, self._store, summary, files)
            if self._store.folder is not None:  # a server shows them itself
                log.info("compare the runs: %s", ui_command(self._store.folder))
            log.info(self._store.address(self._sweep.run_id, children=True))
        else:
            raise InputError(
                f"the results are in {self.folder} but not all could be recorded in {unrecorded}; "
                f"python -m rsa_exp sync {shlex.quote(str(self.folder))} does it when the store is "
                "back"
            )


def _either(first: BaseException | None, second: InputError) -> BaseException:
    """Return what a sweep failed with; say it at once where that is said of something else."""
    if first is not None:
        log.error(second)
    return first or second


class SweepAborted(BaseException):
    """Carries what is wrong with a sweep past Hydra, which makes warnings of callbacks' exceptions.

    Attributes
    ----------
    reason : Exception
        What it is.
    """

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class SweepCallback(Callback):
    """Opens the parent run before Hydra fans out; `rsa_exp.cli.app` finishes the sweep.

    Hydra does not call ``on_multirun_end`` when a job failed, so the end is not left to it.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002
        """Prepare the sweep's folder, the store and the parent run."""
        try:
            _begin(config)
        except Exception as error:
            raise SweepAborted(error) from error


def _begin(config: DictConfig) -> None:
    from rsa_exp.experiments.run import open_store

    n_runs = _count_runs(config)
    _prepare_launcher(config, n_runs)
    folder, resumed = Path(config.hydra.sweep.dir).absolute(), Sweep.resuming is not None
    before = filing.read_sweep(folder) if resumed else None
    if before is None:
        if (folder / filing.SWEEP_FILE).exists():
            raise InputError(f"{folder} holds a sweep already; go on with it: resume={folder}")
        output.claim_folder(folder, "sweep")
    task = list(config.hydra.overrides.task)
    overrides = _overrides(config)
    keys = swept_keys(overrides)
    swept = [text for text in overrides if text.lstrip("+").split("=", 1)[0] in keys]
    tracking = OmegaConf.to_container(config.tracking, resolve=True)
    store = None
    sweep = before or filing.SweepFiling(
        mark=uuid4().hex,
        name="sweep " + " ".join(swept) if swept else "sweep",
        status="running",
        begun=filing.now(),
        overrides=task,
        command=shlex.join(["python", "-m", "rsa_exp", *Sweep.typed]),
        started_in=str(Path.cwd()),
    )
    if before is not None:
        keys += changed_keys(before.overrides, task)
    if task != sweep.overrides:  # resumed with other settings
        command = shlex.join(["python", "-m", "rsa_exp", "--multirun", *task])
        sweep = dataclasses.replace(sweep, overrides=task, command=command)
    known = dict.fromkeys([*sweep.keys, *keys])
    sweep = dataclasses.replace(
        sweep, status="running", ended="", keys=list(known), n_planned=n_runs
    )
    if isinstance(tracking, dict) and tracking["enabled"]:
        uri = store_uri(Path(str(tracking["folder"])).expanduser(), server=bool(tracking["server"]))
        experiment = str(tracking["experiment"])
        store = open_store(uri, experiment)
        if (sweep.store, sweep.experiment) != (uri, experiment):
            sweep = dataclasses.replace(sweep, store=uri, experiment=experiment, run_id="")
    Sweep(folder, sweep, store, figures=bool(config.figures.sweep), resumed=before is not None)


def _overrides(config: DictConfig) -> list[str]:
    """Return the settings of a sweep: its preset's, then what was typed."""
    params = config.hydra.sweeper.get("params") or {}
    return [f"{k}={v}" for k, v in params.items()] + list(config.hydra.overrides.task)


def _count_runs(config: DictConfig) -> int:
    """Count the runs of a sweep; 0 where its sweeper decides as it goes."""
    if "max_batch_size" not in config.hydra.sweeper:  # not Hydra's own
        return 0
    loader = GlobalHydra.instance().config_loader()  # for glob()
    parsed = OverridesParser.create(loader).parse_overrides(_overrides(config))
    values = {
        item.key_or_group: len(list(item.sweep_string_iterator()))
        if item.is_discrete_sweep()
        else 1
        for item in parsed
    }
    return math.prod(values.values())


def _prepare_launcher(config: DictConfig, n_runs: int) -> None:
    """Check that a launcher's plugin is there, and start no more workers than there are runs.

    Workers share the cores evenly, whether they have something to do or not.
    """
    launcher = config.hydra.launcher
    module = str(launcher._target_).split(".")[1]
    extra = _EXTRAS.get(module)
    if extra is not None and find_spec(f"hydra_plugins.{module}") is None:
        raise InputError(
            f"hydra/launcher={config.hydra.runtime.choices['hydra/launcher']} is a plugin that is "
            f'not installed: pip install -e ".[{extra}]"'
        )
    if "n_jobs" in launcher and n_runs:
        wanted = launcher.n_jobs if launcher.n_jobs > 0 else n_workers()
        launcher.n_jobs = min(wanted, n_runs)


def swept_keys(overrides: list[str]) -> list[str]:
    """Keys that a multirun's overrides give more than one value; the last of a key counts."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    last = {item.key_or_group: item.is_sweep_override() for item in parsed}
    return [key for key, swept in last.items() if swept]
