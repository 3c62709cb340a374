"""Whether a finished run is still valid: same settings, code and inputs, and no file missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsa_exp.config.schema import Config
from rsa_exp.errors import InputError
from rsa_exp.runs.digests import code_id, config_id
from rsa_exp.runs.folders import read_run_folder
from rsa_exp.runs.manifest import RunManifest

__all__ = ["changed_inputs", "is_still_valid"]


def is_still_valid(folder: Path, run: RunManifest, config: Config) -> bool:
    """Whether a run in a folder need not be made again: its settings would give the same numbers.

    Raises
    ------
    InputError
        If an input cannot be used any more.
    """
    if run.status != "finished" or not all((folder / name).is_file() for name in run.files):
        return False
    if (run.config_id, run.code_id) != (config_id(config), code_id()):
        return False
    try:
        record = read_run_folder(folder).provenance
    except InputError:  # missing or damaged
        return False
    return _same_inputs(config, record)


def _same_inputs(config: Config, record: Mapping[str, Any]) -> bool:
    """Whether a config reads the images and RDM rows that a run read.

    Files of the same size and time are taken to be the same; others are compared by content.
    """
    from rsa_exp.rdms.inputs import FileState
    from rsa_exp.runs.inputs import input_files

    try:
        states = [dataclasses.asdict(FileState.of(path)) for path in input_files(config)]
    except FileNotFoundError as error:
        raise InputError(f"{error.filename} is gone; put it back, or name where it is") from error
    return states == record.get("files") or not changed_inputs(config, record)


def changed_inputs(config: Config, record: Mapping[str, Any]) -> list[str]:
    """Compare by content the inputs of a config with those that a run's provenance names.

    Returns
    -------
    list of str
        Inputs that differ: rows as ``FILE ROW``, or ``names or order of images``.

    Raises
    ------
    InputError
        If an input cannot be used.
    """
    from rsa_exp.runs.inputs import open_study
    from rsa_exp.runs.provenance import combined_digest

    with open_study(config) as study:
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
