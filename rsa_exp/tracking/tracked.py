"""A run that is being recorded."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, RunTag

from rsa_exp.errors import InputError
from rsa_exp.tracking.client import FAILURES, raced, reason

if TYPE_CHECKING:
    from rsa_exp.record import Entry
    from rsa_exp.tracking.store import Store

__all__ = ["TrackedRun"]

_BATCH = 900  # MLflow takes at most 1000 metrics a request
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}


class TrackedRun:
    """A run in a store.

    Attributes
    ----------
    run_id : str
        Its id.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self.store = store
        self.run_id = run_id

    @property
    def address(self) -> str:
        """Where the UI shows it."""
        return self.store.address(self.run_id)

    def log(
        self,
        *,
        metrics: Sequence[tuple[str, float, int]] = (),
        tags: Mapping[str, str] | None = None,
        files: Sequence[Path] = (),
        at: int | None = None,
    ) -> None:
        """Record metrics as (name, value, step), tags, and files as artifacts.

        Files in a folder called ``figures`` become artifacts under ``figures/``. Values that are
        not finite are left out: MLflow would store them as 0. Recording the same again, with the
        same time `at` (ms since 1970; None is now), changes nothing.
        """
        now = int(time.time() * 1000) if at is None else at
        finite = [Metric(n, float(v), now, step) for n, v, step in metrics if math.isfinite(v)]
        listed = [RunTag(key, value) for key, value in (tags or {}).items()]
        client = self.store.client
        for start in range(0, max(len(finite), 1), _BATCH):
            batch = finite[start : start + _BATCH]
            client.log_batch(self.run_id, metrics=batch, tags=listed if start == 0 else [])
        for path in files:
            place = "figures" if path.parent.name == "figures" else None
            client.log_artifact(self.run_id, str(path), place)

    def log_inputs(self, inputs: Sequence[Mapping[str, Any]]) -> None:
        """Record the data sets that were read.

        Parameters
        ----------
        inputs : sequence of mapping
            Of each: role, name, digest (at most 36 characters), path, profile.
        """
        given = [
            DatasetInput(
                Dataset(
                    name=item["name"],
                    digest=item["digest"],
                    source_type="local",
                    source=json.dumps({"uri": item["path"]}),
                    profile=json.dumps(item["profile"]),
                ),
                [InputTag("mlflow.data.context", item["role"])],
            )
            for item in inputs
        ]
        if given:
            raced(lambda: self.store.client.log_inputs(self.run_id, given))

    def end(self, status: str, error: str | None = None, at: int | None = None) -> None:
        """End the run as finished, failed or killed, with the reason as the tag ``error``."""
        if error is not None:
            self.store.client.set_tag(self.run_id, "error", error[:5000])
        self.store.client.set_terminated(self.run_id, _STATUS[status], at)

    def record(self, entry: Entry) -> None:
        """Log everything of a run that has ended, and end it; doing so twice changes nothing.

        Raises
        ------
        InputError
            If the store does not take it; what is on disk stays.
        """
        try:
            self.log_inputs(entry.inputs)
            self.log(metrics=entry.metrics, tags=entry.tags, files=entry.files, at=entry.ended)
            self.end(entry.status, entry.error, entry.ended)
        except FAILURES as error:
            raise InputError(f"{self.store.uri}: {reason(error)}") from error
