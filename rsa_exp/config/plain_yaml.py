"""A run's ``config.yaml`` as data: mappings, lists and plain values, no larger than configs are."""

from __future__ import annotations

from typing import Any

import yaml

from rsa_exp.errors import InputError

__all__ = ["check_plain_yaml", "load_plain_yaml"]

# Safe: it makes plain values only. The one in C is ten times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# An atlas of 10,000 ROIs is within these limits, and a file at the limits is read in seconds.
_MAX_CHARACTERS = 2_000_000
_MAX_VALUES = 100_000
_MAX_DEPTH = 8
_MAX_SCALAR = 10_000
_REFUSED = "the logged config"


def check_plain_yaml(text: str) -> None:
    """Refuse YAML that a run never writes, before anything is built from it.

    Raises
    ------
    InputError
        If it is too large, not YAML, nested too deeply, or has anchors, aliases, tags or several
        documents.
    """
    if len(text) > _MAX_CHARACTERS:
        raise InputError(
            f"{_REFUSED} has {len(text)} characters; that of a run has at most {_MAX_CHARACTERS}"
        )
    depth = documents = values = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            documents += isinstance(event, yaml.DocumentStartEvent)
            values += isinstance(event, yaml.NodeEvent)
            _check_event(event, depth, documents)
            if values > _MAX_VALUES:
                raise InputError(f"{_REFUSED} has more than {_MAX_VALUES} keys and values")
    except (yaml.YAMLError, ValueError) as error:
        where = getattr(error, "problem_mark", None)
        line = f": line {where.line + 1} cannot be read" if where else ""
        raise InputError(f"{_REFUSED} is not YAML{line}") from error


def load_plain_yaml(text: str) -> dict[str, Any]:
    """Read a run's config as plain values, after `check_plain_yaml`; it must be a mapping."""
    check_plain_yaml(text)
    try:
        values = yaml.load(text, Loader=_Loader)  # noqa: S506 - the safe one
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{_REFUSED} is not YAML") from error
    if not isinstance(values, dict):
        raise InputError(f"{_REFUSED} is not a table of settings")
    return values


def _check_event(event: yaml.Event, depth: int, documents: int) -> None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise InputError(f"{_REFUSED} has anchors or aliases (& or *), which a run never writes")
    if getattr(event, "tag", None):
        raise InputError(f"{_REFUSED} has the tag {event.tag:.60}, which is unsafe")  # type: ignore[attr-defined]
    if depth > _MAX_DEPTH:
        raise InputError(f"{_REFUSED} is nested more than {_MAX_DEPTH} deep")
    if documents > 1:
        raise InputError(f"{_REFUSED} has several YAML documents; a run writes one")
    if isinstance(event, yaml.ScalarEvent) and len(event.value) > _MAX_SCALAR:
        raise InputError(
            f"{_REFUSED} has a value of {len(event.value)} characters; at most {_MAX_SCALAR} can be"
        )
