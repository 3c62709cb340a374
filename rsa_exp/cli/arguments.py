"""The command line before Hydra reads it: flags in any position, ids as they are written."""

from __future__ import annotations

import re
from pathlib import Path

from rsa_exp.config.quoting import needs_quotes, quoted
from rsa_exp.errors import InputError, listing, suggestion

__all__ = ["normalise"]

_FLAGS = {
    "--multirun": False, "-m": False, "--run": False, "-r": False, "--resolve": False,
    "--hydra-help": False, "--version": False, "--help": False, "-h": False,
    "--cfg": True, "-c": True, "--package": True, "-p": True, "--info": True, "-i": True,
    "--config-path": True, "-cp": True, "--config-name": True, "-cn": True, "--config-dir": True,
    "-cd": True, "--shell-completion": False, "-sc": False,
}  # fmt: skip
_CHOICES = dict.fromkeys(("--cfg", "-c"), ("job", "hydra", "all"))
# Their values are names: 1_2 is not the number 12, 01 not 1.
_NAMES = re.compile(r"^(subject|roi|layer|data\.subjects|data\.layers)=(.*)$", re.DOTALL)
# Tables that users add entries to; Hydra would refuse a new entry without the plus signs.
_TABLE = re.compile(r"^data\.(rois|sources)[.=]")
_GLOB = re.compile(r"^(subject|roi|layer|images|metric|align|data\.\w+)=glob\(")


def normalise(arguments: list[str]) -> list[str]:
    """Put flags before overrides and quote values that Hydra would misread.

    Raises
    ------
    InputError
        If a flag is unknown or lacks its value, or Hydra would silently ignore an override.
    """
    flags: list[str] = []
    overrides: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            overrides.append(_override(argument))
            continue
        name, equals, _ = argument.partition("=")
        if name not in _FLAGS:
            raise InputError(
                f"unknown flag {name} (there are {listing(f for f in _FLAGS if len(f) > 3)})"
                f"{suggestion(name, _FLAGS)}"
            )
        flags.append(argument)
        if _FLAGS[name] and not equals:
            value = next(rest, None)
            if value is None:
                raise InputError(f"{name} needs a value, for example --cfg job")
            flags.append(value)
        choices = _CHOICES.get(name)
        chosen = flags[-1].rpartition("=")[2]
        if choices is not None and chosen not in choices:
            raise InputError(
                f"{name} {chosen}: not one of {listing(choices)}{suggestion(chosen, choices)}"
            )
    return flags + overrides


def _override(text: str) -> str:
    key, equals, value = text.partition("=")
    if equals and not key:
        raise InputError(f"'{text}' has no key: write KEY=VALUE")
    if key in {"output_dir", "tracking.folder"}:
        if not value:
            raise InputError(f"{key} is empty; name a folder")
        if value.startswith("~"):
            text = f"{key}={Path(value).expanduser()}"
    if _GLOB.match(text):
        key = text.split("=", 1)[0]
        raise InputError(
            f"{text}: glob() chooses among config files, not among names, and would run nothing; "
            f"for one run over all names that match write {key}='PATTERN'"
        )
    if _TABLE.match(text):
        return f"++{text}"
    found = _NAMES.match(text)
    if found is None:
        return f"{key}='{value}'" if needs_quotes(value) else text
    key, value = found.groups()
    inner = value[1:-1] if value.startswith("[") and value.endswith("]") else None
    if inner is not None and not any(sign in inner for sign in "[]'\"()"):
        return f"{key}=[{quoted(inner)}]"
    return text if any(sign in value for sign in "[]'\"()") else f"{key}={quoted(value)}"
