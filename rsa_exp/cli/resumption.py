"""``resume=last`` and ``resume=FOLDER``: a command line turned into that of the resumed sweep."""

from __future__ import annotations

import os
import re
from pathlib import Path

from rsa_exp.config.keys import known_keys
from rsa_exp.errors import InputError
from rsa_exp.runs import manifest
from rsa_exp.runs.manifest import SweepManifest

__all__ = ["resume_arguments"]

_RESUME = "resume="
# Entries of the tables that users add to.
_TABLE_ENTRY = re.compile(r"data\.(rois|sources)\.")


def resume_arguments(arguments: list[str]) -> tuple[list[str], Path | None]:
    """Replace ``resume=last`` or ``resume=FOLDER`` by the sweep's own settings and folder.

    Parameters
    ----------
    arguments : list of str
        Flags, then overrides. Overrides change the sweep: ``subject=1,2,group`` adds the runs that
        it lacks, and replace recorded ones of the same key.

    Returns
    -------
    arguments : list of str
        Without ``resume=``: flags, the sweep's recorded settings, then those that were given.
    folder : Path or None
        The sweep's; None when nothing is to be resumed.

    Raises
    ------
    InputError
        If there is no such sweep, or its manifest has more in it than settings.
    """
    named = [text.removeprefix(_RESUME) for text in arguments if text.startswith(_RESUME)]
    if not named:
        return arguments, None
    rest = [text for text in arguments if not text.startswith(_RESUME)]
    outputs = [text.removeprefix("output_dir=") for text in rest if text.startswith("output_dir=")]
    folder = _sweep_folder(named[-1].strip("'\""), Path((outputs or ["outputs"])[-1].strip("'\"")))
    sweep = manifest.read_sweep(folder)
    if sweep is None:
        raise InputError(
            f"{folder} is not the folder of a sweep: it has no {manifest.SWEEP_FILE}; name one, or "
            "resume=last"
        )
    if sweep.reproduces:
        raise InputError(
            f"{folder} is a reproduction of {sweep.reproduces}; reproduce that again instead"
        )
    recorded = _recorded_settings(folder, sweep)
    if sweep.started_in != str(Path.cwd()) and Path(sweep.started_in).is_dir():
        print(f"note: continuing in {sweep.started_in}, where the sweep was started")
        os.chdir(sweep.started_in)
    flags = [text for text in rest if text.startswith("-")]
    overrides = [text for text in rest if not text.startswith("-")]
    if not {"-m", "--multirun"}.intersection(flags):
        flags.append("--multirun")
    replaced = {_key(text) for text in overrides}
    recorded = [text for text in recorded if _key(text) not in replaced]
    escaped = str(folder).replace("'", "\\'")
    return [*flags, *recorded, *overrides, f"hydra.sweep.dir='{escaped}'"], folder


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+")


def _sweep_folder(named: str, outputs: Path) -> Path:
    if not named:
        raise InputError("resume= is empty; write resume=last or resume=FOLDER")
    if named != "last":
        return Path(named).expanduser().resolve()
    found = manifest.find_sweeps(outputs)
    sweeps = [(sweep.started, folder) for folder, sweep in found if not sweep.reproduces]
    if not sweeps:
        raise InputError(
            f"there is no sweep under {outputs.absolute()}; name its folder: resume=FOLDER"
        )
    return max(sweeps)[1].absolute()


def _recorded_settings(folder: Path, sweep: SweepManifest) -> list[str]:
    """Return a sweep's recorded settings, which are data: keys of the schema, plain values."""
    known = {*known_keys(), "experiment"}
    for text in sweep.overrides:
        key, (_, equals, value) = _key(text), text.partition("=")
        if not equals or "${" in value or not (key in known or _TABLE_ENTRY.match(key)):
            raise InputError(
                f"{folder / manifest.SWEEP_FILE} has '{text[:80]}', which is no setting of "
                "rsa_exp; type the sweep's settings again beside resume=, or start it anew"
            )
    return list(sweep.overrides)
