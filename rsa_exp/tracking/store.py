"""The tracking store: opening it, starting runs in it, finding them again."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock
from mlflow.entities import Run, RunTag, ViewType

from rsa_exp.errors import InputError
from rsa_exp.files import whole_file
from rsa_exp.tracking.addresses import local_folder, store_uri
from rsa_exp.tracking.client import FAILURES, connect, explained, raced
from rsa_exp.tracking.tracked import ERROR_TAG, PARENT_TAG, TrackedRun

__all__ = ["PARENT_TAG", "UID_TAG", "Store", "existing_store"]

UI_ADDRESS = "http://127.0.0.1:5000"
# A run's own id, given before the store gives one: it finds a run that is in the store but whose
# manifest lacks the store's id, because its process died in between.
UID_TAG = "rsa_exp.uid"
_KIND_TAG = "mlflow.experimentKind"
# The UI's view of training runs; without it, it opens in the view for language models.
_CLASSIC = "workflowType=machine_learning"
_MAX_TAG = 5000
_MAX_NAME = 250


def existing_store(folder: Path) -> Store:
    """Open a store that has runs; a wrong folder must not become a new, empty store."""
    uri = store_uri(folder)
    if local_folder(uri) is not None and not Path(uri.removeprefix("sqlite:///")).is_file():
        raise InputError(
            f"there is no tracking store in {folder.absolute()}; run something first, or name its "
            "folder with --store"
        )
    return Store(uri, None)


class Store:
    """A tracking store with one experiment, made ready for runs.

    What the store cannot do or does not take raises `InputError`, here and in all methods.

    Parameters
    ----------
    uri : str
        Its address, as `rsa_exp.tracking.addresses.store_uri` gives it.
    experiment : str or None
        Created if it does not exist; None opens the store for reading.

    Attributes
    ----------
    folder : Path or None
        Folder of a local store; None is a server.
    """

    def __init__(self, uri: str, experiment: str | None) -> None:
        self.uri = uri
        self.experiment = experiment
        self.experiment_id = ""
        self.folder = local = local_folder(uri)
        advice = "; set tracking.folder or MLFLOW_TRACKING_URI, or run with tracking=none"
        with explained(f"the tracking store {uri} cannot be used", advice):
            if local is None:
                raced(lambda: self._open(None))
            else:
                local.mkdir(parents=True, exist_ok=True)
                # Two processes that create the tables of a fresh store at once both fail.
                with FileLock(local / ".creating.lock"):
                    _create(uri)
                    self._open(local)

    def _open(self, local: Path | None) -> None:
        self.client = connect(self.uri)
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
        *,
        parent: str | None = None,
        started: int | None = None,
    ) -> TrackedRun:
        """Open a run, with status RUNNING until it is ended.

        Parameters
        ----------
        name : str
            What the UI shows.
        params, tags : mapping
            Settings and facts; values are stored as text, shortened to what MLflow takes.
        parent : str or None
            Id of the run this one is a child of.
        started : int or None
            When the run started, in ms since 1970; None is now.
        """
        all_tags = {"mlflow.user": _user(), "mlflow.source.name": "rsa_exp", **tags}
        if parent is not None:
            all_tags[PARENT_TAG] = parent
        short = {key: value[:_MAX_TAG] for key, value in all_tags.items()}
        with explained(f"no run can be started in {self.uri}", "; run with tracking=none"):
            run = self.client.create_run(
                self.experiment_id, start_time=started, tags=short, run_name=name[:_MAX_NAME]
            )
        tracked = TrackedRun(self, run.info.run_id)
        tracked.log(params=params)
        return tracked

    def resume(self, run_id: str, tags: Mapping[str, str]) -> TrackedRun | None:
        """Open a run of the store again; None if the store has lost it."""
        with explained(f"run {run_id} cannot be opened in {self.uri}"):
            run = self._get(run_id)
            if run is None:
                return None
            self.client.update_run(run_id, status="RUNNING")
            if ERROR_TAG in run.data.tags:  # of how it ended before
                self.client.delete_tag(run_id, ERROR_TAG)
            texts = [RunTag(key, value[:_MAX_TAG]) for key, value in tags.items()]
            self.client.log_batch(run_id, tags=texts)
        return TrackedRun(self, run_id)

    def has(self, run_id: str) -> bool:
        """Whether the store has a run, not deleted."""
        with explained(self.uri):
            return self._get(run_id) is not None

    def _get(self, run_id: str) -> Run | None:
        try:
            run = self.client.get_run(run_id)
        except FAILURES as error:
            if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return run if run.info.lifecycle_stage == "active" else None

    def find(self, uid: str) -> TrackedRun | None:
        """Find the run that was opened under an id of our own; None if there is none."""
        with explained(self.uri):
            run = next(self.search(f"tags.`{UID_TAG}` = '{uid}'"), None)
        return TrackedRun(self, run.info.run_id) if run is not None else None

    def search(self, query: str) -> Iterator[Run]:
        """All runs that a query of MLflow's finds, in the store's experiment or in all of them."""
        if self.experiment_id:
            experiments = [self.experiment_id]
        else:
            experiments = [e.experiment_id for e in self.client.search_experiments(ViewType.ALL)]
        token = None
        while experiments:
            page = self.client.search_runs(
                experiments, query, max_results=1000, page_token=token, order_by=["start_time ASC"]
            )
            yield from page
            token = page.token
            if not token:
                return

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

    def whole_id(self, beginning: str) -> str:
        """Return the id of the one run whose id begins so, with at least six hex digits."""
        if re.fullmatch(r"[0-9a-f]{32}", beginning):
            return beginning
        if not re.fullmatch(r"[0-9a-f]{6,31}", beginning):
            raise InputError(
                f"'{beginning}' is not a run id: 32 hex digits, or its first six or more; the UI "
                "and each run's last line show it"
            )
        found = [run.info.run_id for run in self.search("")]
        found = [run_id for run_id in found if run_id.startswith(beginning)]
        if len(found) != 1:
            raise InputError(
                f"{len(found)} runs in {self.uri} have an id that begins with '{beginning}'"
            )
        return str(found[0])


def _create(uri: str) -> None:
    """Make the tables of a SQLite store that does not exist, whole or not at all.

    MLflow makes them in many steps, and a database that was left between two is refused for ever.
    """
    path = Path(uri.removeprefix("sqlite:///"))
    if not path.exists():
        with whole_file(path) as part:
            connect(f"sqlite:///{part}").search_experiments(max_results=1)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return "unknown"
