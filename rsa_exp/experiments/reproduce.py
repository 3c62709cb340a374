"""Rerun a recorded run, or a sweep, from its record alone and say whether its numbers return."""

from __future__ import annotations

import dataclasses
import logging
import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from rsa_exp import files as output
from rsa_exp.config.schema import Config, SimulatedData
from rsa_exp.errors import InputError, listing
from rsa_exp.experiments.membership import Membership
from rsa_exp.experiments.run import RunSpec, execute, open_store
from rsa_exp.runs import locks, manifest
from rsa_exp.runs.changes import Change, changes
from rsa_exp.runs.comparison import Comparison, Verdict
from rsa_exp.runs.manifest import SweepManifest
from rsa_exp.runs.recorded import Recorded, find, sweep_of
from rsa_exp.runs.relocate import check_inputs, moved
from rsa_exp.runs.validity import changed_inputs
from rsa_exp.stats.condensed import count_pairs
from rsa_exp.tracking.addresses import store_uri

if TYPE_CHECKING:
    from rsa_exp.reports.summary import Summary
    from rsa_exp.tracking.store import Store

__all__ = ["Wishes", "reproduce"]

log = logging.getLogger("rsa_exp")

_EXPERIMENT = "rsa_exp"
# A record's list of images, in the new run's folder.
_IMAGES = "images_of_the_record.txt"
_CHANGED = "; its inputs have changed"
_MOST_SIMULATED = 4e9
# What a run's settings are called here.
_OPTIONS = {
    "set tracking.folder or": "set --store or",
    ", or run with tracking=none": "",
    "; run with tracking=none": "",
    "set output_dir": "set --output-dir",
}


@dataclass(frozen=True)
class Wishes:
    """How a run is to be reproduced.

    Attributes
    ----------
    store_folder : Path
        Folder of the local store, unless ``MLFLOW_TRACKING_URI`` is set.
    output_dir : Path
        Folder under which new runs land.
    data_root : Path or None
        Where the input files are now; None takes them where they were.
    strict : bool
        Whether to refuse when code, packages or machine are not what they were.
    force : bool
        Whether to rerun although the inputs are not what they were, and to simulate more than 4 GB.
    """

    store_folder: Path
    output_dir: Path
    data_root: Path | None = None
    strict: bool = False
    force: bool = False


@dataclass(frozen=True)
class _Rerun:
    """A run to be done again.

    Attributes
    ----------
    record : Recorded
        What it was.
    config : Config
        Its settings, with everything that is written, and moved inputs, here.
    folder : Path
        Where it goes.
    """

    record: Recorded
    config: Config
    folder: Path


def reproduce(run: str, wishes: Wishes) -> int:
    """Rerun a recorded run, or all finished runs of a sweep, and compare every number.

    The new run is recorded in the same store and names the old one in its tag ``reproduces``; the
    old one names the new one, and the verdict, in ``reproduced_by``. A verdict on inputs that have
    changed, which `Wishes.force` asks for, says so.

    Parameters
    ----------
    run : str
        A run's id, an id's unique beginning, its address in the UI, a sweep's, or a folder that
        ``export`` wrote.
    wishes : Wishes
        How.

    Returns
    -------
    int
        0 when all numbers are identical or within the tolerance, 1 when any differs or an input
        has changed and nothing was rerun.

    Raises
    ------
    InputError
        If there is no such run, it has no complete record, its inputs are gone, or `strict`
        forbids it.
    """
    try:
        return _reproduce_all(run, wishes)
    except InputError as error:
        text = str(error)
        for setting, option in _OPTIONS.items():
            text = text.replace(setting, option)
        raise InputError(text) from error


def _reproduce_all(run: str, wishes: Wishes) -> int:
    records = find(run, wishes.store_folder)
    sweep = sweep_of(run, wishes.store_folder)
    for record in records:
        record.check()
    if wishes.strict:
        _refuse_changes(records)
    stamp = datetime.now(UTC).astimezone().strftime("%Y-%m-%d/%H-%M-%S-%f")
    folder = wishes.output_dir.absolute() / "reproduced" / stamp
    places = [folder] if sweep is None else [folder / str(i) for i in range(len(records))]
    reruns = [
        _Rerun(record, _here(record, place, wishes), place)
        for record, place in zip(records, places, strict=True)
    ]
    if not wishes.force:
        _refuse_large(reruns)
    if sweep is None:
        verdict, _ = _reproduce(reruns[0], wishes)
    else:
        verdict = _reproduce_sweep(sweep, reruns, folder, wishes)
    return int(verdict is Verdict.DIFFERENT)


