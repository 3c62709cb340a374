"""Digests of what determines a run's numbers besides its inputs: its settings and its code."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

import xxhash

from rsa_exp.config.keys import affects, new_settings
from rsa_exp.config.schema import Config

__all__ = ["NUMBERS", "code_id", "config_id"]

NUMBERS = ("analysis", "datasets", "rdms", "runs/inputs.py", "stats")
"""Packages, and the one module, that numbers come from; a test checks that they import no others
that do."""


def config_id(config: Config) -> str:
    """Digest of the settings that numbers depend on: xxh3_128, 32 hex digits.

    Paths are left out, as files are compared by content (see `rsa_exp.runs.validity`), and so are
    settings that older versions did not have, where they are what these did.
    """
    settings = _that_affect_numbers(dataclasses.asdict(config))
    if Path(config.images).is_absolute():
        settings["images"] = "a list"
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False, default=str)
    return xxhash.xxh3_128_hexdigest(text.encode())


def _that_affect_numbers(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    added = new_settings()
    return {
        name: _that_affect_numbers(value, f"{prefix}{name}.") if isinstance(value, dict) else value
        for name, value in settings.items()
        if affects(f"{prefix}{name}") == "numbers"
        and (f"{prefix}{name}" not in added or value != added[f"{prefix}{name}"])
    }


@cache
def code_id() -> str:
    """Digest of the package's code that numbers come from, committed or not: xxh3_128."""
    package = Path(__file__).parents[1]
    state = xxhash.xxh3_128()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        if name.parts[0] in NUMBERS or name.as_posix() in NUMBERS:
            state.update(f"{name.as_posix()}\0".encode())
            state.update(path.read_bytes())
    return state.hexdigest()
