"""The settings by their dotted names: what there are, what depends on each, and which are new."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any, get_args

from rsa_exp.config.schema import DATA_KINDS, SECTIONS, Affects, Config

__all__ = ["affects", "keys_of", "known_keys", "new_settings"]


def keys_of(schema: type, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every key of a schema with its explanation and default: (dotted name, help, default)."""
    for item in fields(schema):
        if "help" in item.metadata:
            default = item.default_factory() if callable(item.default_factory) else item.default
            yield f"{prefix}{item.name}", item.metadata["help"], default


def known_keys() -> list[str]:
    """Every dotted key there is, and the config groups."""
    names = [name for name, _, _ in keys_of(Config)] + ["data", *SECTIONS, "experiment", "resume"]
    names += [name for prefix, schema in _sections() for name, _, _ in keys_of(schema, prefix)]
    return list(dict.fromkeys(names))


def affects(key: str) -> Affects:
    """Return what depends on a setting (see `Affects`); "numbers" for what is no known setting.

    Parameters
    ----------
    key : str
        Dotted name of a setting, of an entry of one (``data.rois.V1``), or of a config group, which
        affects what its settings affect.
    """
    known = _affected()
    while key not in known and "." in key:
        key = key.rpartition(".")[0]
    return known.get(key, "numbers")


@cache
def _affected() -> dict[str, Affects]:
    found: dict[str, Affects] = {}
    for prefix, schema in [("", Config), *_sections()]:
        kinds = {
            f"{prefix}{item.name}": item.metadata["affects"]
            for item in fields(schema)
            if "affects" in item.metadata
        }
        found |= kinds
        if prefix:
            found[prefix.rstrip(".")] = min(kinds.values(), key=get_args(Affects).index)
    return found


@cache
def new_settings() -> dict[str, Any]:
    """Return the defaults of the settings that records of older versions lack, by dotted name.

    These did what the defaults do.
    """
    return {
        f"{prefix}{item.name}": item.default
        for prefix, schema in [("", Config), *_sections()]
        for item in fields(schema)
        if item.metadata.get("new", False)
    }


def _sections() -> list[tuple[str, type]]:
    """Prefixes and schemas of all sections."""
    data: list[tuple[str, type]] = [("data.", schema) for schema in DATA_KINDS.values()]
    return [*data, *((f"{section}.", schema) for section, schema in SECTIONS.items())]
