"""One call of the Hydra application: what its parts know of each other.

Hydra creates the sweep's callback and calls the job itself, so neither can be handed anything: they
look up the session of their process here. A launcher's own processes have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rsa_exp.errors import InputError

if TYPE_CHECKING:
    from rsa_exp.experiments.sweep import Sweep

__all__ = ["Session", "current_session", "session"]


@dataclass
class Session:
    """One call of the Hydra application.

    Attributes
    ----------
    typed : list of str
        The command line's arguments.
    resumed : Path or None
        Folder of the sweep that is continued.
    sweep : Sweep or None
        The sweep under way.
    errors : list of InputError
        Errors of runs of this process, reported when they happened.
    """

    typed: list[str]
    resumed: Path | None = None
    sweep: Sweep | None = None
    errors: list[InputError] = field(default_factory=list)


_current: Session | None = None


@contextmanager
def session(typed: list[str], resumed: Path | None) -> Iterator[Session]:
    """Open the session of this process, for the time of the block."""
    global _current
    before, _current = _current, Session(typed, resumed)
    try:
        yield _current
    finally:
        _current = before


def current_session() -> Session | None:
    """Return the session of this process; None in a process that a launcher started."""
    return _current
