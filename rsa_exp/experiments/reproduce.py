"""Rerunning a recorded run or a sweep from its record alone, and comparing every number."""

from __future__ import annotations

import dataclasses
import logging
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from rsa_exp import files
from rsa_exp.errors import InputError, listing
from rsa_exp.experiments import rerun as checks
from rsa_exp.experiments.lookup import find, finished_runs
from rsa_exp.experiments.membership import Membership
from rsa_exp.experiments.recording import open_store
from rsa_exp.experiments.report import write_summary
from rsa_exp.experiments.rerun import IMAGES_FILE, ReproduceOptions, Rerun
from rsa_exp.experiments.run import RunSpec, execute
from rsa_exp.runs import locks, manifest
from rsa_exp.runs.comparison import Comparison, Verdict
from rsa_exp.runs.manifest import SweepManifest
from rsa_exp.runs.recorded_sweep import RecordedSweep
from rsa_exp.runs.validity import changed_inputs
from rsa_exp.tracking import upload
from rsa_exp.tracking.addresses import store_uri
from rsa_exp.tracking.outage import not_uploaded

if TYPE_CHECKING:
    from rsa_exp.tracking.store import Store

__all__ = ["ReproduceOptions", "reproduce"]

log = logging.getLogger("rsa_exp")

_CHANGED = "; its inputs have changed"
# The options of this command for settings that messages name.
_OPTION_NAMES = {
    "set tracking.folder or": "set --store or",
    ", or run with tracking=none": "",
    "; run with tracking=none": "",
    "set output_dir": "set --output-dir",
}


def reproduce(name: str, options: ReproduceOptions) -> int:
    """Rerun a recorded run, or all finished runs of a sweep, and compare every number.

    The new run is tracked in the same store and names the old one in its tag ``reproduces``; the
    old one names the new one, and the verdict, in ``reproduced_by``. A verdict on inputs that have
    changed, which `ReproduceOptions.force` asks for, reports that.

    Returns
    -------
    int
        0 when all numbers are identical or within the tolerance, 1 when any differs or an input
        has changed and nothing was rerun.

    Raises
    ------
    InputError
        If there is no such run, its record is not complete, its inputs are missing, or `strict`
        forbids it.
    """
    try:
        return _reproduce_all(name, options)
    except InputError as error:
        message = str(error)
        for setting, option in _OPTION_NAMES.items():
            message = message.replace(setting, option)
        raise InputError(message) from error


def _reproduce_all(name: str, options: ReproduceOptions) -> int:
    found = find(name, options.store_folder)
    runs = finished_runs(found)
    for run in runs:
        run.check_contents()
    if options.strict:
        checks.refuse_changed_environment(runs)
    stamp = datetime.now(UTC).astimezone().strftime("%Y-%m-%d/%H-%M-%S-%f")
    folder = options.output_dir.absolute() / "reproduced" / stamp
    is_sweep = isinstance(found, RecordedSweep)
    folders = [folder / str(i) for i in range(len(runs))] if is_sweep else [folder]
    reruns = [
        checks.prepare(run, run_folder, options)
        for run, run_folder in zip(runs, folders, strict=True)
    ]
    if not options.force:
        checks.refuse_large_simulations(reruns)
    if isinstance(found, RecordedSweep):
        verdict = _reproduce_sweep(found.manifest, reruns, folder, options)
    else:
        verdict, _ = _reproduce_run(reruns[0], options)
    return int(verdict is Verdict.DIFFERENT)


def _reproduce_sweep(
    old: SweepManifest, reruns: list[Rerun], folder: Path, options: ReproduceOptions
) -> Verdict:
    """Reproduce the runs of a sweep as a sweep of its own."""
    experiment = reruns[0].config.tracking.experiment
    store = open_store(store_uri(options.store_folder), experiment)
    files.claim_folder(folder, "sweep")
    with locks.locked(folder, "sweep"):
        new = SweepManifest(
            uid=uuid4().hex,
            name=f"{old.name} (reproduced)",
            reproduces=old.run_id or old.name,
            n_planned=len(reruns),
            status="running",
            started=manifest.now(),
            keys=old.keys,
            command=shlex.join(["python", "-m", "rsa_exp", *sys.argv[1:]]),
            started_in=str(Path.cwd()),
            store=store.uri,
            experiment=experiment,
        )
        new = upload.open_sweep(store, folder, new)
        manifest.write(folder, new)
        found = []
        status = "killed"
        try:
            for rerun in reruns:
                found.append(_reproduce_run(rerun, options, new))
            verdict, line, limits = _summarise_verdicts(found, old.n_planned)
            print(line)
            status = "finished"
        except InputError:
            status = "failed"
            raise
        finally:
            new = dataclasses.replace(new, status=status, ended=manifest.now())
            manifest.write(folder, new)
            _summarise_and_upload(store, folder, new)
    _tag_verdict(store, old.run_id, new.run_id, line, f"{verdict.value}{limits}")
    return verdict


