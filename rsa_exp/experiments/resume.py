"""Going on with a sweep: which of its runs are finished and still hold."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from rsa_exp.config.schema import Config, known_keys
from rsa_exp.errors import InputError
from rsa_exp.runs import manifest as filing
from rsa_exp.runs.identity import code_id, config_id, same_inputs
from rsa_exp.runs.manifest import SUPERSEDED, Run, SweepFiling
from rsa_exp.runs.record_check import is_complete

if TYPE_CHECKING:
    from rsa_exp.experiments.membership import Membership

__all__ = ["changed_keys", "clear", "earlier", "go_on", "place"]

_KEY = "resume="
_TAKEN = ".taken"
# Settings that a sweep can change without being another; of files, their content tells.
_ASIDE = re.compile(r"(output_dir|figures|tracking)($|\.)|data\.(root|brain|model)$|model\.file$")
# Settings that tables such as data.rois have entries for.
_OPEN = re.compile(r"data\.(rois|sources)\.")


def go_on(arguments: list[str]) -> tuple[list[str], Path | None]:
    """Turn ``resume=last`` or ``resume=FOLDER`` into the sweep's own settings and folder.

    Parameters
    ----------
    arguments : list of str
        Flags, then overrides. What is given besides is changed in the sweep: ``subject=1,2,group``
        adds the runs that it has not.

    Returns
    -------
    arguments : list of str
        Without ``resume=``, with the sweep's recorded settings before those that were given.
    folder : Path or None
        The sweep's; None when nothing is to be resumed.

    Raises
    ------
    InputError
        If there is no such sweep, or its record asks for more than settings.
    """
    asked = [text.removeprefix(_KEY) for text in arguments if text.startswith(_KEY)]
    if not asked:
        return arguments, None
    rest = [text for text in arguments if not text.startswith(_KEY)]
    outputs = [text.removeprefix("output_dir=") for text in rest if text.startswith("output_dir=")]
    folder = _folder(asked[-1].strip("'\""), Path((outputs or ["outputs"])[-1].strip("'\"")))
    sweep = filing.read_sweep(folder)
    if sweep is None:
        raise InputError(
            f"{folder} is not the folder of a sweep: it has no {filing.SWEEP_FILE}; name one, or "
            "resume=last"
        )
    if sweep.reproduces:
        raise InputError(
            f"{folder} is a reproduction of {sweep.reproduces}; reproduce that again instead"
        )
    recorded = _settings(folder, sweep)
    if sweep.started_in != str(Path.cwd()) and Path(sweep.started_in).is_dir():
        print(f"note: going on in {sweep.started_in}, where the sweep was started")
        os.chdir(sweep.started_in)
    flags = [text for text in rest if text.startswith("-")]
    given = [text for text in rest if not text.startswith("-")]
    if not {"-m", "--multirun"}.intersection(flags):
        flags.append("--multirun")
    escaped = str(folder).replace("'", "\\'")
    return [*flags, *recorded, *given, f"hydra.sweep.dir='{escaped}'"], folder


def _folder(named: str, outputs: Path) -> Path:
    if named != "last":
        return Path(named).expanduser().resolve()
    found = filing.sweeps_below(outputs)
    sweeps = [(sweep.begun, place_) for place_, sweep in found if not sweep.reproduces]
    if not sweeps:
        raise InputError(
            f"there is no sweep under {outputs.absolute()}; name its folder: resume=FOLDER"
        )
    return max(sweeps)[1].absolute()


def _settings(folder: Path, sweep: SweepFiling) -> list[str]:
    """Return a sweep's recorded settings, which are data: keys of the schema, plain values."""
    known = {*known_keys(), "experiment"}
    for text in sweep.overrides:
        key, equals, value = text.partition("=")
        plain = key.lstrip("+")
        if not equals or "${" in value or not (plain in known or _OPEN.match(plain)):
            raise InputError(
                f"{folder / filing.SWEEP_FILE} has '{text[:80]}', which is no setting of rsa_exp; "
                "type the sweep's settings again beside resume=, or start it anew"
            )
    return list(sweep.overrides)


