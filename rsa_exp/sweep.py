"""What happens around a multirun: one parent run in the store, and one table over all runs."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rsa_exp import interrupts, output
from rsa_exp.config import first_line
from rsa_exp.errors import InputError
from rsa_exp.terminal import ui_command

if TYPE_CHECKING:
    from rsa_exp.schema import Config
    from rsa_exp.tracking import Store, TrackedRun

__all__ = [
    "Membership", "Sweep", "SweepAborted", "SweepCallback", "membership", "run_name", "swept_keys",
]  # fmt: skip

log = logging.getLogger("rsa_exp")

# Reaches jobs that a launcher starts in other processes.
_ENVIRONMENT = "RSA_EXP_SWEEP"
# These are in every run's name in a form of their own, or say nothing in it.
_NAMED = ("subject", "roi", "layer", "metric")


class Sweep:
    """A multirun under way, in the process that started it.

    Attributes
    ----------
    folder : Path
        Under which its runs' folders are.
    parent : TrackedRun or None
        The run in the store that its runs are children of.
    family : str
        Over which tests p values are corrected: ``run`` or ``sweep``.
    mark : str
        What its runs carry on disk, wherever under `folder` Hydra puts them.
    n_started : int
        Runs begun in this process.
    """

    current: Sweep | None = None

    def __init__(
        self, folder: Path, keys: list[str], store: Store | None, name: str, family: str
    ) -> None:
        self.folder, self.family = folder, family
        self.parent: TrackedRun | None = None
        self.mark = uuid4().hex
        self.n_started = 0
        if store is not None:
            tags = {"sweep": "true", "folder": str(folder)}
            with interrupts.shield():
                self.parent = store.start(name, {"swept": ", ".join(keys)}, tags)
        parent = self.parent.run_id if self.parent else None
        os.environ[_ENVIRONMENT] = json.dumps({"parent": parent, "keys": keys, "mark": self.mark})
        Sweep.current = self

    def finish(self, error: BaseException | None) -> None:
        """Write the table over all runs, end the parent run, and say where everything is.

        Parameters
        ----------
        error : BaseException or None
            What ended the sweep early, or the first run's failure.
        """
        Sweep.current = None
        os.environ.pop(_ENVIRONMENT, None)
        files: list[Path] = [self.folder / "multirun.yaml"]
        finished: list[Path] = []
        try:
            finished = self._finished()
            if finished:
                files.append(self._join(finished))
                started = max(self.n_started, len(finished))
                log.info(
                    "\n%d of %d runs finished; all their scores: %s",
                    len(finished), started, files[-1],
                )  # fmt: skip
        except OSError as second:
            log.error("the sweep's table could not be written: %s", second)  # noqa: TRY400
        if self.parent is not None:
            _end_parent(self.parent, [path for path in files if path.is_file()], finished, error)
            if finished:
                log.info("compare the runs: %s", ui_command(self.parent.store.folder))
                log.info(self.parent.store.address(self.parent.run_id, children=True))

    def _finished(self) -> list[Path]:
        """Folders of the sweep's finished runs, in the order of their numbers."""
        records = self.folder.rglob("provenance.json")
        mine = [path.parent for path in records if _mark_of(path) == self.mark]
        return sorted(mine, key=lambda path: (len(path.name), str(path)))

    def _join(self, finished: list[Path]) -> Path:
        import pandas as pd

        tables = [output.read_scores(folder / "scores.csv") for folder in finished]
        if self.family == "sweep":
            from rsa_exp.family import correct_over_runs, read_null

            scores = correct_over_runs(tables, [read_null(folder) for folder in finished])
        else:
            scores = pd.concat(tables, ignore_index=True)
        return output.write_table(self.folder / "scores.csv", scores)


def _mark_of(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("sweep")
    except (OSError, ValueError, AttributeError):
        return None


def _end_parent(
    parent: TrackedRun, files: list[Path], finished: list[Path], error: BaseException | None
) -> None:
    killed = isinstance(error, KeyboardInterrupt | SystemExit)
    status = "KILLED" if killed else "FAILED" if error is not None else "FINISHED"
    reason = "interrupted" if killed else f"{error}" if error is not None else None
    try:
        parent.log(metrics=[("n_finished", float(len(finished)), 0)], files=files)
        parent.end(status, reason)
    except Exception as second:
        log.warning("the sweep's run %s could not be ended: %s", parent.run_id, second)


class SweepAborted(BaseException):
    """Carries what is wrong with a sweep past Hydra, which makes warnings of callbacks' exceptions.

    Attributes
    ----------
    reason : InputError
        What to tell the user.
    """

    def __init__(self, reason: InputError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class SweepCallback(Callback):
    """Opens the parent run before Hydra fans out; `rsa_exp.app` finishes the sweep.

    Hydra does not call ``on_multirun_end`` when a job failed, so the end is not left to it.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002
        """Prepare the sweep's folder, the store and the parent run."""
        try:
            _begin(config)
        except InputError as error:
            raise SweepAborted(error) from error
        except OmegaConfBaseException as error:
            raise SweepAborted(InputError(first_line(error))) from error


def _begin(config: DictConfig) -> None:
    overrides = list(config.hydra.overrides.task)
    keys = swept_keys(overrides)
    tracking = OmegaConf.to_container(config.tracking, resolve=True)
    folder = output.claim_folder(Path(config.hydra.sweep.dir).absolute(), "sweep")
    store = None
    if isinstance(tracking, dict) and tracking["enabled"]:
        from rsa_exp.tracking import Store

        store = Store(Path(str(tracking["folder"])), str(tracking["experiment"]))
    swept = [text for text in overrides if text.lstrip("+").split("=", 1)[0] in keys]
    name = "sweep " + " ".join(swept) if swept else "sweep"
    Sweep(folder, keys, store, name, str(config.inference.family))


def swept_keys(overrides: list[str]) -> list[str]:
    """Keys that a multirun's overrides give more than one value."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    return [item.key_or_group for item in parsed if item.is_sweep_override()]


@dataclass(frozen=True)
class Membership:
    """What a job knows of the sweep it belongs to; nothing outside a multirun."""

    parent: str | None = None
    keys: tuple[str, ...] = ()
    mark: str | None = None


def membership() -> Membership:
    """Return the sweep that this process's job belongs to, also in a launcher's own process."""
    record = json.loads(os.environ.get(_ENVIRONMENT, "{}"))
    return Membership(record.get("parent"), tuple(record.get("keys", ())), record.get("mark"))


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
