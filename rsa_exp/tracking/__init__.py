"""The MLflow side of runs: the only package that imports mlflow.

Runs go to a SQLite store under ``mlruns/`` unless ``MLFLOW_TRACKING_URI`` names another. mlflow
takes over a second to import, so this package is imported when a run is recorded and not before.
"""

from rsa_exp.tracking.reading import RunRecord, children, download, read
from rsa_exp.tracking.store import PARENT_TAG, UID_TAG, Store, existing_store
from rsa_exp.tracking.tracked import TrackedRun

__all__ = [
    "PARENT_TAG", "UID_TAG", "RunRecord", "Store", "TrackedRun", "children", "download",
    "existing_store", "read",
]  # fmt: skip
