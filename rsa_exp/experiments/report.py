"""A sweep's summary on disk: read its runs, write its tables, figures and report."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
from tqdm import tqdm

from rsa_exp import files as output
from rsa_exp import interrupts
from rsa_exp.config.plain_yaml import load_plain_yaml
from rsa_exp.config.schema import DEFAULTS
from rsa_exp.errors import InputError
from rsa_exp.reports.record import Picture, SweepRecord, SweepRun
from rsa_exp.reports.summary import Summary, summarise
from rsa_exp.runs import locks, manifest

if TYPE_CHECKING:
    from rsa_exp.tracking.reading import RunRecord
    from rsa_exp.tracking.store import Store

__all__ = ["collect", "report", "summary_files", "write_summary"]

log = logging.getLogger("rsa_exp")

_TABLES = ("scores", "group", "runs", "agreement")
# What a run's part of the summary is made from.
_PARTS = (
    "config.yaml", "scores.csv", "subject_scores.csv", "permutations.csv", "alignment.json",
    "provenance.json",
)  # fmt: skip

_Plain = TypeVar("_Plain", list[Any], dict[str, Any])
_Reader = Callable[[str], str | None]


def write_summary(
    folder: Path, record: SweepRecord | None = None, *, figures: bool
) -> tuple[Summary, list[Path]]:
    """Sum a sweep up: its tables, its figures and ``report.html``.

    Parameters
    ----------
    folder : Path
        The sweep's, where all is written.
    record : SweepRecord or None
        Its runs; None reads them there.
    figures : bool
        Whether figures are drawn; without, those of an earlier summary are deleted.

    Returns
    -------
    summary : Summary
        What was written.
    files : list of Path
        Where.
    """
    from rsa_exp.figures import save

    summary = summarise(record or collect(folder))
    tables = {name: getattr(summary, name) for name in _TABLES}
    files = [
        output.write_table(folder / f"{name}.csv", table)
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
        saved = save(figure, output.prepare_folder(folder / "figures"), name)
        pictures.append(Picture(name, saved[0]))
        files += saved
    files.append(output.write_text(folder / "report.html", summary.report(pictures)))
    return summary, files


def summary_files(folder: Path) -> list[Path]:
    """Return what there is of a sweep's summary in its folder."""
    names = [*(f"{name}.csv" for name in _TABLES), "report.html"]
    return [
        *(folder / name for name in names if (folder / name).is_file()),
        *sorted((folder / "figures").glob("*.*")),
    ]


def report(sweep: str, store_folder: Path, output_dir: Path) -> int:
    """Write a sweep's summary anew: from its folder, or from the store alone.

    Parameters
    ----------
    sweep : str
        The sweep's folder, or the id, or its unique beginning, of its run in the store.
    store_folder : Path
        Folder of the local store, unless ``MLFLOW_TRACKING_URI`` is set.
    output_dir : Path
        Where the summary of a sweep from the store lands, in a folder of its own.

    Returns
    -------
    int
        0.

    Raises
    ------
    InputError
        If there is no such sweep, or it has no runs.
    """
    place = Path(sweep)
    if place.is_dir():
        if manifest.read_sweep(place) is None:
            raise InputError(
                f"{place} is not the folder of a sweep: no {manifest.SWEEP_FILE} in it"
            )
        locks.mark_dead_as_killed(place)
        _, files = write_summary(place.absolute(), figures=True)
    else:
        from rsa_exp.tracking.store import existing_store
        from rsa_exp.tracking.tracked import TrackedRun

        store = existing_store(store_folder)
        record = _fetch(store, sweep)
        run_id = str(record.run_id)
        place = output.prepare_folder(output_dir.absolute() / "reports" / run_id[:12])
        _, files = write_summary(place, record, figures=True)
        TrackedRun(store, run_id).log(files=files)
    print(place / "report.html")
    return 0


def collect(folder: Path) -> SweepRecord:
    """Read what a sweep's folder has of its runs.

    Raises
    ------
    InputError
        If it is not the folder of a sweep.
    """
    sweep = manifest.read_sweep(folder)
    if sweep is None:
        raise InputError(f"{folder} is not the folder of a sweep: no {manifest.SWEEP_FILE} in it")
    runs = [
        _sweep_run(
            run.name, number, run.status, run.error, run.overrides, run.choices, sweep.keys,
            str(place), run.run_id, _reader(place),
        )
        for number, (place, run) in enumerate(manifest.find_runs(folder, sweep.uid))
    ]  # fmt: skip
    return SweepRecord(
        sweep.name, sweep.command, sweep.started, sweep.run_id or None, tuple(sweep.keys),
        tuple(runs), sweep.n_planned,
    )  # fmt: skip


def _reader(folder: Path) -> _Reader:
    def read(name: str) -> str | None:
        path = folder / name
        return path.read_text(encoding="utf-8") if path.is_file() else None

    return read


