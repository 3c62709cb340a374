"""Names and addresses of the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsa_exp.tracking.addresses import metric_name, store_uri


def test_metric_names_stay_apart_and_are_ones_mlflow_takes() -> None:
    names = ["V1/d", "V1_d", "V1 d", "V1$d", "😀", "😁", "ä", "ö", "..", ".", ""]
    escaped = [metric_name("score", name) for name in names]
    assert len(set(escaped)) == len(names)
    assert metric_name("score", "LHLOC", "layer3") == "score/LHLOC/layer3"
    assert all(name.isascii() and ".." not in name.split("/") for name in escaped)


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5001")
    assert store_uri(tmp_path) == "http://127.0.0.1:5001"
