"""What a job knows of the sweep it belongs to, in whichever process it runs."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rsa_exp.config.schema import Config

__all__ = ["Membership", "announce", "membership", "run_name"]

# Reaches jobs that a launcher starts in other processes.
_ENVIRONMENT = "RSA_EXP_SWEEP"
# These are in every run's name in a form of their own, or say nothing in it.
_NAMED = ("subject", "roi", "layer", "metric")


@dataclass(frozen=True)
class Membership:
    """What a job knows of the sweep it belongs to; nothing outside a multirun.

    Attributes
    ----------
    folder : Path or None
        The sweep's.
    mark : str or None
        What its runs carry on disk.
    parent : str or None
        Id of its run in the store.
    keys : tuple of str
        What was swept.
    resumed : str or None
        When it was resumed; None if it was not, so that none of its runs can be finished.
    """

    folder: Path | None = None
    mark: str | None = None
    parent: str | None = None
    keys: tuple[str, ...] = ()
    resumed: str | None = None


def announce(sweep: Membership | None) -> None:
    """Tell the jobs of this process, and of those that it starts, which sweep they belong to."""
    if sweep is None:
        os.environ.pop(_ENVIRONMENT, None)
    else:
        record = dataclasses.asdict(sweep) | {"folder": str(sweep.folder)}
        os.environ[_ENVIRONMENT] = json.dumps(record)


def membership() -> Membership:
    """Return the sweep that this process's job belongs to, also in a launcher's own process."""
    record = json.loads(os.environ.get(_ENVIRONMENT, "{}"))
    if not record:
        return Membership()
    return Membership(**record | {"folder": Path(record["folder"]), "keys": tuple(record["keys"])})


def run_name(config: Config, overrides: list[str], keys: Sequence[str]) -> str:
    """Name a run by what tells it from the others: subject, metric, and what else was swept.

    Parameters
    ----------
    config : Config
        The run's config.
    overrides : list of str
        The run's own overrides, ``key=value``.
    keys : sequence of str
        Keys that the sweep gave several values.

    Returns
    -------
    str
        For example ``sub-1 corr``, ``joint LHLOC spearman align=exact``.
    """
    parts = [config.subject if config.subject in {"joint", "group"} else f"sub-{config.subject}"]
    parts += [
        value if isinstance(value, str) else ",".join(value)
        for value in (config.roi, config.layer)
        if value != "all"
    ]
    parts.append(config.metric)
    for text in overrides:
        key, _, value = text.partition("=")
        if key.lstrip("+") in keys and key not in _NAMED:
            parts.append(f"{key.lstrip('+').removeprefix('data.')}={value}")
    return " ".join(parts)[:250]
