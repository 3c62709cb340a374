"""Values of settings in the quotes that Hydra's grammar needs."""

from __future__ import annotations

import re

__all__ = ["is_foreign", "quoted"]

_PLAIN = re.compile(r"0|[1-9][0-9]*")
_NUMBER = re.compile(
    r"[+-]?[0-9][0-9_]*(\.[0-9_]*)?([eE][+-]?[0-9_]+)?|true|false|null|nan|inf", re.IGNORECASE
)


def is_foreign(value: str) -> bool:
    """Whether Hydra's grammar, which knows ASCII, would refuse a value for its letters."""
    return not value.isascii() and not any(sign in value for sign in "[]{}'\"(),")


def quoted(values: str) -> str:
    """Quote those of several comma-separated values that would not stay as they are."""
    return ",".join(
        f"'{value}'"
        if (_NUMBER.fullmatch(value) and not _PLAIN.fullmatch(value)) or is_foreign(value)
        else value
        for value in values.split(",")
    )
