"""What determines a run's numbers, and whether it is still the same."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import xxhash

from rsa_exp.config.schema import Config
from rsa_exp.errors import InputError

__all__ = ["NUMBERS", "changed_inputs", "code_id", "config_id", "same_inputs"]

# Where things are, and what is drawn and recorded, changes no number. Files are compared by
# content, see `same_inputs`.
_COSMETIC = {"output_dir", "figures", "tracking"}
_PATHS = {"root", "brain", "model", "hint"}
# Parts of the package that numbers come from; a test holds that they import no others that do.
NUMBERS = ("analysis", "datasets", "rdms", "stats")


def config_id(config: Config) -> str:
    """Digest of what a config says about the numbers: no paths, figures or stores.

    Returns
    -------
    str
        xxh3_128, 32 hex digits.
    """
    plain = dataclasses.asdict(config)
    kept: dict[str, Any] = {key: value for key, value in plain.items() if key not in _COSMETIC}
    kept["data"] = {key: value for key, value in plain["data"].items() if key not in _PATHS}
    kept["model"] = {key: value for key, value in plain["model"].items() if key != "file"}
    if Path(config.images).is_absolute():
        kept["images"] = "a list"
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False, default=str)
    return xxhash.xxh3_128_hexdigest(text.encode())


@cache
def code_id() -> str:
    """Digest of the package's code that numbers come from, committed or not.

    Returns
    -------
    str
        xxh3_128, 32 hex digits.
    """
    package = Path(__file__).parents[1]
    state = xxhash.xxh3_128()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        if name.parts[0] in NUMBERS:
            state.update(f"{name.as_posix()}\0".encode())
            state.update(path.read_bytes())
    return state.hexdigest()


def same_inputs(config: Config, record: dict[str, Any]) -> bool:
    """Whether a config reads what a run read: the same images and the same RDM rows.

    Files of the same size and time are taken to be the same; others are read and compared by
    content.

    Parameters
    ----------
    config : Config
        What would be run now.
    record : dict
        The run's ``provenance.json``.

    Raises
    ------
    InputError
        If an input cannot be used any more.
    """
    from rsa_exp.analysis import pipeline
    from rsa_exp.rdms.inputs import FileState

    try:
        states = [dataclasses.asdict(FileState.of(path)) for path in pipeline.input_files(config)]
    except FileNotFoundError as error:
        raise InputError(f"{error.filename} is gone; put it back, or name where it is") from error
    if states == record.get("files"):
        return True
    return not changed_inputs(config, record)


def changed_inputs(config: Config, record: Mapping[str, Any]) -> list[str]:
    """Compare by content what a config reads with what a run read.

    Parameters
    ----------
    config : Config
        What would be run now.
    record : mapping
        The run's ``provenance.json``.

    Returns
    -------
    list of str
        What is not the same: rows as ``FILE ROW``, or ``names or order of images``.

    Raises
    ------
    InputError
        If an input cannot be used.
    """
    from rsa_exp.analysis import pipeline
    from rsa_exp.runs.provenance import combined_digest

    with pipeline.open_study(config) as study:
        for item in record["inputs"]:
            study.digest_rows(item["role"], item.get("subject", ""), item["rows"])
        now = study.inputs()
        if combined_digest(now, study.images) == record["content_digest"]:
            return []
    rows = {
        (item.role, item.subject, row): digest for item in now for row, digest in item.rows.items()
    }
    changed = [
        f"{item['name']} {row}"
        for item in record["inputs"]
        for row, digest in item["rows"].items()
        if rows.get((item["role"], item.get("subject", ""), row)) != digest
    ]
    return changed or ["names or order of images"]
