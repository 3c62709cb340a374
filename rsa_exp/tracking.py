"""The MLflow side of a run: the only module that imports mlflow.

Runs go to a SQLite store under ``mlruns/`` unless ``MLFLOW_TRACKING_URI`` names another. mlflow
takes over a second to import, so this module is imported when a run is recorded and not before.
"""

from __future__ import annotations

import getpass
import json
import logging
import math
import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock

# Read by mlflow when it is imported.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# A server that does not answer is given up after seconds, not after MLflow's four minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from rsa_exp.errors import InputError
from rsa_exp.store_names import local_folder, store_uri

for _name in ("mlflow", "alembic", "urllib3"):  # stores line by line, every retry
    logging.getLogger(_name).setLevel(logging.ERROR)

__all__ = ["RunRecord", "Store", "TrackedRun", "existing_store"]

UI_ADDRESS = "http://127.0.0.1:5000"
PARENT_TAG = "mlflow.parentRunId"
_KIND_TAG = "mlflow.experimentKind"
# The UI's view of training runs; it opens in that for language models unless told otherwise.
_CLASSIC = "workflowType=machine_learning"
_BATCH = 900  # MLflow takes at most 1000 metrics a request
_MAX_PARAM = 6000
_FAILURES = (MlflowException, SQLAlchemyError, OSError, ImportError)


def existing_store(folder: Path) -> Store:
    """Open a store that has runs; a wrong folder must not become a new, empty store.

    Raises
    ------
    InputError
        If there is no store in `folder`.
    """
    uri = store_uri(folder)
    if local_folder(uri) is not None and not Path(uri.removeprefix("sqlite:///")).is_file():
        raise InputError(
            f"there is no tracking store in {folder.absolute()}; run something first, or name its "
            "folder with --store"
        )
    return Store(folder, None)


@dataclass(frozen=True)
class RunRecord:
    """A tracked run as it was recorded.

    Attributes
    ----------
    run_id, experiment, status : str
        What they are in MLflow.
    files : dict of str to str
        Contents of the text artifacts that were asked for and exist.
    tags : dict of str to str
        The run's tags.
    """

    run_id: str
    experiment: str
    status: str
    files: dict[str, str]
    tags: dict[str, str]


class Store:
    """A tracking store with one experiment, made ready for runs.

    Parameters
    ----------
    folder : Path
        Folder of the local store; not used when ``MLFLOW_TRACKING_URI`` is set.
    experiment : str or None
        Created if it does not exist; None opens the store for reading.

    Raises
    ------
    InputError
        If the store cannot be opened or written to.
    """

    def __init__(self, folder: Path, experiment: str | None) -> None:
        self.uri = store_uri(folder)
        self.experiment = experiment
        self.experiment_id = ""
        self.folder = local = local_folder(self.uri)
        try:
            if local is None:
                self._open(None)
            else:
                local.mkdir(parents=True, exist_ok=True)
                # Two processes that create the tables of a fresh store at once both fail.
                with FileLock(local / ".creating.lock"):
                    self._open(local)
        except _FAILURES as error:
            raise InputError(
                f"the tracking store {self.uri} cannot be used ({_reason(error)}); set "
                "tracking.folder or MLFLOW_TRACKING_URI, or run with tracking=none"
            ) from error

    def _open(self, local: Path | None) -> None:
        self.client = MlflowClient(self.uri)
        if self.experiment is None:
            self.client.search_experiments(max_results=1)
            return
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            self.experiment_id = self.client.create_experiment(
                self.experiment,
                artifact_location=(local / "artifacts").as_uri() if local else None,
                # Without it MLflow 3 opens the experiment in its view for language models.
                tags={_KIND_TAG: "custom_model_development"},
            )
        elif found.lifecycle_stage == "deleted":
            raise InputError(
                f"the experiment '{self.experiment}' was deleted in {self.uri}; restore it or set "
                "tracking.experiment"
            )
        else:
            self.experiment_id = found.experiment_id

    def start(
        self,
        name: str,
        params: Mapping[str, object],
        tags: Mapping[str, str],
        parent: str | None = None,
    ) -> TrackedRun:
        """Open a run.

        Parameters
        ----------
        name : str
            What the UI shows.
        params, tags : mapping
            Settings and facts; values are stored as text.
        parent : str or None
            Id of the run this one is a child of.

        Returns
        -------
        TrackedRun
            With status RUNNING until it is ended.
        """
        all_tags = {"mlflow.user": _user(), "mlflow.source.name": "rsa_exp", **tags}
        if parent is not None:
            all_tags[PARENT_TAG] = parent
        try:
            run = self.client.create_run(self.experiment_id, run_name=name, tags=all_tags)
            tracked = TrackedRun(self, run.info.run_id)
            listed = [Param(key, str(value)[:_MAX_PARAM]) for key, value in params.items()]
            self.client.log_batch(tracked.run_id, params=listed)
        except _FAILURES as error:
            raise InputError(
                f"no run can be recorded in {self.uri} ({_reason(error)}); run with tracking=none"
            ) from error
        return tracked

    def address(self, run_id: str, *, children: bool = False) -> str:
        """Return the UI's address of a run, or of the charts that compare a parent's children."""
        base = self.uri.rstrip("/") if self.uri.startswith("http") else UI_ADDRESS
        experiment = f"{base}/#/experiments/{self.experiment_id}"
        if not children:
            return f"{experiment}/runs/{run_id}?{_CLASSIC}"
        # Sorted by anything but date, the UI lists children by themselves, not folded away.
        query = quote(f"tags.`{PARENT_TAG}` = '{run_id}'", safe="")
        order = f"orderByKey={quote('params.`subject`', safe='')}&orderByAsc=true"
        return f"{experiment}/runs?{_CLASSIC}&searchFilter={query}&{order}&compareRunsMode=CHART"

    def read(self, run_id: str, names: Sequence[str]) -> RunRecord:
        """Fetch a recorded run and some of its text artifacts.

        Parameters
        ----------
        run_id : str
            A run id, or an id's unique beginning of at least six characters.
        names : sequence of str
            Artifacts to read; those that do not exist are left out.

        Raises
        ------
        InputError
            If the store has no such run.
        """
        try:
            run = self.client.get_run(self._whole_id(run_id))
            place = str(run.info.artifact_uri).removeprefix("file://")
            if place.startswith("/") and not Path(place).is_dir():
                raise InputError(
                    f"the files of run {run.info.run_id} are not in {place}: the store was moved, "
                    "or they were deleted"
                )
            present = {item.path for item in self.client.list_artifacts(run.info.run_id)}
            files = {}
            with tempfile.TemporaryDirectory() as folder:
                for name in present.intersection(names):
                    path = self.client.download_artifacts(run.info.run_id, name, folder)
                    files[name] = Path(path).read_text(encoding="utf-8")
            experiment = self.client.get_experiment(run.info.experiment_id).name
        except _FAILURES as error:
            raise InputError(
                f"run {run_id} cannot be read from {self.uri}: {_reason(error)}"
            ) from (error)
        return RunRecord(run.info.run_id, experiment, run.info.status, files, dict(run.data.tags))

    def _whole_id(self, beginning: str) -> str:
        if re.fullmatch(r"[0-9a-f]{32}", beginning):
            return beginning
        if not re.fullmatch(r"[0-9a-f]{6,31}", beginning):
            raise InputError(
                f"'{beginning}' is not a run id: 32 hex digits, or its first six or more; the UI "
                "and each run's last line show it"
            )
        experiments = [e.experiment_id for e in self.client.search_experiments(ViewType.ALL)]
        found: list[str] = []
        token = None
        while True:
            page = self.client.search_runs(experiments, max_results=5000, page_token=token)
            found += [r.info.run_id for r in page if r.info.run_id.startswith(beginning)]
            token = page.token
            if not token:
                break
        if len(found) != 1:
            raise InputError(
                f"{len(found)} runs in {self.uri} have an id that begins with '{beginning}'"
            )
        return found[0]


