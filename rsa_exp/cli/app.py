"""The Hydra application: one job for each run, one sweep around a multirun, one line per error."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from rsa_exp import interrupts
from rsa_exp.cli.hydra_sweep import SweepAborted, check_each_value_once
from rsa_exp.cli.messages import explain
from rsa_exp.cli.resumption import resume_arguments
from rsa_exp.cli.session import Session, current_session, session
from rsa_exp.config.compose import from_hydra, register
from rsa_exp.config.groups import conf_dir
from rsa_exp.config.schema import DEFAULTS, Config
from rsa_exp.errors import InputError
from rsa_exp.experiments.membership import Membership
from rsa_exp.experiments.resume import find_valid_run, free_run_folder
from rsa_exp.experiments.run import RunSpec, execute, objective, record_failure
from rsa_exp.tracking.addresses import store_uri, ui_command

__all__ = ["launch"]

log = logging.getLogger("rsa_exp")


def launch(arguments: list[str]) -> int:
    """Start Hydra with command-line arguments, flags first, and return the exit status.

    It is 0, or 1 after an error that was explained in one line, or 130 after Ctrl-C.
    """
    typed = sys.argv[1:]
    arguments, resumed = resume_arguments(arguments)
    wants_traceback = "HYDRA_FULL_ERROR" in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what it would print
    sys.argv[1:] = arguments
    register()
    check_each_value_once()
    # Our settings of a launcher are meant to be checked against its plugin's schema of that name.
    warnings.filterwarnings("ignore", "(?s).*validated against ConfigStore schema with the same")
    os.environ.setdefault("PYTHONWARNINGS", "ignore::UserWarning:multiprocessing.process")
    with session(typed, resumed) as opened:
        failure = _finish_sweep(opened, _run_hydra())
    if failure is None:
        return 1 if opened.errors else 0
    if isinstance(failure, KeyboardInterrupt | SystemExit):
        if isinstance(failure, SystemExit) and failure.code not in interrupts.EXIT_CODES:
            raise failure  # argparse, or a flag of Hydra's that prints and ends
        print("\ninterrupted; finished runs are kept", file=sys.stderr)
        return 130 if isinstance(failure, KeyboardInterrupt) else int(failure.code or 0)
    line = None if wants_traceback else explain(failure)
    if line is None:
        raise failure
    print(f"error: {line}", file=sys.stderr)
    return 1


def _run_hydra() -> BaseException | None:
    """Let Hydra do one run or a multirun; return what ended it early."""
    start = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(_job)
    try:
        start()
        interrupts.checkpoint()
    except SweepAborted as aborted:
        return aborted.reason
    except BaseException as error:
        return error
    return None


def _finish_sweep(opened: Session, failure: BaseException | None) -> BaseException | None:
    """Finish the sweep, if one was started; return what is still to be reported."""
    sweep = opened.sweep
    if sweep is None:
        return failure
    interrupts.forget()
    ended = sweep.finish(failure or next(iter(opened.errors), None))
    if failure is None and ended not in opened.errors:
        failure = ended
    if failure is None and sweep.failures and not opened.errors:  # in processes of a launcher
        first = "; ".join(sweep.failures[:3])
        failure = InputError(f"{len(sweep.failures)} of the runs failed: {first}")
    return failure


def _job(composed: DictConfig) -> float:
    """Do one run: what Hydra calls, once or for every combination of a multirun.

    Returns `rsa_exp.experiments.run.objective`, for sweepers that search; NaN when the run failed.
    """
    hydra_config = HydraConfig.get()
    chosen = hydra_config.runtime.choices
    spec = RunSpec(
        folder=Path(hydra_config.runtime.output_dir),
        name="",
        overrides=list(hydra_config.overrides.task),
        sweep=Membership.from_environment(),
        choices={group: str(chosen[group]) for group in DEFAULTS if group in chosen},
    )
    multirun = hydra_config.mode == RunMode.MULTIRUN
    interrupts.checkpoint()
    try:
        config = from_hydra(composed)
        _refuse_model_group(config, spec.overrides)
        spec = replace(spec, name=spec.sweep.run_name(config, spec.overrides))
        valid = find_valid_run(spec.sweep, config, spec.overrides)
        if valid is not None:
            log.info("%s: finished before and still valid: %s", spec.name, valid)
            with suppress(OSError):  # the folder that Hydra made for it, if it is empty
                spec.folder.rmdir()
            return objective(valid, config)
        if spec.sweep.resumed:
            spec = replace(spec, folder=free_run_folder(spec.folder))
        finished = execute(config, spec, alone=not multirun)
    except InputError as error:
        _report_failure(error, spec, multirun=multirun)
        return float("nan")  # raised here, Hydra would print a line of its own before ours
    log.info("results: %s", finished.folder)
    if finished.address and not multirun:
        _print_address(finished.address, Path(config.tracking.folder))
    return finished.objective


def _print_address(address: str, store_folder: Path) -> None:
    if not address.startswith(store_uri(store_folder)):  # a server shows its runs itself
        log.info("compare it with other runs: %s", ui_command(store_folder))
    log.info(address)


def _report_failure(error: InputError, spec: RunSpec, *, multirun: bool) -> None:
    """Print why a run failed, and record it so that its sweep counts the run."""
    message = str(error)
    if (here := current_session()) is not None:  # else the process of the sweep reports it
        shown = "same error as above" if message in map(str, here.errors) else message
        here.errors.append(error)
        log.error(f"{spec.name}: {shown}" if spec.name and multirun else message)
    if multirun:
        with suppress(OSError, InputError):
            record_failure(replace(spec, name=spec.name or " ".join(spec.overrides)), message)


def _refuse_model_group(config: Config, overrides: list[str]) -> None:
    names = {text.partition("=")[0] for text in overrides} - {"model.image_names"}
    given = any(name == "model" or name.startswith("model.") for name in names)
    if given and config.has_data_model:
        raise InputError(
            "data=files does not use the model group, except model=features; set "
            "data.model=/path/to/RDMs.h5"
        )
