"""A run in the tracking store that is being written to."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from rsa_exp.tracking.client import explained, raced

if TYPE_CHECKING:
    from rsa_exp.tracking.store import Store

__all__ = ["ERROR_TAG", "PARENT_TAG", "TrackedRun"]

PARENT_TAG = "mlflow.parentRunId"
"""Tag with the id of the run that a run is a child of."""

ERROR_TAG = "error"
"""Tag with the reason why a run failed."""

_MAX_PARAM = 6000
_BATCH = 900  # MLflow takes at most 1000 metrics a request
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}


class TrackedRun:
    """A run in a store; what the store does not take raises `InputError`."""

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
        params: Mapping[str, object] | None = None,
        metrics: Sequence[tuple[str, float, int]] = (),
        tags: Mapping[str, str] | None = None,
        files: Sequence[Path] = (),
        at: int | None = None,
    ) -> None:
        """Log settings, metrics as (name, value, step), tags, and files as artifacts.

        Files in a folder called ``figures`` become artifacts under ``figures/``. Settings are
        stored as text, shortened to what MLflow takes. Values that are not finite are left out:
        MLflow would store them as 0. Logging the same values again, with the same time `at` (ms
        since 1970; None is now), changes nothing.
        """
        now = int(time.time() * 1000) if at is None else at
        finite = [Metric(n, float(v), now, step) for n, v, step in metrics if math.isfinite(v)]
        settings = [Param(key, str(value)[:_MAX_PARAM]) for key, value in (params or {}).items()]
        facts = [RunTag(key, value) for key, value in (tags or {}).items()]
        client = self.store.client
        with explained(self.store.uri):
            client.log_batch(self.run_id, params=settings, metrics=finite[:_BATCH], tags=facts)
            for start in range(_BATCH, len(finite), _BATCH):
                client.log_batch(self.run_id, metrics=finite[start : start + _BATCH])
            for path in files:
                folder = "figures" if path.parent.name == "figures" else None
                client.log_artifact(self.run_id, str(path), folder)

    def log_inputs(self, inputs: Sequence[Mapping[str, Any]]) -> None:
        """Log the data sets that were read.

        Each is a mapping with role, name, digest (at most 36 characters), path, profile.
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
            with explained(self.store.uri):
                raced(lambda: self.store.client.log_inputs(self.run_id, given))

    def end(self, status: str, error: str | None = None, at: int | None = None) -> None:
        """End the run as finished, failed or killed, with the reason as the tag ``error``."""
        with explained(self.store.uri):
            if error is not None:
                self.store.client.set_tag(self.run_id, ERROR_TAG, error[:5000])
            self.store.client.set_terminated(self.run_id, _STATUS[status], at)
