"""Rerun a recorded run, or a sweep, from its record alone and say whether its numbers return."""

from __future__ import annotations

import dataclasses
import logging
import shlex
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING
from uuid import uuid4

from rsa_exp import filing, output
from rsa_exp.changes import Change, changes
from rsa_exp.comparison import Comparison, Verdict
from rsa_exp.errors import InputError, listing
from rsa_exp.filing import SweepFiling
from rsa_exp.identity import changed_inputs
from rsa_exp.job import JobSpec, execute, open_store
from rsa_exp.recorded import Recorded, find, sweep_of
from rsa_exp.schema import Config, FilesData, SimulatedData
from rsa_exp.store_names import store_uri
from rsa_exp.terminal import ConsoleHandler

if TYPE_CHECKING:
    from rsa_exp.tracking import Store

__all__ = ["Wishes", "reproduce"]

log = logging.getLogger("rsa_exp")

_EXPERIMENT = "rsa_exp"


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
        Whether to rerun although the inputs are not what they were.
    """

    store_folder: Path
    output_dir: Path
    data_root: Path | None = None
    strict: bool = False
    force: bool = False


def reproduce(run: str, wishes: Wishes) -> int:
    """Rerun a recorded run, or all finished runs of a sweep, and compare every number.

    The new run is recorded in the same store and names the old one in its tag ``reproduces``; the
    old one names the new one, and the verdict, in ``reproduced_by``.

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
        has changed.

    Raises
    ------
    InputError
        If there is no such run, it has no complete record, its inputs are gone, or `strict`
        forbids it.
    """
    logging.basicConfig(level=logging.WARNING, handlers=[ConsoleHandler()], format="%(message)s")
    log.setLevel(logging.INFO)
    records = find(run, wishes.store_folder)
    sweep = sweep_of(run, wishes.store_folder)
    if wishes.strict:
        _refuse_changes(records)
    stamp = datetime.now(UTC).astimezone().strftime("%Y-%m-%d/%H-%M-%S-%f")
    folder = wishes.output_dir.absolute() / "reproduced" / stamp
    if sweep is None:
        verdict = _reproduce(records[0], folder, wishes)
        return int(verdict is Verdict.DIFFERENT)
    return _reproduce_sweep(sweep, records, folder, wishes)


def _reproduce_sweep(
    old: SweepFiling, records: list[Recorded], folder: Path, wishes: Wishes
) -> int:
    """Reproduce the runs of a sweep as a sweep of its own."""
    from rsa_exp import sync
    from rsa_exp.report import write_summary

    experiment = records[0].experiment or _EXPERIMENT
    store = open_store(store_uri(wishes.store_folder), experiment)
    output.claim_folder(folder, "sweep")
    with filing.occupied(folder, "sweep"):
        new = SweepFiling(
            mark=uuid4().hex,
            name=f"{old.name} (reproduced)",
            reproduces=old.run_id or old.name,
            n_planned=len(records),
            status="running",
            begun=filing.now(),
            keys=old.keys,
            command=shlex.join(["python", "-m", "rsa_exp", *sys.argv[1:]]),
            started_in=str(Path.cwd()),
            store=store.uri,
            experiment=experiment,
        )
        new = sync.open_sweep(store, folder, new)
        filing.write(folder, new)
        verdicts: Counter[Verdict] = Counter()
        status = "killed"
        try:
            for number, record in enumerate(records):
                verdicts[_reproduce(record, folder / str(number), wishes, new)] += 1
            status = "finished"
        finally:
            new = dataclasses.replace(new, status=status, ended=filing.now())
            filing.write(folder, new)
            summary, files = write_summary(folder, figures=False)
            sync.record_sweep(folder, new, store, summary, files)
    _link(store, old.run_id, new.run_id, _worst(verdicts).value)
    parts = [f"{verdicts[kind]} {kind.value}" for kind in Verdict if verdicts[kind]]
    print(f"{_worst(verdicts).value}: of {len(records)} runs {', '.join(parts)}")
    return int(verdicts[Verdict.DIFFERENT] > 0)


def _worst(verdicts: Counter[Verdict]) -> Verdict:
    return [kind for kind in Verdict if verdicts[kind]][-1]


def _reproduce(
    record: Recorded, folder: Path, wishes: Wishes, sweep: SweepFiling | None = None
) -> Verdict:
    """Reproduce one run and say how it went."""
    log.info("reproducing %s", record.title)
    config = _here(record, folder, wishes)
    _check_paths(config, record, wishes)
    changed = changed_inputs(config, record.provenance)
    before = record.provenance
    if changed and not wishes.force:
        for change in _environment_changes(before):
            log.warning(change)
        print(
            f"different: not rerun, as the input has changed since: {listing(changed, 4)} (--force "
            "reruns it)"
        )
        return Verdict.DIFFERENT
    spec = JobSpec(
        folder,
        f"{record.name} (reproduced)",
        [str(text) for text in before.get("overrides", [])],
        parent=sweep.run_id if sweep else None,
        sweep=sweep.mark if sweep else None,
        sweep_folder=folder.parent if sweep else None,
        tags={"reproduces": record.run_id or record.name},
    )
    outcome = execute(config, spec)
    comparison = Comparison(record.scores, output.read_scores(folder / "scores.csv"))
    log.info("")
    if changed:
        log.warning("the input has changed since: %s", listing(changed, 4))
    for change in _environment_changes(before):
        log.warning(change)
    log.info("results: %s", folder)
    if outcome.address:
        log.info(outcome.address)
    if outcome.run_id:
        store = open_store(store_uri(wishes.store_folder), config.tracking.experiment)
        _link(store, record.run_id, outcome.run_id, comparison.verdict.value)
        _tag(store, outcome.run_id, "verdict", str(comparison))
    print(comparison)
    return comparison.verdict


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
    data = config.data = dataclasses.replace(config.data)
    if isinstance(data, SimulatedData):  # it is written, so never where a record says
        data.root = str(wishes.output_dir.absolute() / "simulated")
    elif wishes.data_root is not None:
        root = wishes.data_root.absolute()
        if isinstance(data, FilesData):
            data.brain = str(root / _tail(data.brain, data.root))
            data.model = str(root / _tail(data.model, data.root))
        data.root = str(root)
    if config.images not in {"all", *data.sources}:  # a list, which may have changed since
        listed = output.prepare_folder(folder) / "images_of_the_record.txt"
        config.images = str(output.write_text(listed, record.files.get("images.txt", "")))
    return config


def _tail(pattern: str, root: str) -> PurePath:
    """Return the part of a file's name that stays when its folder is moved."""
    path = PurePath(pattern)
    if path.is_relative_to(root):
        return path.relative_to(root)
    parts = path.parts[-1:]
    while "{subject}" in pattern and not any("{subject}" in part for part in parts):
        parts = path.parts[-len(parts) - 1 :]
    return PurePath(*parts)


