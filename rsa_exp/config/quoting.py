"""Quotes that Hydra's grammar needs around some values of settings."""

from __future__ import annotations

import re

__all__ = ["needs_quotes", "quoted"]

_PLAIN = re.compile(r"0|[1-9][0-9]*")
_NUMBER = re.compile(
    r"[+-]?[0-9][0-9_]*(\.[0-9_]*)?([eE][+-]?[0-9_]+)?|true|false|null|nan|inf", re.IGNORECASE
)


def needs_quotes(value: str) -> bool:
    """Whether a value has letters that Hydra's grammar, which is ASCII, refuses without quotes."""
    return not value.isascii() and not any(sign in value for sign in "[]{}'\"(),")


def quoted(values: str) -> str:
    """Quote those of several comma-separated values that Hydra would change or refuse."""
    return ",".join(
        f"'{value}'"
        if (_NUMBER.fullmatch(value) and not _PLAIN.fullmatch(value)) or needs_quotes(value)
        else value
        for value in values.split(",")
    )
