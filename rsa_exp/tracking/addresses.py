"""The address of the tracking store and names that it accepts for metrics; without mlflow."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import xxhash

from rsa_exp.errors import InputError

__all__ = ["local_folder", "metric_name", "store_uri", "ui_command"]


_MAX_NAME = 250  # what MLflow takes


def store_uri(folder: Path, *, server: bool = False) -> str:
    """Return the store's address: ``MLFLOW_TRACKING_URI`` if set, else SQLite in `folder`.

    Raises
    ------
    InputError
        If it must be a server and the environment names none, or what it names cannot be used.
    """
    named = os.environ.get("MLFLOW_TRACKING_URI")
    if server and not named:
        raise InputError(
            "tracking=server needs the server's address: set MLFLOW_TRACKING_URI=http://HOST:PORT"
        )
    if not named:
        return f"sqlite:///{folder.absolute()}/mlflow.db"
    if "://" in named and "@" in named.split("://", 1)[1].split("/", 1)[0]:
        raise InputError(
            "MLFLOW_TRACKING_URI holds a user's name or password, which would be stored with "
            "every run; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        )
    if named.split(":", 1)[0].split("+", 1)[0] in {"postgresql", "mysql", "mssql"}:
        raise InputError(
            f"MLFLOW_TRACKING_URI={named} is a database, which cannot hold runs' files; start "
            "`mlflow server` on it and name that (docs/server.md)"
        )
    return named


def ui_command(folder: Path) -> str:
    """Return the command that shows a local store's runs, as typed from the current folder."""
    default = folder.absolute() == Path("mlruns").absolute()
    return "python -m rsa_exp ui" + ("" if default else f" --store {shlex.quote(str(folder))}")


def local_folder(uri: str) -> Path | None:
    """Folder of a SQLite store, where its artifacts and its lock are too; None for a server."""
    if not uri.startswith("sqlite:///"):
        return None
    path = uri.removeprefix("sqlite:///")
    if set("%?#") & set(path):
        raise InputError(f"the tracking store's path must not contain %, ? or #: {path}")
    return Path(path).absolute().parent


def metric_name(*parts: str) -> str:
    """Join parts of a metric's name with ``/``, with what MLflow refuses replaced by ``_``.

    MLflow takes letters, digits, ``_ - . :``, space and ``/``, and at most 250 of them. A
    changed part gets a digest of the original, so that two names never become one.
    """
    name = "/".join(map(_escaped, parts))
    if len(name) <= _MAX_NAME:
        return name
    return f"{name[: _MAX_NAME - 7]}-{xxhash.xxh3_64_hexdigest(name.encode())[:6]}"


def _escaped(part: str) -> str:
    plain = re.sub(r"[^\w\-. :]|^\.+$", "_", part, flags=re.ASCII)
    return (
        plain
        if plain == part and part
        else f"{plain}-{xxhash.xxh3_64_hexdigest(part.encode())[:6]}"
    )