def changed_keys(before: list[str], now: list[str]) -> list[str]:
    """Keys of settings that numbers depend on and that are not what a sweep was begun with."""
    old, new = (
        dict(text.lstrip("+").split("=", 1) for text in texts if "=" in text)
        for texts in (before, now)
    )
    return [key for key in new if old.get(key) != new[key] and not _ASIDE.match(key)]


def earlier(sweep: Membership, config: Config, overrides: list[str]) -> Path | None:
    """Look for a run of a sweep that is finished and still holds.

    It holds when its settings, its inputs and the code are what they were. Runs of the same
    settings that do not hold are moved to ``superseded/``.

    Parameters
    ----------
    sweep : Membership
        Which was resumed.
    config : Config
        What is to be run.
    overrides : list of str
        Its own overrides: runs over other files have the same identity until these are read.

    Returns
    -------
    Path or None
        The run's folder; None if it is to be done.

    Raises
    ------
    InputError
        If such a run is under way, or an input cannot be used any more.
    """
    if sweep.folder is None or sweep.mark is None or sweep.resumed is None:
        return None
    kept = None
    mine = _beside(overrides, sweep.keys)
    for place_, run in _index(sweep.folder, sweep.mark, sweep.resumed).get(config_id(config), []):
        if _beside(run.overrides, sweep.keys) != mine:
            continue
        if filing.in_use(place_):
            raise InputError(f"another process is at work on the run in {place_}; wait for it")
        if kept is None and run.status == "finished" and _holds(place_, run, config):
            kept = place_
        else:
            _supersede(sweep.folder, place_, run)
    return kept


def clear(folder: Path, mark: str) -> None:
    """Move what did not finish to ``superseded/``: it is done again, if it is still asked for."""
    for place_, run in filing.runs_below(folder, mark):
        if run.status != "finished" and not filing.in_use(place_):
            _supersede(folder, place_, run)


def _beside(overrides: list[str], keys: tuple[str, ...]) -> dict[str, str]:
    """Return what a run was told besides its identity, where the sweep goes over several.

    No identity has paths in it, and `images` may be one.
    """
    given = dict(text.lstrip("+").split("=", 1) for text in overrides if "=" in text)
    return {key: given.get(key, "") for key in keys if key == "images" or _ASIDE.match(key)}


def place(wanted: Path) -> Path:
    """Return a run's folder, or one beside it if that holds a run already, or is kept for one."""
    if not any((wanted / name).exists() for name in (filing.RUN_FILE, "scores.csv", _TAKEN)):
        return wanted
    number = max(
        (int(path.name) for path in wanted.parent.iterdir() if path.name.isdigit()), default=-1
    )
    while True:
        number += 1
        beside = wanted.with_name(str(number))
        try:
            beside.mkdir()
        except FileExistsError:
            continue
        (beside / _TAKEN).touch()
        return beside


@lru_cache(maxsize=2)
def _index(folder: Path, mark: str, resumed: str) -> dict[str, list[tuple[Path, Run]]]:
    """Find the runs that a sweep had when it was resumed, by their settings; newest first."""
    del resumed  # only tells one resumption from the next
    found: dict[str, list[tuple[Path, Run]]] = {}
    for place_, run in filing.runs_below(folder, mark):
        found.setdefault(run.config_id, []).append((place_, run))
    for runs in found.values():
        runs.sort(key=lambda item: item[1].begun, reverse=True)
    return found


def _holds(folder: Path, run: Run, config: Config) -> bool:
    try:
        record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(record, dict) or not is_complete(record):
        return False
    present = all((folder / name).is_file() for name in run.files)
    return present and run.code_id == code_id() and same_inputs(config, record)


def _supersede(folder: Path, place_: Path, run: Run) -> None:
    """Move a run aside that is done again."""
    now = filing.read_run(place_)
    if now is None or now.uid != run.uid:  # moved already, by another run of this sweep
        return
    filing.write(place_, dataclasses.replace(now, superseded=True, recorded=False))
    stamp = re.sub(r"[^0-9T]", "", run.begun)
    target = folder / SUPERSEDED / f"{place_.name}-{stamp}"
    target.parent.mkdir(exist_ok=True)
    place_.rename(target)
