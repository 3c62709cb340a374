"""One run from config to folder and store: what Hydra's job and `reproduce` both do."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rsa_exp import files as output
from rsa_exp import interrupts
from rsa_exp.config.compose import to_yaml
from rsa_exp.config.schema import Config
from rsa_exp.errors import InputError
from rsa_exp.experiments.resume import place
from rsa_exp.runs import manifest as filing
from rsa_exp.runs.identity import code_id, config_id
from rsa_exp.tracking.addresses import store_uri
from rsa_exp.tracking.outage import Outage
from rsa_exp.tracking.record import entry_of, open_run, record_run

if TYPE_CHECKING:
    from rsa_exp.analysis.pipeline import RunResult
    from rsa_exp.experiments.membership import Membership
    from rsa_exp.tracking.store import Store
    from rsa_exp.tracking.tracked import TrackedRun

__all__ = ["JobSpec", "Outcome", "execute", "file_failure", "objective", "open_store"]

log = logging.getLogger("rsa_exp")


@dataclass(frozen=True)
class JobSpec:
    """How a run is filed.

    Attributes
    ----------
    folder : Path
        Where its files go.
    name : str
        What the store calls it.
    overrides : list of str
        Hydra overrides it was made with.
    parent : str or None
        Id of the sweep's run in the store.
    sweep : str or None
        What marks the runs of one sweep on disk.
    sweep_folder : Path or None
        The sweep's folder.
    tags : dict of str to str
        Further tags.
    choices : dict of str to str
        What was chosen of each config group.
    """

    folder: Path
    name: str
    overrides: list[str]
    parent: str | None = None
    sweep: str | None = None
    sweep_folder: Path | None = None
    tags: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes
    ----------
    folder : Path
        Where its files are.
    run_id, address : str or None
        Its id in the store, and where the UI shows it, when it was tracked.
    objective : float
        As `objective` gives it.
    """

    folder: Path
    run_id: str | None
    address: str | None
    objective: float


def execute(config: Config, spec: JobSpec) -> Outcome:
    """Run, write, draw and record.

    Results are on disk before they are tracked. A tracked run never stays RUNNING: it ends as
    FINISHED, as FAILED with the reason, or as KILLED when it was interrupted. A run of a sweep
    whose store went away is kept on disk, for `rsa_exp.experiments.sync`.

    Raises
    ------
    InputError
        If the input, the output folder or, for a run by itself, the store cannot be used.
    """
    output.prepare_folder(spec.folder)
    with filing.occupied(spec.folder, "run"), _log_file(spec.folder / "run.log"):
        job = _Job(config, spec)
        output.claim_folder(spec.folder, "run")
        return job.do()


def file_failure(
    folder: Path,
    name: str,
    overrides: list[str],
    choices: dict[str, str],
    sweep: Membership,
    error: str,
) -> None:
    """File a run of a sweep that failed before it was one, so that the sweep counts it."""
    run = filing.read_run(folder)
    if run is not None and run.sweep == sweep.mark and run.overrides == overrides:
        return  # it has filed itself
    target = output.prepare_folder(place(folder))
    failed = filing.Run(
        uid=uuid4().hex, name=name, status="failed", begun=filing.now(), ended=filing.now(),
        overrides=overrides, choices=choices, error=error, sweep=sweep.mark or "",
    )  # fmt: skip
    filing.write(target, failed)


def objective(folder: Path, config: Config) -> float:
    """Return what a run is worth to a sweeper that searches: a Hydra job's return value.

    Returns
    -------
    float
        The score of the best layer, mean over ROIs, of a finished run; for a distance, where the
        least is best, its negative, so that more is better for every metric. NaN if undefined.
    """
    from rsa_exp.stats.metrics.registry import METRICS

    scores = output.read_scores(folder / "scores.csv")
    merit = METRICS[config.metric].sign * scores["score"]
    return float(merit.groupby(scores["roi"]).max().mean())


def _uri(config: Config) -> str:
    tracking = config.tracking
    if not tracking.enabled:
        return ""
    return store_uri(Path(tracking.folder), server=tracking.server)


@lru_cache(maxsize=4)
def open_store(uri: str, experiment: str) -> Store:
    """Open a store once in this process."""
    from rsa_exp.tracking.store import Store

    return Store(uri, experiment)


