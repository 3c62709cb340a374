"""mlflow's client, imported so that it is quiet, sends no telemetry and gives up soon."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

# Read by mlflow when it is imported.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# Runs of a server are announced by this project's own last line.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# A server that does not answer is given up after seconds, not after MLflow's four minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from rsa_exp.errors import InputError

__all__ = ["FAILURES", "connect", "explained", "raced", "reason"]

for _name in ("mlflow", "alembic", "urllib3"):  # stores line by line, every retry
    logging.getLogger(_name).setLevel(logging.ERROR)

# Its errors come with a traceback; they are reported in one line where they are caught.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)

FAILURES = (MlflowException, SQLAlchemyError, OSError, ImportError)
"""Exceptions of a store that cannot be used."""


_Answer = TypeVar("_Answer")

_CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
_STATUSES = {
    401: f"the server does not accept the credentials; set {_CREDENTIALS}",
    403: f"the server does not let this user do it; see {_CREDENTIALS}",
}
_SILENCE = ("Max retries exceeded", "Read timed out", "Connection aborted", "Connection refused")
# Errors of MLflow's store when two processes insert the same row: it looks first, then inserts.
_RACES = (
    "UNIQUE constraint failed", "UniqueViolation", "duplicate key", "already exists",
    "RESOURCE_ALREADY_EXISTS",
)  # fmt: skip
_ATTEMPTS = 6


def connect(uri: str) -> MlflowClient:
    """Return a client of a store."""
    return MlflowClient(uri)


def raced(call: Callable[[], _Answer]) -> _Answer:
    """Repeat what failed because another process made the same row at the same time."""
    for attempt in range(1, _ATTEMPTS):
        try:
            return call()
        except FAILURES as error:
            if not any(sign in str(error) for sign in _RACES):
                raise
        time.sleep(random.uniform(0.1, 0.5) * attempt)  # noqa: S311 - spreads the processes
    return call()


def _http_status(error: BaseException) -> int:
    """Return the status that a server answered with, 0 if none did."""
    response = getattr(error, "response", None)  # of an upload that went past MLflow's client
    if response is not None:
        return int(getattr(response, "status_code", 0))
    text = str(error)
    return next((status for status in _STATUSES if f"error code {status}" in text), 0)


def reason(error: BaseException) -> str:
    """Return the line of an error that gives the reason."""
    cause = getattr(error, "orig", None) or error
    text = str(getattr(cause, "message", cause)).strip()
    if (status := _http_status(error)) in _STATUSES:
        return _STATUSES[status]
    if any(sign in text for sign in _SILENCE):
        return "the server does not answer"
    return text.splitlines()[0][:300] if text else type(error).__name__


@contextmanager
def explained(problem: str, advice: str = "") -> Iterator[None]:
    """Raise what a store cannot do as an `InputError`: the problem, the reason, and advice."""
    try:
        yield
    except FAILURES as error:
        raise InputError(f"{problem}: {reason(error)}{advice}") from error
