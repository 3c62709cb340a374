"""Run a command and measure its time and memory; configs of single runs."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsa_exp.config.schema import Config, DataConfig

__all__ = ["config_of", "run", "warm"]


def run(command: list[str], folder: Path | None = None) -> tuple[str, float, float]:
    """Run a command in a process of its own.

    Returns
    -------
    text : str
        Its standard output.
    seconds, memory : float
        Wall time, and peak memory in GB (not less than the caller's at that moment).

    Raises
    ------
    SystemExit
        If it fails.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return text, time.perf_counter() - start, usage.ru_maxrss / 1e6


def warm(folder: Path) -> None:
    """Read a folder's RDM files into the page cache."""
    for path in folder.glob("*.h5"):
        with path.open("rb") as stream:
            while stream.read(1 << 24):
                pass


def config_of(data: DataConfig, inference: dict[str, Any] | None = None, **settings: Any) -> Config:
    """Make a run's settings: no figures, no tracking, and no inference unless it is given."""
    from rsa_exp.config.schema import (
        Config,
        FiguresConfig,
        InferenceConfig,
        ModelConfig,
        TrackingConfig,
    )

    nothing = {"bootstrap": "none", "n_perm": 0, "n_splits": 0, "ceiling": "none"}
    return Config(
        data=data,
        model=ModelConfig(),
        inference=InferenceConfig(**(nothing if inference is None else inference)),
        figures=FiguresConfig(),
        tracking=TrackingConfig(enabled=False),
        **settings,
    )
