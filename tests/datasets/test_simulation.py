"""The simulated study: layout, determinism, and the planted result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rsatoolbox.rdm import load_rdm

from rsa_exp.datasets.simulation import LAYERS, ROIS, SUBJECTS, published_scores, simulate_study
from rsa_exp.errors import InputError
from rsa_exp.rdms.opening import open_study
from rsa_exp.stats.metrics.similarity import ModelRDMs


def score_tables(folder: Path, how: str) -> tuple[dict[str, np.ndarray], int]:
    brain = {s: folder / f"CSI{s}_BOLD5000_CORR_RDMs.h5" for s in SUBJECTS}
    with open_study(brain, folder / "ResNet50_CORR_RDMs.h5", align=how) as study:
        model = ModelRDMs([study.model_rdm(layer) for layer in LAYERS], "corr")
        groups = {s: [s] for s in SUBJECTS} | {"joint": list(SUBJECTS)}
        tables = {
            name: np.vstack([model.compare(study.brain_rdm(who, r)).scores for r in ROIS])
            for name, who in groups.items()
        }
        return tables, study.n_images


def errors(tables: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """RMSE from, and correlation with, the planted scores, per table."""
    truth = published_scores()
    out = {}
    for name, table in tables.items():
        planted = np.array([truth[name, roi] for roi in ROIS])
        rmse = float(np.sqrt(((table - planted) ** 2).mean()))
        out[name] = rmse, float(np.corrcoef(table.ravel(), planted.ravel())[0, 1])
    return out


def test_layout_is_rsatoolboxs(tiny_study: Path) -> None:
    brain = load_rdm(str(tiny_study / "CSI2_BOLD5000_CORR_RDMs.h5"))
    model = load_rdm(str(tiny_study / "ResNet50_CORR_RDMs.h5"))
    assert list(brain.rdm_descriptors["roi"]) == list(ROIS)
    assert list(model.rdm_descriptors["layer"]) == list(LAYERS)
    assert brain.dissimilarities.shape == (10, 60 * 59 // 2)
    assert brain.dissimilarity_measure == "correlation"
    brain_names, model_names = (list(r.pattern_descriptors["image"]) for r in (brain, model))
    assert all(name.endswith(".jpg") for name in model_names)
    assert [n.rpartition(".")[0] for n in brain_names] != [
        n.rpartition(".")[0] for n in model_names
    ]
    assert {n.rpartition(".")[0] for n in brain_names} == {
        n.rpartition(".")[0] for n in model_names
    }


def test_same_seed_same_bytes(tiny_study: Path, tmp_path: Path) -> None:
    again, other = (simulate_study(tmp_path, 60, seed) for seed in (0, 1))
    name = "CSI1_BOLD5000_CORR_RDMs.h5"
    values = [load_rdm(str(f / name)).dissimilarities for f in (tiny_study, again, other)]
    np.testing.assert_array_equal(values[0], values[1])
    assert abs(values[0] - values[2]).max() > 0.1
    assert {p.name for p in tmp_path.glob("[!.]*")} == {again.name, other.name}


def test_an_interrupted_simulation_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rsa_exp.datasets.simulation._patterns", interrupt)
    with pytest.raises(KeyboardInterrupt):
        simulate_study(tmp_path, 40, 0)
    assert [path.name for path in tmp_path.iterdir()] == [".simulating.lock"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".bold5000-like-n20-seed0-v1.1.part"
    left.mkdir()
    (left / "half.h5").write_bytes(b"x")
    folder = simulate_study(tmp_path, 20, 0)
    assert not left.exists()
    assert (folder / "study.json").is_file()


def test_planted_result_at_the_default_size(tmp_path: Path) -> None:
    tables, n_images = score_tables(simulate_study(tmp_path, 1000, 0), "stem")
    assert n_images == 1000
    for rmse, r in errors(tables).values():
        assert rmse < 0.004
        assert r > 0.97
    assert (tables["joint"].argmax(axis=1) == LAYERS.index("layer3")).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_result_at_full_size(tmp_path: Path, seed: int) -> None:
    tables, n_images = score_tables(simulate_study(tmp_path, 4916, seed), "exact")
    assert n_images == 2985
    for rmse, r in errors(tables).values():
        assert rmse < 0.004
        assert r > 0.97
    for table in tables.values():
        assert (table.argmax(axis=1) == LAYERS.index("layer3")).all()


def test_too_small_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 20"):
        simulate_study(tmp_path, 5, 0)
