"""Sweeps as Hydra makes them: its callback, its launchers, its count of the runs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, OmegaConf

from rsa_exp.cli.session import Session, current_session
from rsa_exp.errors import InputError
from rsa_exp.experiments.sweep import Sweep, SweepPlan
from rsa_exp.stats.parallel import n_workers
from rsa_exp.tracking.addresses import store_uri

__all__ = ["SweepAborted", "SweepCallback", "check_each_value_once"]

# Extras of rsa_exp that install Hydra's launchers.
_EXTRAS = {"hydra_joblib_launcher": "parallel", "hydra_submitit_launcher": "slurm"}

_check_batch = Sweeper.validate_batch_is_legal


class SweepAborted(BaseException):
    """Carries an error, its `reason`, past Hydra, which makes warnings of errors in callbacks."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class SweepCallback(Callback):
    """Starts the sweep before Hydra starts its runs; `rsa_exp.cli.app` finishes it.

    Hydra does not call ``on_multirun_end`` when a job failed, so the end is not left to it.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002
        """Prepare the launcher, the sweep's folder, and its run in the store."""
        try:
            session = current_session()
            if session is None:
                raise RuntimeError("a sweep is started by rsa_exp.cli.app.launch only")
            session.sweep = Sweep(_plan(config, session))
        except Exception as error:
            raise SweepAborted(error) from error


def _plan(config: DictConfig, session: Session) -> SweepPlan:
    overrides = _overrides(config)
    n_runs = _count_runs(config, overrides)
    _prepare_launcher(config, n_runs)
    tracking: Any = OmegaConf.to_container(config.tracking, resolve=True)
    store = ""
    if tracking["enabled"]:
        folder = Path(str(tracking["folder"])).expanduser()
        store = store_uri(folder, server=bool(tracking["server"]))
    return SweepPlan(
        folder=Path(config.hydra.sweep.dir).absolute(),
        resumed=session.resumed is not None,
        overrides=list(config.hydra.overrides.task),
        swept=_swept_values(overrides),
        n_runs=n_runs,
        command=shlex.join(["python", "-m", "rsa_exp", *session.typed]),
        store=store,
        experiment=str(tracking["experiment"]),
        figures=bool(config.figures.sweep),
    )


def _overrides(config: DictConfig) -> list[str]:
    """Return the settings of a sweep: its preset's, then what was typed."""
    params = config.hydra.sweeper.get("params") or {}
    return [f"{k}={v}" for k, v in params.items()] + list(config.hydra.overrides.task)


def _swept_values(overrides: list[str]) -> dict[str, str]:
    """Return the settings that have several values, with these; the last override of a key wins."""
    last = {item.key_or_group: item for item in OverridesParser.create().parse_overrides(overrides)}
    return {
        key: str(item.input_line).partition("=")[2]
        for key, item in last.items()
        if item.is_sweep_override()
    }


def _count_runs(config: DictConfig, overrides: list[str]) -> int:
    """Count the runs of a sweep; 0 where its sweeper decides as it goes."""
    if "max_batch_size" not in config.hydra.sweeper:  # not Hydra's own
        return 0
    loader = GlobalHydra.instance().config_loader()  # for glob()
    parsed = OverridesParser.create(loader).parse_overrides(overrides)
    values = {
        item.key_or_group: len(list(item.sweep_string_iterator()))
        if item.is_discrete_sweep()
        else 1
        for item in parsed
    }
    return math.prod(values.values())


def _prepare_launcher(config: DictConfig, n_runs: int) -> None:
    """Check that a launcher's plugin is installed, and start no more workers than there are runs.

    Workers share the cores evenly, whether they have something to do or not.
    """
    launcher = config.hydra.launcher
    module = str(launcher._target_).split(".")[1]
    extra = _EXTRAS.get(module)
    if extra is not None and find_spec(f"hydra_plugins.{module}") is None:
        raise InputError(
            f"hydra/launcher={config.hydra.runtime.choices['hydra/launcher']} is a plugin that is "
            f'not installed: pip install -e ".[{extra}]"'
        )
    if "n_jobs" in launcher and n_runs:
        wanted = launcher.n_jobs if launcher.n_jobs > 0 else n_workers()
        launcher.n_jobs = min(wanted, n_runs)


def check_each_value_once() -> None:
    """Let Hydra compose each value of a sweep, not each combination, before the first run.

    Composing takes about 0.1 s: for a sweep of 300 runs over 20 values, half a minute without any
    output. An error in a combination alone is found when it is run. Hydra takes sweepers from its
    own plugin packages only, so this is a method replaced, not a class derived.
    """
    Sweeper.validate_batch_is_legal = _check_values  # type: ignore[method-assign]


def _check_values(self: Sweeper, batch: Sequence[Sequence[str]]) -> None:
    seen: set[str] = set()
    chosen = []
    for overrides in batch:
        if not seen.issuperset(overrides):
            chosen.append(overrides)
            seen.update(overrides)
    _check_batch(self, chosen)
