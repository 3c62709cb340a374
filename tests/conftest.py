"""A small study of one's own files, and the command line run in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from studies import IMAGES, N_IMAGES, Files, Finished, random_rdms, write_rdms

from rsa_exp.cli.commands import COMMANDS
from rsa_exp.datasets.simulation import simulate_study

# Files whose few tests take longest, as they start processes: first, so that none is left for last.
SLOW_FILES = ("test_readme.py", "test_stores.py", "test_interrupts.py", "test_benchmarks.py")


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # xdist would begin with the files of most tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in SLOW_FILES)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "files"
    folder.mkdir()
    study = Files(folder)
    write_rdms(study.brain("A"), random_rdms(2, seed=1), ["V1", "V2"])
    write_rdms(study.brain("B"), random_rdms(2, seed=2), ["V1", "V2"])
    order = np.random.default_rng(3).permutation(N_IMAGES)
    images = [IMAGES[i] for i in order]
    write_rdms(study.model, random_rdms(3, seed=4), ["a", "b", "c"], images, row_key="layer")
    return study


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a simulated study of 60 images."""
    return simulate_study(tmp_path_factory.mktemp("simulated"), 60, 0)


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Finished]:
    """Run ``python -m rsa_exp`` in this process, in a folder of its own; nothing is tracked."""
    from rsa_exp.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")  # put back what the program sets
    monkeypatch.delenv("HYDRA_FULL_ERROR")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*arguments: str, tracking: str = "none", figures: str = "none") -> Finished:
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        settings = [f"tracking={tracking}", f"figures={figures}"]
        command = arguments and arguments[0] in COMMANDS
        bare = any(a.startswith("-") and a not in {"-m", "--multirun"} for a in arguments)
        extra = [] if command or bare else settings
        monkeypatch.setattr(sys, "argv", ["rsa_exp", *arguments, *extra])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return Finished(int(ended.value.code or 0), shown.out, shown.err)

    return run