class TrackedRun:
    """A run that is being recorded.

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
    ) -> None:
        """Record metrics as (name, value, step), tags, and files as artifacts.

        Files in a folder called ``figures`` become artifacts under ``figures/``.

        Values that are not finite are left out: MLflow would store them as 0.
        """
        now = int(time.time() * 1000)
        finite = [Metric(n, float(v), now, step) for n, v, step in metrics if math.isfinite(v)]
        listed = [RunTag(key, value) for key, value in (tags or {}).items()]
        client = self.store.client
        for start in range(0, max(len(finite), 1), _BATCH):
            batch = finite[start : start + _BATCH]
            client.log_batch(self.run_id, metrics=batch, tags=listed if start == 0 else [])
        for path in files:
            place = "figures" if path.parent.name == "figures" else None
            client.log_artifact(self.run_id, str(path), place)

    def log_input(
        self, role: str, name: str, digest: str, path: str, profile: Mapping[str, Any]
    ) -> None:
        """Record a data set that was read, with its content digest (at most 36 characters)."""
        dataset = Dataset(
            name=name,
            digest=digest,
            source_type="local",
            source=json.dumps({"uri": path}),
            profile=json.dumps(profile),
        )
        tags = [InputTag("mlflow.data.context", role)]
        self.store.client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])

    def end(self, status: str, error: str | None = None) -> None:
        """End the run as FINISHED, FAILED or KILLED, with the reason as the tag ``error``."""
        if error is not None:
            self.store.client.set_tag(self.run_id, "error", error[:5000])
        self.store.client.set_terminated(self.run_id, status)

    def record(self, result: Mapping[str, Any]) -> None:
        """Log everything of a finished run: keyword arguments of `log`, and ``inputs``.

        Raises
        ------
        InputError
            If the store does not take it; what is on disk stays.
        """
        try:
            for item in result["inputs"]:
                self.log_input(**item)
            self.log(metrics=result["metrics"], tags=result["tags"], files=result["files"])
            self.end("FINISHED")
        except _FAILURES as error:
            raise InputError(
                f"the results are in {result['files'][0].parent} but could not be recorded in "
                f"{self.store.uri}: {_reason(error)}"
            ) from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return "unknown"


def _reason(error: BaseException) -> str:
    """Return the line of an error that says why."""
    cause = getattr(error, "orig", None) or error
    text = str(getattr(cause, "message", cause)).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
