"""What determines a run's numbers, and whether it is still the same."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

import xxhash

from rsa_exp.schema import Config

__all__ = ["code_id", "config_id", "same_inputs"]

# Where things are, and what is drawn and recorded, changes no number. Files are compared by
# content, see `same_inputs`.
_COSMETIC = {"output_dir", "figures", "tracking"}
_PATHS = {"root", "brain", "model", "hint"}
# Parts of the package that numbers come from; a test holds that they import no others that do.
NUMBERS = (
    "bootstrap.py", "compiled.py", "data", "inference.py", "inference_tables.py", "permutation.py",
    "pipeline.py", "scoring.py", "stats",
)  # fmt: skip


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
    package = Path(__file__).parent
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
    from rsa_exp import pipeline
    from rsa_exp.data.records import FileState
    from rsa_exp.provenance import combined_digest

    states = [dataclasses.asdict(FileState.of(path)) for path in pipeline.input_files(config)]
    if states == record.get("files"):
        return True
    with pipeline.open_study(config) as study:
        for item in record["inputs"]:
            study.digest_rows(item["role"], item["name"], item["rows"])
        return combined_digest(study.inputs(), study.images) == str(record["content_digest"])
