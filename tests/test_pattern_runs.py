"""Studies of responses and features as users type them: scores, records, sweeps, reproduction."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import rsatoolbox
import yaml
from rsatoolbox.data import Dataset
from studies import Finished, write_rdms
from sweeps import sweep_of

Cli = Callable[..., Finished]
N_IMAGES, N_SHARED = 60, 12
IMAGES = [f"img{i:03d}.jpg" for i in range(N_IMAGES)]
# Images of each subject: shared ones, then ones of their own; subject 3 saw half as many.
SAW = {
    "1": [*range(24)],
    "2": [*range(N_SHARED), *range(24, 36)],
    "3": [*range(N_SHARED)],
}
LAYERS = ("conv1", "conv2", "conv10")


class Patterns:
    """Files 1.npz, 2.npz, 3.npz (V1, V4, in runs) and net.npz (three layers), in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        rng = np.random.default_rng(0)
        latent = rng.standard_normal((N_IMAGES, 5))
        self.features = {
            name: latent @ rng.standard_normal((5, 8)) + depth * rng.standard_normal((N_IMAGES, 8))
            for depth, name in enumerate(LAYERS)
        }
        np.savez(folder / "net.npz", image=np.array(IMAGES), **self.features)
        self.rois: dict[str, dict[str, np.ndarray]] = {}
        self.rows: dict[str, np.ndarray] = {}
        self.runs: dict[str, np.ndarray] = {}
        for subject, saw in SAW.items():
            n_run, n_voxel = 2 + int(subject), 6 + int(subject)
            rows = np.concatenate([rng.permutation(saw) for _ in range(n_run)])
            self.rows[subject], self.runs[subject] = rows, np.repeat(np.arange(n_run), len(saw))
            self.rois[subject] = {
                roi: latent[rows] @ rng.standard_normal((5, n_voxel))
                + rng.standard_normal((len(rows), n_voxel))
                for roi in ("V1", "V4")
            }
            np.savez(folder / f"{subject}.npz", **self.labels(subject), **self.rois[subject])

    def labels(self, subject: str) -> dict[str, np.ndarray]:
        names = np.array([IMAGES[i] for i in self.rows[subject]])
        return {"image": names, "run": self.runs[subject]}

    def settings(self, brain: str = "{subject}.npz", model: str = "net.npz") -> list[str]:
        return [
            "data=patterns", f"data.root={self.folder}", f"data.brain='{brain}'",
            "data.subjects=[1,2,3]", f"model.file={model}",
        ]  # fmt: skip


@pytest.fixture
def study(tmp_path: Path) -> Patterns:
    return Patterns(tmp_path / "study")


@pytest.fixture
def run(cli: Cli, tmp_path: Path) -> Callable[..., tuple[Path, Finished]]:
    """Do one run without inference, and return its folder."""

    def finish(*settings: str, tracking: str = "none") -> tuple[Path, Finished]:
        where = tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
        given = [*settings, "inference=none", f"hydra.run.dir={where}"]
        finished = cli(*given, tracking=tracking)
        assert finished.status == 0, finished.err
        return where, finished

    return finish


def scores(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "scores.csv", dtype={"subject": str})
    return table.set_index(["roi", "layer"])["score"].sort_index()


def test_formats_of_responses_and_features_give_the_same_scores(
    study: Patterns, run: Callable[..., tuple[Path, Finished]]
) -> None:
    for subject, rois in study.rois.items():
        labels = study.labels(subject)
        with h5py.File(study.folder / f"{subject}.h5", "w") as file:
            file["image"], file["run"] = labels["image"].astype("S"), labels["run"]
            for roi, values in rois.items():
                file[f"patterns/{roi}"] = values
        folder = study.folder / f"npy{subject}"
        folder.mkdir()
        for roi, values in rois.items():
            np.save(folder / f"{roi}.npy", values)
        (study.folder / f"{subject}.txt").write_text("\n".join(labels["image"]) + "\n")
    for layer, values in study.features.items():
        folder = study.folder / "thingsvision" / layer
        folder.mkdir(parents=True)
        np.save(folder / "features.npy", values)
        (folder / "file_names.txt").write_text("\n".join(IMAGES))
    table = pd.DataFrame(study.features["conv1"], columns=[f"unit{i}" for i in range(8)])
    table.insert(0, "image", IMAGES)
    table.to_csv(study.folder / "conv1.csv", index=False)

    expected = scores(run(*study.settings())[0])
    assert len(expected) == 2 * len(LAYERS)
    listed = "data.image_names='{subject}.txt'"
    for brain, model, *others in (
        ("{subject}.h5", "thingsvision"),
        ("npy{subject}", "net.npz", listed),
        ("{subject}.npz", "conv1.csv"),
    ):
        found = scores(run(*study.settings(brain, model), *others)[0])
        pd.testing.assert_series_equal(found, expected[found.index], rtol=1e-12)