def _reproduce_sweep(
    old: SweepManifest, reruns: list[_Rerun], folder: Path, wishes: Wishes
) -> Verdict:
    """Reproduce the runs of a sweep as a sweep of its own."""
    from rsa_exp.experiments import sync
    from rsa_exp.experiments.report import write_summary

    experiment = reruns[0].config.tracking.experiment
    store = open_store(store_uri(wishes.store_folder), experiment)
    output.claim_folder(folder, "sweep")
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
        new = sync.open_sweep(store, folder, new)
        manifest.write(folder, new)
        found = []
        status = "killed"
        try:
            for rerun in reruns:
                found.append(_reproduce(rerun, wishes, new))
            verdict, said, note = _sum_up(found, old.n_planned)
            print(said)
            status = "finished"
        except InputError:
            status = "failed"
            raise
        finally:
            new = dataclasses.replace(new, status=status, ended=manifest.now())
            manifest.write(folder, new)
            summary, files = write_summary(folder, figures=False)
            _record_sweep(folder, new, store, summary, files)
    _tag(store, old.run_id, new.run_id, said, f"{verdict.value}{note}")
    return verdict


def _sum_up(found: list[tuple[Verdict, bool]], n_planned: int) -> tuple[Verdict, str, str]:
    """Return a sweep's verdict, the line that says it, and what of that limits it."""
    verdicts = [verdict for verdict, _ in found]
    worst = [kind for kind in Verdict if kind in verdicts][-1]
    parts = [f"{verdicts.count(kind)} {kind.value}" for kind in Verdict if kind in verdicts]
    n_changed, n_left = sum(changed for _, changed in found), n_planned - len(found)
    note = f"; the inputs of {n_changed} have changed" if n_changed else ""
    if n_left > 0:
        was = "was" if n_left == 1 else "were"
        note += f"; {n_left} of {n_planned} runs had not finished and {was} not done again"
    return worst, f"{worst.value}: of {len(found)} runs {', '.join(parts)}{note}", note


def _record_sweep(
    folder: Path, sweep: SweepManifest, store: Store, summary: Summary, files: list[Path]
) -> None:
    from rsa_exp.experiments import sync

    try:
        sync.record_sweep(folder, sweep, store, summary, files)
    except InputError as error:
        raise InputError(
            f"the results are in {folder} but could not be recorded in {error}; python -m rsa_exp "
            f"sync {shlex.quote(str(folder))} does it when the store is back"
        ) from error


def _reproduce(
    rerun: _Rerun, wishes: Wishes, sweep: SweepManifest | None = None
) -> tuple[Verdict, bool]:
    """Reproduce one run; say how it went, and whether its inputs have changed."""
    record, config, folder = rerun.record, rerun.config, rerun.folder
    log.info("reproducing %s", record.title)
    if config.images == str(folder / _IMAGES):
        output.write_text(output.prepare_folder(folder) / _IMAGES, record.text("images.txt"))
    before = record.provenance
    changed = changed_inputs(config, before)
    if changed and not wishes.force:
        for change in _environment_changes(before):
            log.warning(change)
        print(
            f"different: not rerun, as the input has changed since: {listing(changed, 4)} (--force "
            "reruns it)"
        )
        return Verdict.DIFFERENT, True
    spec = RunSpec(
        folder,
        f"{record.name} (reproduced)",
        [str(text) for text in before.get("overrides", [])],
        Membership(folder.parent, sweep.uid, sweep.run_id) if sweep else Membership(),
        tags={"reproduces": record.run_id or record.name},
    )
    try:
        outcome = execute(config, spec)
    except InputError:
        run = manifest.read_run(folder)
        if run is not None and run.status == "finished":  # and is not recorded
            _say(rerun, changed, None)
        raise
    comparison = _say(rerun, changed, outcome.address)
    if outcome.run_id:
        store = open_store(store_uri(wishes.store_folder), config.tracking.experiment)
        note = _CHANGED if changed else ""
        verdict = f"{comparison.verdict.value}{note}"
        _tag(store, record.run_id, outcome.run_id, f"{comparison}{note}", verdict)
    return comparison.verdict, bool(changed)


