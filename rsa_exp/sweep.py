"""What happens around a multirun: one parent run in the store, and one table over all runs."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from rsa_exp import output
from rsa_exp.errors import InputError

if TYPE_CHECKING:
    from rsa_exp.schema import Config
    from rsa_exp.tracking import Store, TrackedRun

__all__ = ["Sweep", "SweepCallback", "parent_of_this_job", "run_name", "swept_keys"]

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
        Where its runs' folders are.
    parent : TrackedRun or None
        The run in the store that its runs are children of.
    """

    current: Sweep | None = None

    def __init__(self, folder: Path, keys: list[str], store: Store | None, name: str) -> None:
        self.folder = folder
        self.parent: TrackedRun | None = None
        if store is not None:
            tags = {"sweep": "true", "folder": str(folder)}
            self.parent = store.start(name, {"swept": ", ".join(keys)}, tags)
        record = {"parent": self.parent and self.parent.run_id, "keys": keys}
        os.environ[_ENVIRONMENT] = json.dumps(record)
        Sweep.current = self

    def finish(self, error: BaseException | None) -> None:
        """Write the table over all runs, end the parent run, and say where everything is.

        Parameters
        ----------
        error : BaseException or None
            What ended the sweep early, if anything did.
        """
        Sweep.current = None
        os.environ.pop(_ENVIRONMENT, None)
        finished = sorted(
            (path.parent for path in self.folder.glob("*/provenance.json")),
            key=lambda path: (len(path.name), path.name),
        )
        if finished:
            import pandas as pd

            tables = [output.read_scores(folder / "scores.csv") for folder in finished]
            scores = pd.concat(tables, ignore_index=True)
            path = output.write_scores(self.folder / "scores.csv", scores)
            count = len(list(self.folder.glob("*/.hydra")))
            log.info("\n%d of %d runs finished; all their scores: %s", len(finished), count, path)
        if self.parent is not None:
            self._end_parent(self.parent, finished, error)
            if finished:
                log.info("figures and files of each run are beside it; compare the runs with")
                log.info("  python -m rsa_exp ui")
                log.info(self.parent.store.address(self.parent.run_id, children=True))
        elif finished:
            log.info("results: %s", self.folder)

    def _end_parent(
        self, parent: TrackedRun, finished: list[Path], error: BaseException | None
    ) -> None:
        killed = isinstance(error, KeyboardInterrupt | SystemExit)
        status = "KILLED" if killed else "FAILED" if error is not None else "FINISHED"
        try:
            for name in ("scores.csv", "multirun.yaml"):
                if (self.folder / name).is_file():
                    parent.log_file(self.folder / name)
            parent.log(metrics=[("n_finished", float(len(finished)), 0)])
            parent.end(status, str(error) or type(error).__name__ if error is not None else None)
        except Exception as second:
            log.warning("the sweep's run %s could not be ended: %s", parent.run_id, second)


class SweepCallback(Callback):
    """Opens the parent run before Hydra fans out; `rsa_exp.__main__` finishes the sweep.

    Hydra does not call ``on_multirun_end`` when a job failed, so the end is not left to it.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002
        """Prepare the sweep's folder, the store and the parent run."""
        from rsa_exp.config import first_line

        overrides = list(config.hydra.overrides.task)
        keys = swept_keys(overrides)
        folder = output.prepare_folder(Path(config.hydra.sweep.dir).absolute())
        store = None
        try:
            tracking = OmegaConf.to_container(config.tracking, resolve=True)
        except Exception as error:
            raise InputError(first_line(error)) from error
        if isinstance(tracking, dict) and tracking["enabled"]:
            from rsa_exp.tracking import Store

            store = Store(Path(str(tracking["folder"])), str(tracking["experiment"]))
        swept = [text for text in overrides if text.lstrip("+").split("=", 1)[0] in keys]
        Sweep(folder, keys, store, "sweep " + " ".join(swept) if swept else "sweep")


def swept_keys(overrides: list[str]) -> list[str]:
    """Keys that a multirun's overrides give more than one value."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    return [item.key_or_group for item in parsed if item.is_sweep_override()]


def parent_of_this_job() -> tuple[str | None, list[str]]:
    """Return the parent run's id and the swept keys; (None, []) outside a multirun."""
    record = json.loads(os.environ.get(_ENVIRONMENT, "{}"))
    return record.get("parent"), record.get("keys", [])


def run_name(config: Config, overrides: list[str], keys: list[str]) -> str:
    """Name a run by what tells it from the others: subject, metric, and what else was swept.

    Parameters
    ----------
    config : Config
        The run's config.
    overrides : list of str
        The run's own overrides, ``key=value``.
    keys : list of str
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