def _check_paths(config: Config, record: Recorded, wishes: Wishes) -> None:
    """Refuse settings that read what the record does not say was read, and files that are gone.

    Raises
    ------
    InputError
        With the file.
    """
    if isinstance(config.data, SimulatedData):
        return
    from rsa_exp import pipeline

    before = record.provenance
    states = before.get("files")
    known = {item["path"] for item in before["inputs"]}
    if isinstance(states, list):
        known |= {str(s.get("path")) for s in states if isinstance(s, dict)}
    names = {PurePath(path).name for path in known}
    for path in pipeline.input_files(config):
        if str(path) == config.images:  # written from the record
            continue
        moved = wishes.data_root is not None
        if (path.name not in names) if moved else (str(path.absolute()) not in known):
            raise InputError(
                f"the settings of {record.title} read {path}, which is not among the files that "
                "its record names: nothing is read"
            )
        if not path.is_file():
            raise InputError(
                f"{path} is gone; name the folder that the input files are in now: "
                "--data-root FOLDER"
            )


def _environment_changes(before: dict[str, object]) -> list[Change]:
    """Say what is not now as it was: code, packages, machine."""
    from rsa_exp.provenance import environment

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


def _link(store: Store, old: str, new: str, verdict: str) -> None:
    """Add a rerun to what the original says of its reruns, if this store has it."""
    if not old or not store.has(old):
        return
    before = store.client.get_run(old).data.tags.get("reproduced_by", "")
    _tag(store, old, "reproduced_by", "; ".join(filter(None, [before, f"{new} ({verdict})"])))


def _tag(store: Store, run_id: str, key: str, value: str) -> None:
    store.client.set_tag(run_id, key, value[-5000:])