def _say(rerun: _Rerun, changed: list[str], address: str | None) -> Comparison:
    """Compare the scores of a rerun, and say what came out where; the verdict last."""
    comparison = Comparison(rerun.record.scores, output.read_scores(rerun.folder / "scores.csv"))
    log.info("")
    if changed:
        log.warning("the input has changed since: %s", listing(changed, 4))
    for change in _environment_changes(rerun.record.provenance):
        log.warning(change)
    log.info("results: %s", rerun.folder)
    if address:
        log.info(address)
    print(f"{comparison}{_CHANGED if changed else ''}")
    return comparison


def _here(record: Recorded, folder: Path, wishes: Wishes) -> Config:
    """Return a record's settings with everything that is written, and moved inputs, here."""
    config = dataclasses.replace(record.config)
    config.output_dir = str(wishes.output_dir.absolute())
    config.tracking = dataclasses.replace(
        config.tracking,
        enabled=True,
        server=False,
        folder=str(wishes.store_folder.absolute()),
        experiment=record.experiment or _EXPERIMENT,
    )
    is_moved = False
    if isinstance(config.data, SimulatedData):  # it is written, so never where a record says
        root = str(wishes.output_dir.absolute() / "simulated")
        config.data = dataclasses.replace(config.data, root=root)
    elif wishes.data_root is not None:
        config, is_moved = moved(config, wishes.data_root), True
    if config.images not in {"all", *config.data.sources}:  # a list, which may have changed since
        record.text("images.txt")
        config.images = str(folder / _IMAGES)
    check_inputs(config, record, is_moved=is_moved)
    return config


def _refuse_large(reruns: list[_Rerun]) -> None:
    """Refuse to write simulated studies that are larger than what one would expect."""
    from rsa_exp.datasets.simulated import LAYERS, ROIS, SUBJECTS

    datas = [rerun.config.data for rerun in reruns]
    sizes = {(data.n_images, data.seed) for data in datas if isinstance(data, SimulatedData)}
    n_rdms = len(LAYERS) + len(SUBJECTS) * len(ROIS)
    n_bytes = sum(8 * n_rdms * count_pairs(n) for n, _ in sizes)
    if n_bytes > _MOST_SIMULATED:
        raise InputError(
            f"the record of {reruns[0].record.title} asks for {n_bytes / 1e9:.0f} GB of simulated "
            f"files in {datas[0].root}; --force writes them"
        )


def _environment_changes(before: dict[str, object]) -> list[Change]:
    """Say what is not now as it was: code, packages, machine."""
    from rsa_exp.runs.provenance import environment

    kept = {key: before[key] for key in ("inputs", "images_digest") if key in before}
    return changes(before, environment() | kept)


def _refuse_changes(records: list[Recorded]) -> None:
    for record in records:
        found = _environment_changes(record.provenance)
        if found:
            raise InputError(
                f"--strict: {record.title} was not made with what is here: "
                f"{'; '.join(map(str, found[:6]))}"
            )


def _tag(store: Store, old: str, new: str, said: str, verdict: str) -> None:
    """Give a rerun its verdict, and the original, if this store has it, what its reruns gave."""
    from rsa_exp.tracking.client import FAILURES, reason
    from rsa_exp.tracking.tracked import TrackedRun

    try:
        TrackedRun(store, new).log(tags={"verdict": said[-5000:]})
        if old and store.has(old):
            before = store.client.get_run(old).data.tags.get("reproduced_by", "")
            links = "; ".join(filter(None, [before, f"{new} ({verdict})"]))
            TrackedRun(store, old).log(tags={"reproduced_by": links[-5000:]})
    except (InputError, *FAILURES) as error:
        log.warning("the verdict could not be recorded in %s: %s", store.uri, reason(error))
