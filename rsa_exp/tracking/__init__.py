"""MLflow: the only package that imports mlflow.

Runs go to a SQLite store under ``mlruns/`` unless ``MLFLOW_TRACKING_URI`` names another. mlflow
takes over a second to import, so its modules are imported when a run is tracked and not before.
"""