def test_scores_are_those_of_rsatoolboxs_crossnobis_rdms(
    study: Patterns, run: Callable[..., tuple[Path, Finished]]
) -> None:
    folder, _ = run(*study.settings(), "data.distance=crossnobis", "data.noise=diag", "subject=2")
    common = np.isin(study.rows["2"], range(N_SHARED))
    names = study.labels("2")["image"]
    order = sorted(IMAGES[:N_SHARED])
    for roi, values in study.rois["2"].items():
        dof = len(values) - len(SAW["2"])
        residuals = values.copy()
        for image in SAW["2"]:
            residuals[study.rows["2"] == image] -= values[study.rows["2"] == image].mean(axis=0)
        precision = np.diag(1 / ((residuals**2).sum(axis=0) / dof))
        data = Dataset(
            values[common], obs_descriptors={"image": names[common], "run": study.runs["2"][common]}
        )
        brain = rsatoolbox.rdm.calc_rdm(
            data, "crossnobis", descriptor="image", noise=precision, cv_descriptor="run"
        )
        assert list(brain.pattern_descriptors["image"]) == order
        for layer, features in study.features.items():
            model = 1 - np.corrcoef(features[:N_SHARED])[np.triu_indices(N_SHARED, 1)]
            expected = np.corrcoef(brain.dissimilarities[0], model)[0, 1]
            assert scores(folder)[roi, layer] == pytest.approx(expected, abs=1e-10)


def test_rdms_of_one_side_and_patterns_of_the_other(
    study: Patterns, run: Callable[..., tuple[Path, Finished]]
) -> None:
    half = np.triu_indices(N_IMAGES, 1)
    rdms = [(1 - np.corrcoef(values))[half] for values in study.features.values()]
    write_rdms(study.folder / "net.h5", np.array(rdms), LAYERS, IMAGES, row_key="layer")
    expected = scores(run(*study.settings())[0])
    found = scores(run(*study.settings(model="net.h5"), "model=rdms")[0])
    pd.testing.assert_series_equal(found, expected, rtol=1e-12)
    write_rdms(study.folder / "own.h5", np.array(rdms[:1]), ["V1"], IMAGES)
    folder, _ = run(
        "data=files", f"data.root={study.folder}", "data.brain=own.h5", "data.subjects=[1]",
        "model=features", "model.file=net.npz",
    )  # fmt: skip
    assert scores(folder)["V1", "conv1"] == pytest.approx(1)


def test_each_subjects_own_images_in_a_sweep_and_its_report(study: Patterns, cli: Cli) -> None:
    few = ["inference.n_boot=100", "inference.n_perm=20", "inference.n_splits=5"]
    settings = [*study.settings(), "match=subject", "subject=1,2,3,group", "-m", *few]
    finished = cli(*settings, tracking="local")
    assert finished.status == 0, finished.err
    sweep = sweep_of(Path.cwd())
    table = pd.read_csv(sweep / "scores.csv", dtype={"subject": str})
    counts = table.groupby("subject")["n_images"].unique().map(list).to_dict()
    assert counts == {"1": [24], "2": [24], "3": [12], "group": [12]}
    has_ceiling = table.groupby("subject")["ceiling_low"].count() > 0
    assert has_ceiling.to_dict() == {"1": False, "2": False, "3": False, "group": True}
    assert "there is no noise ceiling, which needs images that all subjects saw" in finished.out
    report = (sweep / "report.html").read_text()
    assert "(own patterns), in" in report
    assert "net (features)" in report
    assert "rest on the images that this subject saw (12, 24; match=subject)" in report

    (sweep / "1" / "scores.csv").unlink()
    again = cli(f"resume={sweep}", tracking="local")
    assert again.status == 0, again.err
    assert again.out.count("finished before and still valid") == 3
    assert "4 of 4 runs finished" in again.out
    repeated = cli("reproduce", str(sweep))
    assert (repeated.status, repeated.out.splitlines()[-1]) == (
        0, "identical: of 4 runs 4 identical",
    )  # fmt: skip


