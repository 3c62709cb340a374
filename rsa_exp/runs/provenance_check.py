"""Checking a ``provenance.json``, which may be damaged or forged, before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rsa_exp.errors import UNPRINTABLE

__all__ = ["is_complete"]


def is_complete(record: Mapping[str, Any]) -> bool:
    """Whether a record has all keys that are read, with values of the right types.

    Only the command, which is as typed, may have line breaks; no string may have other control
    characters.
    """
    inputs, overrides = record.get("inputs"), record.get("overrides", [])
    packages = record.get("packages", {})
    return (
        isinstance(record.get("content_digest"), str)
        and isinstance(inputs, list)
        and all(map(_is_input, inputs))
        and isinstance(overrides, list)
        and all(isinstance(text, str) for text in overrides)
        and isinstance(packages, dict)
        and all(isinstance(number, str | None) for number in packages.values())
        and not any(map(UNPRINTABLE.search, _strings({**record, "command": ""})))
        and not UNPRINTABLE.search(" ".join(str(record.get("command", "")).split()))
    )


def _is_input(item: object) -> bool:
    return (
        isinstance(item, dict)
        and all(isinstance(item.get(key), str) for key in ("role", "name", "path", "digest"))
        and isinstance(item.get("subject", ""), str)
        and isinstance(item.get("rows"), dict)
        and all(isinstance(digest, str) for digest in item["rows"].values())
    )


def _strings(node: object) -> Iterator[str]:
    """All keys and strings in a JSON value."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        yield from node
        for value in node.values():
            yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)
