"""The Hydra application: one job per run, one parent per multirun, one line per error."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from rsa_exp import interrupts
from rsa_exp.cli.arguments import COMMANDS
from rsa_exp.cli.sweeper import check_each_value_once
from rsa_exp.cli.terminal import ui_command
from rsa_exp.config import compose as settings
from rsa_exp.config.schema import DEFAULTS, FilesData, known_keys
from rsa_exp.errors import InputError, listing, suggestion
from rsa_exp.experiments.membership import membership, run_name
from rsa_exp.experiments.resume import earlier, go_on, place
from rsa_exp.experiments.run import JobSpec, execute, file_failure, objective
from rsa_exp.experiments.sweep import Sweep, SweepAborted
from rsa_exp.tracking.addresses import store_uri

__all__ = ["explain", "launch"]

log = logging.getLogger("rsa_exp")

# Keys that take a list.
_LISTS = ("roi", "layer", "data.subjects", "data.layers", "figures.names")
# What jobs of this process ended with, told to the user when it happened.
_failures: list[InputError] = []


def launch(arguments: list[str]) -> int:
    """Start Hydra with command-line arguments and return the exit status.

    Parameters
    ----------
    arguments : list of str
        Flags first, then overrides, as `rsa_exp.cli.arguments.normalise` puts them.

    Returns
    -------
    int
        0, or 1 after an error that was explained in one line, or 130 after Ctrl-C.
    """
    Sweep.typed = sys.argv[1:]
    arguments, Sweep.resuming = go_on(arguments)
    wants_traceback = "HYDRA_FULL_ERROR" in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what it would print
    sys.argv[1:] = arguments
    settings.register()
    check_each_value_once()
    # Our settings of a launcher are checked against its plugin's schema of the same name, as meant.
    warnings.filterwarnings("ignore", "(?s).*validated against ConfigStore schema with the same")
    os.environ.setdefault("PYTHONWARNINGS", "ignore::UserWarning:multiprocessing.process")
    _failures.clear()
    start = hydra.main(
        version_base="1.3", config_path=str(settings.conf_dir()), config_name="config"
    )(_job)
    failure: BaseException | None = None
    try:
        start()
        interrupts.checkpoint()
    except SweepAborted as aborted:
        failure = aborted.reason
    except BaseException as error:
        failure = error
    if (sweep := Sweep.current) is not None:
        interrupts.forget()
        ended = sweep.finish(failure or next(iter(_failures), None))
        failure = failure or (None if ended in _failures else ended)
        if failure is None and sweep.failures and not _failures:  # in processes of a launcher
            failure = InputError(
                f"{len(sweep.failures)} of the runs failed: {'; '.join(sweep.failures[:3])}"
            )
    if failure is None:
        return 1 if _failures else 0
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


def _job(composed: DictConfig) -> float:
    """Do one run: what Hydra calls, once or for every combination of a multirun.

    Returns
    -------
    float
        As `rsa_exp.experiments.run.objective` gives it, for sweepers that search; NaN when the run failed.
    """
    hydra_config = HydraConfig.get()
    overrides = list(hydra_config.overrides.task)
    multirun = hydra_config.mode == RunMode.MULTIRUN
    chosen = hydra_config.runtime.choices
    choices = {group: str(chosen[group]) for group in DEFAULTS if group in chosen}
    sweep = membership()
    name, folder = "", Path(hydra_config.runtime.output_dir)
    interrupts.checkpoint()
    try:
        config = settings.from_hydra(composed)
        if isinstance(config.data, FilesData) and _sets_model(overrides):
            raise InputError(
                "data=files does not use the model group; set data.model=/path/to/RDMs.h5"
            )
        name = run_name(config, overrides, sweep.keys)
        kept = earlier(sweep, config, overrides)
        if kept is not None:
            log.info("%s: finished before, kept in %s", name, kept)
            _remove_if_empty(folder)
            return objective(kept, config)
        if sweep.resumed is not None:
            folder = place(folder)
        spec = JobSpec(
            folder, name, overrides, sweep.parent, sweep.mark, sweep.folder, choices=choices
        )  # fmt: skip
        outcome = execute(config, spec)
    except InputError as error:
        said = str(error) in map(str, _failures)
        _failures.append(error)
        if not multirun or Sweep.current is not None:  # else the sweep's own process says it
            reason = "the same" if said else str(error)
            log.error(f"{name}: {reason}" if name and multirun else str(error))  # noqa: TRY400
        if multirun:
            with suppress(OSError, InputError):
                name = name or " ".join(overrides)
                file_failure(folder, name, overrides, choices, sweep, str(error))
        return float("nan")  # raised here, Hydra would print a line of its own before ours
    log.info("results: %s", outcome.folder)
    if outcome.address and not multirun:
        if not outcome.address.startswith(store_uri(Path(config.tracking.folder))):
            log.info("compare it with other runs: %s", ui_command(Path(config.tracking.folder)))
        log.info(outcome.address)
    return outcome.objective


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _sets_model(overrides: list[str]) -> bool:
    return any(text.startswith(("model=", "model.")) for text in overrides)


def explain(error: BaseException) -> str | None:
    """Say in one line what is wrong with the user's input.

    Parameters
    ----------
    error : BaseException
        What ended the program.

    Returns
    -------
    str or None
        None when the error is not the user's: then its traceback is wanted.
    """
    text = str(error)
    if isinstance(error, InputError):
        return text
    if isinstance(error, MissingConfigException):
        return _explain_missing(text)
    if isinstance(error, OverrideParseException):
        return _explain_override(str(error.override))
    if isinstance(error, ConfigCompositionException):
        return _explain_composition(text, error.__cause__)
    if isinstance(error, OmegaConfBaseException):
        return settings.first_line(error)
    if type(error).__module__.startswith("submitit"):
        reason = " ".join(text.split()[:40])
        return (
            f"a job of the cluster failed, others may go on: {reason} (its output is in the "
            "sweep's .submitit/)"
        )
    if isinstance(error, RuntimeError) and "srun" in text:
        return f"this machine cannot start Slurm jobs: {text.splitlines()[0]}"
    if isinstance(error, HydraException):
        return " ".join(text.split())
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror}"
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
        return f"a file could not be written: {os.strerror(error.errno)}"
    if isinstance(error, MemoryError):
        return f"there is not enough memory ({text or 'allocation failed'}); choose fewer images"
    return None


def _explain_missing(text: str) -> str:
    found = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if found is None:
        return text.split("\n")[0]
    group, name = found.groups()
    listed = text.partition("Available options in")[2].partition("Config search path")[0]
    options = [line.strip() for line in listed.splitlines()[1:] if line.strip()]
    return f"{group}={name} is not one of {listing(options)}{suggestion(name, options)}"


def _explain_override(override: str) -> str:
    if "=" not in override:
        return (
            f"'{override}' is neither KEY=VALUE nor a command ({', '.join(COMMANDS)})"
            f"{suggestion(override, COMMANDS)}"
        )
    key, _, value = override.partition("=")
    if found := re.match(r"\+*(data\.(?:rois|sources))\.(\d.*)", key):
        return (
            f"{key}: a name that begins with a digit is written "
            f"'{found.group(1)}={{{found.group(2)}:{value}}}'"
        )
    if "{subject}" in value:
        return f"{key} has braces, which need two pairs of quotes: \"{key}='{value}'\""
    if value.startswith("["):
        return f"{override} cannot be read; a list is written \"{key}=['FIRST NAME',second]\""
    escaped = value.replace("'", "\\'")
    return (
        f"{override} cannot be read; put a value with special characters in two pairs of quotes: "
        f"\"{key}='{escaped}'\""
    )


def _explain_composition(text: str, cause: BaseException | None) -> str:
    if found := re.match(r"Could not override '([^']+)'", text):
        key = found.group(1)
        return f"there is no key '{key}'{suggestion(key, known_keys())} (see --help)"
    if found := re.match(r"Error merging override (\S+)", text):
        reason = str(cause).splitlines()[0] if cause is not None else "it does not fit the schema"
        key = found.group(1).lstrip("+").split("=", 1)[0]
        known = known_keys()
        return f"{found.group(1)}: {reason}{'' if key in known else suggestion(key, known)}"
    if found := re.match(r"Ambiguous value for argument '([^=]+)=([^']*)'", text):
        key, values = found.groups()
        over_all = f", or write '{key}=[{values}]' for one run over all"
        return (
            f"{key}={values} has several values: add --multirun for one run each"
            f"{over_all if key in _LISTS else ''}"
        )
    if found := re.match(r"Sweep parameters '(.+)' requires --multirun", text):
        return f"{found.group(1)} has several values: add --multirun for one run each"
    return " ".join(text.split())