def _fetch(store: Store, sweep: str) -> SweepRecord:
    """Read a sweep's runs from the store alone."""
    from rsa_exp.tracking.reading import children, read

    parent = read(store, sweep, ("runs.csv",))
    if parent.tags.get("sweep") != "true":
        raise InputError(
            f"run {parent.run_id} is not a sweep; name the run that its runs are children of"
        )
    keys = tuple(filter(None, parent.tags.get("swept", "").split(", ")))
    found = [run for run in children(store, parent, _PARTS) if run.tags.get("superseded") != "true"]
    runs = [_from_store(run, number, keys) for number, run in enumerate(found)]
    runs += _never_recorded(parent.files.get("runs.csv", ""), runs, keys)
    if not runs:
        raise InputError(f"sweep {parent.run_id} has no runs in {store.uri}")
    planned = parent.tags.get("n_planned", "")
    return SweepRecord(
        parent.name, parent.tags.get("command", ""), parent.begun, parent.run_id, keys,
        tuple(runs), int(planned) if planned.isdecimal() else 0,
    )  # fmt: skip


def _from_store(run: RunRecord, number: int, keys: tuple[str, ...]) -> SweepRun:
    overrides = [str(text) for text in _tag(run, "overrides", list)]
    choices = {group: str(name) for group, name in _tag(run, "choices", dict).items()}
    return _sweep_run(
        run.name, number, run.status.lower(), run.tags.get("error", ""), overrides, choices,
        keys, run.tags.get("folder", ""), run.run_id, run.files.get,
    )  # fmt: skip


def _tag(run: RunRecord, name: str, kind: type[_Plain]) -> _Plain:
    """Return what a tag says in JSON; nothing where it is missing or damaged."""
    try:
        value = json.loads(run.tags.get(name, ""))
    except (ValueError, RecursionError):
        return kind()
    return value if isinstance(value, kind) else kind()


def _never_recorded(text: str, known: Sequence[SweepRun], keys: Sequence[str]) -> list[SweepRun]:
    """Find the runs that failed before the store had them: the sweep's own table has them."""
    try:
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        failed = (table["status"] == "failed") & (table["run_id"] == "")
        lost = table[failed & ~table["folder"].isin([run.folder for run in known])]
        return [
            SweepRun(
                row["name"], len(known) + place, row["status"], row["error"] or None,
                {key: row[key] for key in keys}, row["folder"], *(None,) * 7,
            )
            for place, row in enumerate(lost.to_dict("records"))
        ]  # fmt: skip
    except (ValueError, KeyError):  # there is none, or it is damaged
        return []


def _settings(
    overrides: Sequence[str],
    choices: Mapping[str, str],
    keys: Sequence[str],
    config: Mapping[str, Any],
) -> dict[str, str]:
    """Return what was swept, and its value in a run: as typed, else as it was chosen or by default.

    A run that a sweep had before a key was added to it has no override of that key.
    """
    pairs = (text.lstrip("+").partition("=") for text in overrides)
    given = dict(choices) | {key: value.strip("'\"") for key, _, value in pairs}
    found = {}
    for key in keys:
        value: Any = config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        plain = DEFAULTS.get(key) if value is None or isinstance(value, Mapping) else str(value)
        if (setting := given.get(key, plain)) is not None:
            found[key] = setting
    return found


def _sweep_run(
    name: str,
    number: int,
    status: str,
    error: str,
    overrides: Sequence[str],
    choices: Mapping[str, str],
    keys: Sequence[str],
    folder: str,
    run_id: str,
    read: _Reader,
) -> SweepRun:
    """Put a run together from its files, which may have been damaged since."""
    config: dict[str, Any] = {}
    try:
        config = load_plain_yaml(read("config.yaml") or "{}")
        if status != "finished":
            parts: tuple[Any, ...] = (None,) * 5
        else:
            parts = (
                _table(read("scores.csv")), _table(read("subject_scores.csv")),
                _null(read("permutations.csv")), _plain(json.loads(read("alignment.json") or "")),
                _plain(json.loads(read("provenance.json") or "")),
            )  # fmt: skip
            if parts[0] is None:
                raise ValueError("no scores")
    except (ValueError, KeyError, RecursionError, InputError):
        status, error = "failed", f"files of it are gone or damaged ({folder})"
        parts = (None,) * 5
    return SweepRun(
        name, number, status, error or None, _settings(overrides, choices, keys, config), folder,
        run_id or None, config or None, *parts,
    )  # fmt: skip


def _plain(values: object) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError("not a table of settings")  # noqa: TRY004 - as for a damaged file
    return values


def _table(text: str | None) -> pd.DataFrame | None:
    return None if text is None else output.read_scores(io.StringIO(text))


def _null(text: str | None) -> Any:
    if text is None:
        return None
    return pd.read_csv(io.StringIO(text))["best_score"].to_numpy(dtype=float)
