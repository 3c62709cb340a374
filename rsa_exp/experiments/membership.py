"""The sweep that a run belongs to, known in whichever process the run is made."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rsa_exp.runs.digests import code_id
from rsa_exp.vocabulary import POOLED

if TYPE_CHECKING:
    from rsa_exp.config.schema import Config

__all__ = ["SUMS", "Membership"]

SUMS = ".sums"
"""Folder, in a sweep's, of sums that its runs share; removed when all runs are finished."""

# Inherited by the processes that a launcher starts for runs.
_VARIABLE = "RSA_EXP_SWEEP"
# Settings that every run's name has in a form of their own.
_IN_EVERY_NAME = ("subject", "roi", "layer", "metric")


@dataclass(frozen=True)
class Membership:
    """The sweep that a run belongs to; of a run outside a sweep every attribute is empty.

    Attributes
    ----------
    folder : Path or None
        The sweep's folder.
    uid : str
        The sweep's id in the manifests of its runs.
    parent : str
        Id of the sweep's run in the store; empty when it is not tracked.
    keys : tuple of str
        Settings that the sweep has several values of.
    resumed : str
        Time at which it was resumed; empty when it was not, so that no run of it is finished yet.
    """

    folder: Path | None = None
    uid: str = ""
    parent: str = ""
    keys: tuple[str, ...] = ()
    resumed: str = ""

    @property
    def sums_folder(self) -> Path | None:
        """Where this code keeps what the sweep's runs have in common until all are finished."""
        return self.folder and self.folder / SUMS / code_id()

    @classmethod
    def from_environment(cls) -> Membership:
        """Return the sweep whose runs this process makes, perhaps for another process."""
        record = json.loads(os.environ.get(_VARIABLE, "{}"))
        if not record:
            return cls()
        return cls(**record | {"folder": Path(record["folder"]), "keys": tuple(record["keys"])})

    def to_environment(self) -> None:
        """Make this the sweep of the runs of this process, and of those that it starts."""
        if self.folder is None:
            os.environ.pop(_VARIABLE, None)
        else:
            record = dataclasses.asdict(self) | {"folder": str(self.folder)}
            os.environ[_VARIABLE] = json.dumps(record)

    def run_name(self, config: Config, overrides: list[str]) -> str:
        """Name a run by its subject, its metric and what else distinguishes it in the sweep.

        For example ``sub-1 corr``, ``joint LHLOC spearman align=exact``.
        """
        parts = [config.subject if config.subject in POOLED else f"sub-{config.subject}"]
        parts += [
            value if isinstance(value, str) else ",".join(value)
            for value in (config.roi, config.layer)
            if value != "all"
        ]
        parts.append(config.metric)
        for text in overrides:
            key, _, value = text.lstrip("+").partition("=")
            if key in self.keys and key not in _IN_EVERY_NAME:
                parts.append(f"{key.removeprefix('data.')}={value}")
        return " ".join(parts)[:250]
