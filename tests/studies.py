"""Small studies of one's own files, for tests to break."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from rsa_exp.analysis.analyse import analyse
from rsa_exp.analysis.result import Result
from rsa_exp.rdms.opening import open_study

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


def analyse_files(
    files: Files, subjects: Sequence[str] = ("A", "B"), align: str = "stem", **arguments: object
) -> Result:
    """Analyse a study's files: subject A, and scores alone, unless something else is asked for."""
    with open_study({s: files.brain(s) for s in subjects}, files.model, align=align) as study:
        return analyse(study, **{"subject": "A", "inference": None, **arguments})


@dataclass
class Finished:
    status: int
    out: str
    err: str


@dataclass
class MemoryFiles:
    """The text files of a run that is nowhere on disk."""

    texts: Mapping[str, str]
    location: str = "memory"

    def read_text(self, name: str) -> str | None:
        return self.texts.get(name)

    def copy_to(self, folder: Path) -> list[Path]:
        raise AssertionError("a report copies no files")
