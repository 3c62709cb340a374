"""Errors of the user's input explained in one line, those of Hydra and OmegaConf too."""

from __future__ import annotations

import errno
import os
import re

from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import OmegaConfBaseException

from rsa_exp.cli.commands import COMMANDS
from rsa_exp.config.compose import first_line
from rsa_exp.config.keys import known_keys
from rsa_exp.errors import InputError, listing, suggestion

__all__ = ["explain"]

# Keys that take a list.
_LISTS = ("roi", "layer", "data.subjects", "data.layers", "figures.names")


def explain(error: BaseException) -> str | None:
    """Explain in one line what is wrong with the user's input.

    None for an error that is a bug, whose traceback is wanted.
    """
    message = str(error)
    if isinstance(error, InputError):
        return message
    if isinstance(error, MissingConfigException):
        return _explain_missing(message)
    if isinstance(error, OverrideParseException):
        return _explain_override(str(error.override))
    if isinstance(error, ConfigCompositionException):
        return _explain_composition(message, error.__cause__)
    if isinstance(error, OmegaConfBaseException):
        return first_line(error)
    if type(error).__module__.startswith("submitit"):
        reason = " ".join(message.split()[:40])
        return (
            f"a job of the cluster failed, others may continue: {reason} (its output is in the "
            "sweep's .submitit/)"
        )
    if isinstance(error, RuntimeError) and "srun" in message:
        return f"this machine cannot start Slurm jobs: {message.splitlines()[0]}"
    if isinstance(error, HydraException):
        return " ".join(message.split())
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror}"
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
        return f"a file could not be written: {os.strerror(error.errno)}"
    if isinstance(error, ValueError) and message.startswith("Config group override must be"):
        return "a config group is null; name one of its options (see --help)"
    if isinstance(error, MemoryError):
        return f"not enough memory ({message or 'allocation failed'}); choose fewer images"
    return None


def _explain_missing(message: str) -> str:
    found = re.search(r"Could not find '([^']+)/([^'/]+)'", message)
    if found is None:
        return message.split("\n")[0]
    group, name = found.groups()
    listed = message.partition("Available options in")[2].partition("Config search path")[0]
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


def _explain_composition(message: str, cause: BaseException | None) -> str:
    if found := re.match(r"Could not override '([^']+)'", message):
        key = found.group(1)
        if key in known_keys():
            return f"{key} is a setting of another option of {key.partition('.')[0]}= (see --help)"
        return f"there is no key '{key}'{suggestion(key, known_keys())} (see --help)"
    if found := re.match(r"Error merging override (\S+)", message):
        reason = str(cause).splitlines()[0] if cause is not None else "it does not fit the schema"
        key = found.group(1).lstrip("+").split("=", 1)[0]
        known = known_keys()
        return f"{found.group(1)}: {reason}{'' if key in known else suggestion(key, known)}"
    if found := re.match(r"Ambiguous value for argument '([^=]+)=([^']*)'", message):
        key, values = found.groups()
        one_run = f", or write '{key}=[{values}]' for one run over all"
        return (
            f"{key}={values} has several values: add --multirun for one run each"
            f"{one_run if key in _LISTS else ''}"
        )
    if found := re.match(r"Sweep parameters '(.+)' requires --multirun", message):
        return f"{found.group(1)} has several values: add --multirun for one run each"
    return " ".join(message.split())
