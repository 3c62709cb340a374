"""A small study of one's own files, and the command line run in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from rsa_exp.data.simulated import simulate_study

N_IMAGES = 9
IMAGES = [f"img{i:02d}.jpg" for i in range(N_IMAGES)]


def write_rdms(
    path: Path,
    rdms: np.ndarray,
    rows: Sequence[str],
    images: Sequence[str] = IMAGES,
    *,
    image_key: str = "image",
    row_key: str = "roi",
) -> Path:
    """Write an RDM file in rsatoolbox's layout."""
    with h5py.File(path, "w") as file:
        file.attrs["dissimilarity_measure"] = "correlation"
        file.create_group("descriptors")
        file["dissimilarities"] = rdms
        file[f"pattern_descriptors/{image_key}"] = np.array(images, dtype="S")
        file["pattern_descriptors/index"] = np.arange(len(images))
        file[f"rdm_descriptors/{row_key}"] = np.array(rows, dtype="S")
        file["rdm_descriptors/index"] = np.arange(len(rows))
    return path


def random_rdms(n_rdm: int, n_cond: int = N_IMAGES, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n_rdm, n_cond * (n_cond - 1) // 2))


@dataclass
class Files:
    """Brain files A_RDMs.h5 and B_RDMs.h5 with ROIs V1, V2, and models.h5 with three layers."""

    folder: Path

    @property
    def arguments(self) -> list[str]:
        return [
            "data=files",
            f"data.root={self.folder}",
            "data.brain='{subject}_RDMs.h5'",
            "data.model=models.h5",
            "data.subjects=[A,B]",
            "subject=A",
        ]

    def brain(self, subject: str = "A") -> Path:
        return self.folder / f"{subject}_RDMs.h5"

    @property
    def model(self) -> Path:
        return self.folder / "models.h5"


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


@dataclass
class Finished:
    status: int
    out: str
    err: str


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Finished]:
    """Run ``python -m rsa_exp`` in this process, in a folder of its own; nothing is tracked."""
    from rsa_exp.__main__ import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")  # put back what the program sets
    monkeypatch.delenv("HYDRA_FULL_ERROR")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*arguments: str, tracking: str = "none", figures: str = "none") -> Finished:
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        settings = [f"tracking={tracking}", f"figures={figures}"]
        command = arguments and arguments[0] in {"reproduce", "ui"}
        bare = any(a.startswith("-") and a not in {"-m", "--multirun"} for a in arguments)
        extra = [] if command or bare else settings
        monkeypatch.setattr(sys, "argv", ["rsa_exp", *arguments, *extra])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return Finished(int(ended.value.code or 0), shown.out, shown.err)

    return run