class _Job:
    """A run under way.

    Parameters
    ----------
    config : Config
        What.
    spec : JobSpec
        Where.
    """

    def __init__(self, config: Config, spec: JobSpec) -> None:
        self._config, self._spec, self._folder = config, spec, spec.folder
        self._outage = Outage(spec.sweep_folder) if spec.sweep_folder is not None else None
        self._tracked: TrackedRun | None = None
        tracking = config.tracking
        identity = config_id(config)
        before = filing.read_run(spec.folder)
        self._requeued = (  # by a cluster, after its process was killed
            before is not None
            and before.status in {"running", "killed"}
            and (before.sweep, before.config_id, before.overrides)
            == (spec.sweep or "", identity, spec.overrides)
        )
        if self._requeued:
            (spec.folder / "scores.csv").unlink(missing_ok=True)
        self._run = filing.Run(
            uid=before.uid if before is not None and self._requeued else uuid4().hex,
            name=spec.name,
            status="running",
            begun=filing.now(),
            config_id=identity,
            code_id=code_id(),
            overrides=spec.overrides,
            choices=spec.choices,
            sweep=spec.sweep or "",
            store=_uri(config),
            experiment=tracking.experiment if tracking.enabled else "",
            parent=spec.parent or "",
            tags=spec.tags,
        )

    def do(self) -> Outcome:
        """Do it all."""
        self._file()
        try:
            config = output.write_text(self._folder / "config.yaml", to_yaml(self._config))
            self._file(files=[config.name])
            with interrupts.shield():
                self._open()
            files = [config, *self._compute()]
            names = [path.relative_to(self._folder).as_posix() for path in files]
            self._file(status="finished", ended=filing.now(), files=names)
        except BaseException as error:
            with interrupts.shield(closing=True):
                self._give_up(error)
            raise
        with interrupts.shield():
            self._close()
        run_id = self._run.run_id if self._run.recorded else None
        address = self._tracked.address if self._tracked and run_id else None
        return Outcome(self._folder, run_id, address, objective(self._folder, self._config))

    def _file(self, **changes: Any) -> None:
        self._run = dataclasses.replace(self._run, **changes)
        filing.write(self._folder, self._run)

    def _open(self) -> None:
        """Open the run in the store; a sweep whose store went away goes on without."""
        if not self._run.store or (self._outage is not None and self._outage.lasts()):
            return
        try:
            entry = entry_of(self._folder, self._run, self._config)
            store = open_store(self._run.store, self._run.experiment)
            known = store.find(self._run.uid) if self._requeued else None
            self._tracked = (known and store.resume(known.run_id, {})) or open_run(store, entry)
        except InputError as error:
            if self._outage is None:
                self._file(store="")  # it never was to be recorded anywhere
                raise
            self._outage.tell(error)

    def _close(self) -> None:
        """Record the run that has ended."""
        if not self._run.store or (self._outage is not None and self._outage.lasts()):
            return
        try:
            store = open_store(self._run.store, self._run.experiment)
            entry = entry_of(self._folder, self._run, self._config)
            self._run = record_run(store, entry, self._folder, self._run, self._tracked)
        except InputError as error:
            if self._outage is None:
                raise InputError(
                    f"the results are in {self._folder} but could not be recorded in {error}; "
                    f"python -m rsa_exp sync {self._folder} does it when the store is back"
                ) from error
            self._outage.tell(f"a run could not be recorded in {error}")

    def _give_up(self, error: BaseException) -> None:
        """File a failed run; that this fails too must not hide the first failure."""
        known = isinstance(error, InputError)
        killed = isinstance(error, KeyboardInterrupt | SystemExit)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        with suppress(OSError):
            self._file(
                status="killed" if killed else "failed",
                error="interrupted" if killed else reason,
                ended=filing.now(),
            )
            if self._tracked is None:
                return
            try:
                self._close()
            except Exception as second:
                run_id = self._tracked.run_id
                log.warning("run %s could not be marked as failed: %s", run_id, second)

    def _compute(self) -> list[Path]:
        """Score, write, draw; return the files."""
        from rsa_exp.analysis import pipeline
        from rsa_exp.figures import save
        from rsa_exp.runs.provenance import code_diff, provenance, requirements

        config, folder = self._config, self._folder
        diff = code_diff()  # before it is edited while this runs
        result = pipeline.run(config)
        files = _write_tables(folder, result)
        files.append(output.write_json(folder / "alignment.json", result.alignment))
        files.append(output.write_text(folder / "images.txt", "\n".join(result.images) + "\n"))
        _tell(result, config)

        start = time.perf_counter()
        for name, figure in pipeline.draw(result, config.figures.names):
            interrupts.checkpoint()
            files += save(figure, output.prepare_folder(folder / "figures"), name)
        seconds = result.seconds | {"draw": time.perf_counter() - start}
        record = provenance(
            result.inputs, result.files, result.images, self._spec.overrides, config.seed
        )
        record |= {"seconds": seconds, "notices": result.notices, "warnings": result.warnings}
        text = result.text
        record["text"] = {
            "title": text.title, "score_label": text.score_label, "note": text.note
        }  # fmt: skip
        files.append(output.write_text(folder / "requirements.txt", requirements()))
        if diff:
            files.append(output.write_bytes(folder / "code.diff", diff))
        return [*files, output.write_json(folder / "provenance.json", record)]


class _LogFile(logging.FileHandler):
    """Keeps quiet about what it cannot write: a full disk is told by what needs it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Do nothing."""


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Write what is said inside the block to a file too, with time and level."""
    handler = _LogFile(path, encoding="utf-8", delay=True)
    pattern = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(logging.Formatter(pattern))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def _write_tables(folder: Path, result: RunResult) -> list[Path]:
    """Write the tables that the run has, and its draws if they are to be kept."""
    import pandas as pd

    found = result.inference
    null = None if found.null is None else pd.DataFrame({"best_score": found.null})
    tables = {
        "scores": result.scores,
        "subject_scores": result.subject_scores,
        "comparisons": found.comparisons,
        "ceilings": found.ceilings,
        "best_layers": found.best_layers,
        "permutations": null,
    }
    files = [
        output.write_table(folder / f"{name}.csv", table)
        for name, table in tables.items()
        if table is not None
    ]
    if found.draws is not None:
        files.append(output.write_arrays(folder / "draws.npz", found.draws))
    return files


def _tell(result: RunResult, config: Config) -> None:
    """Show the run's notices and scores on the terminal."""
    from rsa_exp.cli.terminal import score_table, summary_of_tests
    from rsa_exp.stats.metrics.registry import METRICS

    for notice in result.notices:
        log.info("note: %s", notice)
    for warning in result.warnings:
        log.warning(warning)
    report = result.alignment
    each = ", ".join(f"{Path(file['file']).name} {file['n_images']}" for file in report["files"])
    log.info("images: %s; %d common, %d used", each, report["n_common"], report["n_used"])
    log.info("\n%s: %s (%s)", result.text.title, result.text.score_label, result.text.note)
    best = result.inference.best_layers
    greater = METRICS[config.metric].greater_is_better
    log.info(score_table(result.scores, best, greater_is_better=greater))
    if summary := summary_of_tests(result.scores):
        log.info(summary)
