"""A tracking store that goes away in mid-sweep: reported once, and not asked again at every run."""

from __future__ import annotations

import logging
import shlex
import time
from pathlib import Path

from rsa_exp.errors import InputError

__all__ = ["TrackingOutage", "not_uploaded"]

log = logging.getLogger("rsa_exp")

# Seconds for which a store that was lost is not tried again.
_PAUSE = 60.0


class TrackingOutage:
    """Whether the store was lost, which all processes of a sweep know by a file in its folder."""

    def __init__(self, folder: Path) -> None:
        self._sign = folder / ".store-lost"

    def is_recent(self) -> bool:
        """Whether the store was lost so recently that it is not tried again."""
        try:
            return time.time() - self._sign.stat().st_mtime < _PAUSE
        except OSError:
            return False

    def report(self, reason: object) -> None:
        """Warn that the store was lost, once a sweep."""
        try:
            self._sign.touch(exist_ok=False)
        except FileExistsError:
            self._sign.touch()
        except OSError:
            pass  # a full disk is reported where results are written
        else:
            log.warning("%s; the sweep goes on, its results are on disk", reason)

    def clear(self) -> None:
        """Forget the outage: the store is tried again."""
        self._sign.unlink(missing_ok=True)


def not_uploaded(folder: Path, reason: object, what: str = "could not") -> InputError:
    """Explain how results can be uploaded later; `reason` begins with the store's address."""
    return InputError(
        f"the results are in {folder} but {what} be uploaded to {reason}; python -m rsa_exp sync "
        f"{shlex.quote(str(folder))} does it when the store is back"
    )
