"""mlflow's client, imported as this project wants it: quiet, without telemetry, soon giving up."""

from __future__ import annotations

import logging
import os

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

__all__ = ["FAILURES", "connect", "reason"]

for _name in ("mlflow", "alembic", "urllib3"):  # stores line by line, every retry
    logging.getLogger(_name).setLevel(logging.ERROR)

FAILURES = (MlflowException, SQLAlchemyError, OSError, ImportError)
"""What a store that cannot be used raises."""


_MEANINGS = {
    "Max retries exceeded": "the server does not answer",
    "Read timed out": "the server does not answer in time",
    "error code 401": "the server asks who you are: set MLFLOW_TRACKING_USERNAME and "
    "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    "error code 403": "the server does not let this user do it: see MLFLOW_TRACKING_USERNAME and "
    "MLFLOW_TRACKING_PASSWORD",
}


def connect(uri: str) -> MlflowClient:
    """Return a client of a store."""
    return MlflowClient(uri)


def reason(error: BaseException) -> str:
    """Return the line of an error that says why."""
    cause = getattr(error, "orig", None) or error
    text = str(getattr(cause, "message", cause)).strip()
    for sign, meaning in _MEANINGS.items():
        if sign in text:
            return meaning
    return text.splitlines()[0][:300] if text else type(error).__name__
