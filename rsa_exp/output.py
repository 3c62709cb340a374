"""Files a run leaves behind: each is written whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from rsa_exp.errors import InputError

__all__ = [
    "claim_folder",
    "prepare_folder",
    "read_scores",
    "write_json",
    "write_scores",
    "write_text",
]


def prepare_folder(folder: Path) -> Path:
    """Make a folder for results.

    Raises
    ------
    InputError
        If it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"results cannot be written to {folder}: {error.strerror}; set output_dir"
        ) from error
    return folder


def claim_folder(folder: Path, what: str) -> Path:
    """Make a folder for the results of one run or sweep, which must not hold another's.

    Raises
    ------
    InputError
        If it cannot be written to, or holds results.
    """
    prepare_folder(folder)
    if (folder / "scores.csv").exists():
        raise InputError(
            f"{folder} holds the results of another {what}; choose another folder or delete it"
        )
    return folder


def write_text(path: Path, text: str) -> Path:
    """Write text under a temporary name and rename it."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    return part.replace(path)


def write_json(path: Path, record: Mapping[str, Any]) -> Path:
    """Write a record as indented JSON."""
    return write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def write_scores(path: Path, scores: pd.DataFrame) -> Path:
    """Write a table as CSV; undefined values are empty, floats survive to the last bit."""
    return write_text(path, scores.to_csv(index=False, lineterminator="\n"))


def read_scores(path: Path | TextIO) -> pd.DataFrame:
    """Read a table of `write_scores`: names such as ``01`` or ``NA`` stay text, scores exact."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table["score"] = [float(text) if text else np.nan for text in table["score"]]
    return table.astype(dict.fromkeys(("depth", "n_images", "n_pairs"), int))