def _summarise_verdicts(
    found: list[tuple[Verdict, bool]], n_planned: int
) -> tuple[Verdict, str, str]:
    """Return a sweep's verdict, the line that reports it, and the part of it that limits it."""
    verdicts = [verdict for verdict, _ in found]
    worst = [kind for kind in Verdict if kind in verdicts][-1]
    parts = [f"{verdicts.count(kind)} {kind.value}" for kind in Verdict if kind in verdicts]
    n_changed, n_left = sum(changed for _, changed in found), n_planned - len(found)
    limits = f"; the inputs of {n_changed} have changed" if n_changed else ""
    if n_left > 0:
        was = "was" if n_left == 1 else "were"
        limits += f"; {n_left} of {n_planned} runs had not finished and {was} not run again"
    return worst, f"{worst.value}: of {len(found)} runs {', '.join(parts)}{limits}", limits


def _summarise_and_upload(store: Store, folder: Path, sweep: SweepManifest) -> None:
    summary, written = write_summary(folder, figures=False)
    try:
        metrics = summary.metrics()
        upload.upload_sweep(store, folder, sweep, metrics, summary.headline, written)
    except InputError as error:
        raise not_uploaded(folder, error) from error


def _reproduce_run(
    rerun: Rerun, options: ReproduceOptions, sweep: SweepManifest | None = None
) -> tuple[Verdict, bool]:
    """Reproduce one run; return the verdict, and whether its inputs have changed."""
    recorded, config, folder = rerun.recorded, rerun.config, rerun.folder
    log.info("reproducing %s", recorded.title)
    if config.images == str(folder / IMAGES_FILE):
        files.write_text(files.prepare_folder(folder) / IMAGES_FILE, recorded.text("images.txt"))
    before = recorded.provenance
    changed = changed_inputs(config, before)
    if changed and not options.force:
        for change in checks.environment_changes(before):
            log.warning(change)
        print(
            f"different: not rerun, as the input has changed since: {listing(changed, 4)} (--force "
            "reruns it)"
        )
        return Verdict.DIFFERENT, True
    spec = RunSpec(
        folder,
        f"{recorded.name} (reproduced)",
        [str(text) for text in before.get("overrides", [])],
        Membership(folder.parent, sweep.uid, sweep.run_id) if sweep else Membership(),
        tags={"reproduces": recorded.run_id or recorded.name},
    )
    try:
        outcome = execute(config, spec)
    except InputError:
        run = manifest.read_run(folder)
        if run is not None and run.status == "finished":  # but could not be uploaded
            _report_comparison(rerun, changed, None)
        raise
    comparison = _report_comparison(rerun, changed, outcome.address)
    if outcome.run_id:
        store = open_store(store_uri(options.store_folder), config.tracking.experiment)
        limits = _CHANGED if changed else ""
        verdict = f"{comparison.verdict.value}{limits}"
        _tag_verdict(store, recorded.run_id, outcome.run_id, f"{comparison}{limits}", verdict)
    return comparison.verdict, bool(changed)


def _report_comparison(rerun: Rerun, changed: list[str], address: str | None) -> Comparison:
    """Compare the scores of a rerun with the recorded ones and print the verdict, which is last."""
    comparison = Comparison(rerun.recorded.scores, files.read_scores(rerun.folder / "scores.csv"))
    log.info("")
    if changed:
        log.warning("the input has changed since: %s", listing(changed, 4))
    for change in checks.environment_changes(rerun.recorded.provenance):
        log.warning(change)
    log.info("results: %s", rerun.folder)
    if address:
        log.info(address)
    print(f"{comparison}{_CHANGED if changed else ''}")
    return comparison


def _tag_verdict(store: Store, old: str, new: str, line: str, verdict: str) -> None:
    """Tag a rerun with its verdict, and the original, if this store has it, with its reruns'."""
    from rsa_exp.tracking.client import FAILURES, reason
    from rsa_exp.tracking.tracked import TrackedRun

    try:
        TrackedRun(store, new).log(tags={"verdict": line[-5000:]})
        if old and store.has(old):
            before = store.client.get_run(old).data.tags.get("reproduced_by", "")
            links = "; ".join(filter(None, [before, f"{new} ({verdict})"]))
            TrackedRun(store, old).log(tags={"reproduced_by": links[-5000:]})
    except (InputError, *FAILURES) as error:
        log.warning("the verdict could not be uploaded to %s: %s", store.uri, reason(error))