def test_the_report_of_own_rdms_and_features(study: Patterns, cli: Cli) -> None:
    rdm = 1 - np.corrcoef(study.features["conv1"])[np.triu_indices(N_IMAGES, 1)]
    for subject in "AB":
        write_rdms(study.folder / f"{subject}.h5", rdm[None], ["V1"], IMAGES)
    finished = cli(
        "data=files", f"data.root={study.folder}", "data.brain='{subject}.h5'",
        "data.subjects=[A,B]", "subject=A,B", "-m", "model=features", "model.file=net.npz",
        "model.distance=euclidean", "inference=none",
    )  # fmt: skip
    assert finished.status == 0, finished.err
    report = (sweep_of(Path.cwd()) / "report.html").read_text()
    assert "of features, distance=euclidean" in report


def test_runs_on_as_many_but_other_images_are_told_apart(study: Patterns, cli: Cli) -> None:
    """Subjects 1 and 2 saw 24 images each, of which half are the same."""
    settings = [*study.settings(), "match=subject", "subject=1,2", "-m", "inference=none"]
    assert cli(*settings).status == 0
    report = (sweep_of(Path.cwd()) / "report.html").read_text()
    assert "rest on the images that this subject saw (24; match=subject)" in report


def test_a_record_is_reproduced_where_files_are_now_and_names_what_changed(
    study: Patterns, run: Callable[..., tuple[Path, Finished]], cli: Cli, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    for subject, rois in study.rois.items():
        around = {roi: rng.standard_normal((40, v.shape[1])) for roi, v in rois.items()}
        times = np.array([f"t{i}" for i in range(40)])
        np.savez(study.folder / f"residuals{subject}.npz", image=times, **around)
    noise = ["data.noise=shrinkage_diag", "data.residuals='residuals{subject}.npz'"]
    settings = [*study.settings(), "data.distance=crossnobis", *noise]
    folder, _ = run(*settings, tracking="local")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert (config["data"]["distance"], config["data"]["folds"]) == ("crossnobis", "run")
    record = json.loads((folder / "provenance.json").read_text())
    assert record["computed_from"]["scores"] in {"rdms", "patterns"}
    (brain, model) = record["inputs"]
    assert list(brain["rows"]) == ["V1", "V4", "residuals of V1", "residuals of V4"]
    assert list(model["rows"]) == list(LAYERS)
    facts = pd.read_csv(folder / "patterns.csv", dtype={"subject": str}).set_index("name")
    assert facts["n_row"].to_dict() == dict.fromkeys(LAYERS, 60) | {"V1": 72, "V4": 72}
    assert facts["n_fold"].dropna().to_dict() == {"V1": 3, "V4": 3}
    assert facts["subject"].isna().to_list() == [True] * 3 + [False] * 2

    moved = tmp_path / "moved"
    shutil.move(study.folder, moved)
    finished = cli("reproduce", "--data-root", str(moved), str(folder))
    assert (finished.status, finished.out.splitlines()[-1]) == (
        0, "identical: all 6 scores to the last bit",
    )  # fmt: skip
    shutil.move(moved, study.folder)
    around = {roi: rng.standard_normal((40, v.shape[1])) for roi, v in study.rois["1"].items()}
    np.savez(study.folder / "residuals1.npz", image=times, **around)
    finished = cli("reproduce", str(folder))
    assert finished.status == 1
    assert "the input has changed since: 1.npz residuals of V1" in finished.out


def test_diff_names_the_distance(
    study: Patterns, run: Callable[..., tuple[Path, Finished]], cli: Cli
) -> None:
    plain, _ = run(*study.settings())
    crossed, _ = run(*study.settings(), "data.distance=crossnobis", "data.zscore=run")
    finished = cli("diff", str(plain), str(crossed))
    assert finished.status == 1
    assert "data.distance: correlation in A, crossnobis in B" in finished.out
    assert "data.zscore: none in A, run in B" in finished.out
