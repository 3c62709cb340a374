"""Bad responses, features and settings of them: one clear line, a failed run, no results."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from studies import Files, Finished
from test_bad_input import check, left_behind

import rsa_exp
from rsa_exp.errors import InputError

Cli = Callable[..., Finished]
N_IMAGES, N_VOXELS = 10, 5
NAMES = np.array([f"img{i}.jpg" for i in range(N_IMAGES)])
TWICE, RUNS = np.concatenate([NAMES, NAMES]), np.repeat([1, 2], N_IMAGES)
CROSSNOBIS, FULL = "data.distance=crossnobis", "data.noise=full"


def values(n_row: int = 2 * N_IMAGES, n_voxel: int = N_VOXELS) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n_row, n_voxel))


def changed(rows: object, value: float) -> np.ndarray:
    result = values()
    result[rows] = value
    return result


def constant_but_for_two() -> np.ndarray:
    result = np.ones((2 * N_IMAGES, N_VOXELS))
    result[[0, 1, N_IMAGES, N_IMAGES + 1]] = values(4)
    return result


SCATTERED = np.where(np.eye(2 * N_IMAGES, N_VOXELS, dtype=bool), np.nan, values())
ONE_RUN_EACH = np.array([f"img{i}" for i in range(2 * N_IMAGES)])

# Arrays of the file sub.npz that differ from a good one's (None: left out), settings, message.
FILE_CASES: dict[str, tuple[dict[str, object], list[str], str]] = {
    "all NaN": ({"V1": values() * np.nan}, [], "ROI 'V1': no row has a finite value"),
    "NaN in each voxel": ({"V1": SCATTERED}, [], "each of the 5 channels has values that are NaN"),
    "too large": ({"V1": values() * 1e200}, [], "no row has a finite value (below 1e+150)"),
    "constant": (
        {"V1": constant_but_for_two()},
        [],
        "2 of 10 images have a defined data.distance=correlation; there must be at least 3 "
        "(8 have a constant pattern)",
    ),
    "zero": (
        {"V1": np.zeros((2 * N_IMAGES, N_VOXELS))},
        ["data.distance=cosine"],
        "(10 have a zero pattern)",
    ),
    "no names": ({"image": None}, [], "name it with data.image_names=FILE"),
    "empty name": ({"image": np.array(["", *TWICE[1:]])}, [], "row 1 of 20 has no image name"),
    "fewer names": ({"image": TWICE[1:], "run": None}, [], "shape (20, 5) and 19 image names"),
    "names and runs": ({"image": TWICE[1:]}, [], "names 20 runs and 19 images"),
    "names as objects": (
        {"image": TWICE.astype(object)},
        [],
        "'image' has Python objects, which are never loaded; save it as text",
    ),
    "patterns as objects": ({"V1": values().astype(object)}, [], "has no matrix of numbers"),
    "transposed": ({"V1": values().T}, [], "it is transposed: store measurements x channels"),
    "no runs": (
        {"run": None},
        [CROSSNOBIS],
        "sub.npz does not say in which run each row was measured, which data.distance=crossnobis "
        "needs",
    ),
    "a row without a run": (
        {"run": np.where(np.arange(2 * N_IMAGES) == 3, np.nan, RUNS)},
        [CROSSNOBIS],
        "row 4 of 20 has no run",
    ),
    "one run": ({"run": np.ones(20)}, [CROSSNOBIS], "in at least two runs, and all are in one"),
    "images in one run each": (
        {"image": ONE_RUN_EACH},
        [CROSSNOBIS],
        "0 of 20 images have a defined data.distance=crossnobis",
    ),
    "more voxels than freedom": (
        {"V1": values(n_voxel=11)},
        [CROSSNOBIS, FULL],
        "ROI 'V1': data.noise=full needs at least as many residual degrees of freedom as "
        "channels, and there are 10 for 11 channels: set data.noise=shrinkage_diag",
    ),
    "no repetitions": (
        {"image": ONE_RUN_EACH},
        ["data.distance=mahalanobis", "data.noise=diag"],
        "no image was measured twice",
    ),
    "negative counts": ({}, ["data.distance=poisson"], "values are below 0; data.distance=poisson"),
    "no image of the model": ({"image": ONE_RUN_EACH + "x"}, [], "0 images are common to the 2"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    where = tmp_path / "study"
    where.mkdir()
    write(where)
    np.savez(where / "net.npz", image=NAMES, a=values(N_IMAGES), b=values(N_IMAGES)[::-1])
    return where


def write(folder: Path, **arrays: object) -> Path:
    given = {"image": TWICE, "run": RUNS, "V1": values()} | arrays
    path = folder / "sub.npz"
    np.savez(path, **{k: np.asarray(v) for k, v in given.items() if v is not None})
    return path


def settings(folder: Path, brain: str = "sub.npz", model: str = "net.npz") -> list[str]:
    return [
        "data=patterns", f"data.root={folder}", f"data.brain={brain}", "data.subjects=[1]",
        f"model.file={model}",
    ]  # fmt: skip


@pytest.mark.parametrize("case", FILE_CASES)
def test_files(case: str, folder: Path, cli: Cli, tmp_path: Path) -> None:
    arrays, given, message = FILE_CASES[case]
    write(folder, **arrays)
    check(cli(*settings(folder), *given), message)
    assert left_behind(tmp_path) == set()
    (run,) = tmp_path.glob("outputs/*/*/run.json")
    record = json.loads(run.read_text())
    assert record["status"] == "failed"
    assert message in record["error"]


def test_what_is_left_out_is_said_and_counted(folder: Path, cli: Cli) -> None:
    patterns = values(n_voxel=6)
    patterns[0], patterns[1, 5], patterns[[2, 12], :5] = np.nan, np.nan, 1.0
    write(folder, V1=patterns)
    finished = cli(*settings(folder), "inference=none")
    assert finished.status == 0
    row, voxel, image, *_ = finished.err.splitlines()
    assert row.endswith("ROI 'V1': 1 of 20 measurements have no finite value and are left out")
    assert "ROI 'V1': 1 of 6 channels have values that are NaN" in voxel
    assert "1 of 10 images have a constant pattern (img2.jpg): their pairs are NaN" in image
    (run,) = Path.cwd().glob("outputs/*/*/patterns.csv")
    assert "\n1,V1,20,1,6,1,2,5,1," in run.read_text()


def pickled(folder: Path) -> None:
    (folder / "sub.npz").write_bytes(pickle.dumps({"V1": values()}))


def half(folder: Path) -> None:
    path = folder / "sub.npz"
    path.write_bytes(path.read_bytes()[:500])


WRONG_FILES: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "half a file": (half, [], "sub.npz is a damaged .npz file"),
    "pickle": (pickled, [], "sub.npz is a pickle, which runs code when it is loaded"),
    "text": (lambda folder: (folder / "sub.npz").write_text("a,b\n"), [], "sub.npz is not a"),
    "no format": (lambda folder: (folder / "x").mkdir(), ["data.brain=x"], "x is a folder, not"),
    "missing": (lambda _: None, ["data.brain=x.npz"], "no file x.npz in"),
    "names missing": (
        lambda _: None,
        ["data.image_names=names.txt"],
        "names.txt cannot be read as a list of names: No such file or directory",
    ),
    "features without names": (
        lambda folder: np.save(folder / "net.npy", values()),
        ["model.file=net.npy"],
        "name it with model.image_names=FILE, or call it net_images.txt",
    ),
    "images": (lambda _: None, ["match=subject", "images=x.txt"], "images=x.txt is neither all"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_wrong_files(case: str, folder: Path, cli: Cli, tmp_path: Path) -> None:
    change, given, message = WRONG_FILES[case]
    change(folder)
    check(cli(*settings(folder), *given), message)
    assert left_behind(tmp_path) == set()


def test_rdms_and_patterns_given_for_each_other(folder: Path, files: Files, cli: Cli) -> None:
    rdms, model = files.brain(), files.model
    check(cli(*settings(folder, brain=str(rdms))), "holds RDMs, not patterns; use data=files")
    check(cli(*settings(folder, model=str(model))), "holds RDMs, not patterns; use model=rdms")
    wrong = ["data=files", f"data.brain={folder / 'sub.npz'}", "data.subjects=[1]"]
    check(cli(*wrong, f"data.model={model}"), "if these are patterns, use data=patterns")


SETTING_CASES: dict[str, tuple[list[str], str]] = {
    "distance": (["data.distance=corelation"], "did you mean 'correlation'?"),
    "model": (["model=feature"], "did you mean 'features'?"),
    "key": (["data.nosie=diag"], "there is no key 'data.nosie'; did you mean 'data.noise'?"),
    "group of null": (["model=null"], "a config group is null"),
    "noise": (["data.noise=diag"], "data.noise=diag has no meaning for data.distance=correlation"),
    "no noise": (["data.distance=mahalanobis"], "set data.noise=shrinkage_diag"),
    "reliability": (["data.min_reliability=2"], "data.min_reliability=2.0 is not a correlation"),
    "session": (["data.zscore=session"], "in which session each row was measured, which data.zs"),
    "features cross-validated": (["model.distance=crossnobis"], "is not one of correlation, cos"),
    "distance of RDMs": (
        ["model=rdms", "model.distance=euclidean"],
        "model.distance=euclidean would change nothing: the model's file has RDMs",
    ),
    "no model": (["model.file=???"], "model.file is not set: model.file=/path/to/features.npz"),
    "one file for two": (["data.subjects=[1,2]"], "is one file for 2 subjects"),
    "simulated RDMs": (
        ["data=simulated", "model=resnet50", CROSSNOBIS],
        "data.distance=crossnobis would change nothing: the study is simulated as RDM files; "
        "data.n_runs=3",
    ),
    "of another option": (["data=files", CROSSNOBIS], "data.distance is a setting of another opt"),
    "two models": (
        ["data=files", "model=features", "data.model=x.h5"],
        "data.model=x.h5 is not used with model=features",
    ),
}


@pytest.mark.parametrize("case", SETTING_CASES)
def test_settings(case: str, folder: Path, cli: Cli, tmp_path: Path) -> None:
    given, message = SETTING_CASES[case]
    data = next((text for text in given if text.startswith("data=")), "data=patterns")
    base = settings(folder)[1:] if data != "data=simulated" else []
    check(cli(data, *base, *(text for text in given if text != data)), message)
    assert left_behind(tmp_path) == set()


def test_no_images_that_all_subjects_saw(folder: Path, cli: Cli) -> None:
    for subject, own in {"1": slice(0, 5), "2": slice(5, 10)}.items():
        np.savez(folder / f"{subject}.npz", image=NAMES[own], V1=values(5))
    given = [*settings(folder, brain="'{subject}.npz'"), "data.subjects=[1,2]"]
    message = "match=subject scores each subject alone on the images that it saw"
    check(cli(*given), message)
    check(cli(*given, "match=subject", "subject=group"), message)
    assert cli(*given, "match=subject", "inference=none").status == 0


FEATURES = rsa_exp.Patterns({"a": values(N_IMAGES)}, NAMES)
API_CASES: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "mask": ({"values": {"V1": np.ma.masked_array(values(), values() > 1)}}, {}, "has a mask"),
    "no name": ({"images": [None, *TWICE[1:]]}, {}, "row 1 of 20 has no image name"),
    "no run": ({"runs": [*RUNS[:-1], float("nan")]}, {}, "row 20 of 20 has no run"),
    "no mapping": ({"values": values()}, {}, "give them by name"),
    "options": ({}, {"patterns": "crossnobis"}, "give rsa_exp.PatternOptions"),
    "residuals": ({}, {"residuals": {"2": FEATURES}}, "residuals has 2, which brain has not"),
    "names twice": ({}, {"brain_images": {"1": TWICE}}, "names its images itself"),
}


@pytest.mark.parametrize("case", API_CASES)
def test_arrays(case: str) -> None:
    arrays, arguments, message = API_CASES[case]
    given = {"values": {"V1": values()}, "images": TWICE, "runs": RUNS} | arrays
    with pytest.raises(InputError, match=message):
        rsa_exp.open_study({"1": rsa_exp.Patterns(**given)}, FEATURES, **arguments)


@pytest.mark.parametrize(
    "given",
    [
        lambda x: x.astype(">f8"),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x.tolist(),
    ],
)
def test_arrays_of_any_layout_are_left_as_they_are(given: Callable[[np.ndarray], object]) -> None:
    array = given(values())
    before = np.array(array)
    numbers = np.arange(N_IMAGES)
    options = rsa_exp.PatternOptions("crossnobis", zscore="run")
    brain = rsa_exp.Patterns({"V1": array}, np.concatenate([numbers, numbers]), RUNS)
    model = rsa_exp.Patterns({"a": values(N_IMAGES)}, list(map(str, numbers)))
    with rsa_exp.open_study({"1": brain}, model, patterns=options) as study:
        found = study.rdms("V1").dissimilarities[0]
    plain = rsa_exp.Patterns({"V1": values()}, [*numbers, *numbers], RUNS.tolist())
    with rsa_exp.open_study({"1": plain}, model, patterns=options) as study:
        np.testing.assert_array_equal(study.rdms("V1").dissimilarities[0], found)
    np.testing.assert_array_equal(array, before)
