"""Bad input gets one clear line, exit status 1, no traceback, and leaves nothing half-written."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from studies import IMAGES, Files, Finished, random_rdms, write_rdms

Change = Callable[[Files], None]


def rewrite(rdms: np.ndarray, rows: list[str], images: list[str] = IMAGES) -> Change:
    return lambda files: void(write_rdms(files.brain(), rdms, rows, images))


def void(_: object) -> None:
    return None


def with_brain(action: Callable[[Path], object]) -> Change:
    return lambda files: void(action(files.brain()))


def edit(action: Callable[[h5py.File], object]) -> Change:
    def change(files: Files) -> None:
        with h5py.File(files.brain(), "a") as file:
            action(file)

    return change


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-300])


def truncate_head(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def second_descriptor(file: h5py.File) -> None:
    del file["rdm_descriptors/roi"]
    for name in ("area", "session"):
        file[f"rdm_descriptors/{name}"] = np.array(["V1", "V2"], dtype="S")


NAN_ROW, CONSTANT = np.full((1, 36), np.nan), np.ones((1, 36))
INFINITE = np.where(np.arange(36) == 4, np.inf, 0.5)[None]
SHAPE = random_rdms(2)[:, :-1]

FILE_CASES: dict[str, tuple[Change, str]] = {
    "missing file": (with_brain(Path.unlink), "no file A_RDMs.h5 in "),
    "folder": (
        with_brain(lambda path: (path.unlink(), path.mkdir())),
        "is a folder, not an HDF5 file",
    ),
    "not HDF5": (with_brain(lambda path: path.write_text("roi,layer\n")), "is not an HDF5 file"),
    "empty file": (with_brain(lambda path: path.write_bytes(b"")), "is not an HDF5 file"),
    "pickle": (
        with_brain(lambda path: path.write_bytes(pickle.dumps({"dissimilarities": [1]}))),
        "is a pickle, which runs code when it is loaded",
    ),
    "truncated data": (with_brain(truncate), "truncated"),
    "truncated header": (with_brain(truncate_head), "truncated"),
    "no dissimilarities": (
        edit(lambda f: f.__delitem__("dissimilarities")),
        "no 'dissimilarities'",
    ),
    "wrong pair count": (rewrite(SHAPE, ["V1", "V2"]), "rows have 35 dissimilarities but"),
    "names for other rows": (rewrite(random_rdms(2), ["V1"]), "2 RDMs but 1 ROI names"),
    "one-dimensional": (rewrite(random_rdms(1)[0], ["V1"]), "expected numbers of shape"),
    "text for numbers": (
        rewrite(np.array([["a"] * 36], dtype="S"), ["V1"]),
        "expected numbers of shape",
    ),
    "no RDMs": (rewrite(np.empty((0, 36)), []), "expected numbers of shape"),
    "no image names": (
        edit(lambda f: f.__delitem__("pattern_descriptors")),
        "no group 'pattern_descriptors'",
    ),
    "image numbers only": (
        edit(lambda f: f.__delitem__("pattern_descriptors/image")),
        "no descriptor names the images (it has index)",
    ),
    "two candidate descriptors": (
        edit(second_descriptor),
        "several descriptors could name the ROIs (area, session)",
    ),
    "duplicate image": (
        rewrite(random_rdms(1), ["V1"], [IMAGES[0], *IMAGES[:-1]]),
        "1 image name(s) stand for more than one image, first 'img00'",
    ),
    "duplicate stem": (
        rewrite(random_rdms(1), ["V1"], [*IMAGES[:-1], "img00.png"]),
        "img00.jpg, img00.png); rename one, or use align=exact",
    ),
    "no common image": (
        rewrite(random_rdms(1), ["V1"], [f"x{i}" for i in range(9)]),
        "0 images are common to the 3 files",
    ),
    "two common images": (
        rewrite(random_rdms(1), ["V1"], [*IMAGES[:2], *(f"x{i}" for i in range(7))]),
        "2 images are common to the 3 files by align=stem, at least 3 are needed",
    ),
    "all NaN": (rewrite(NAN_ROW, ["V1"]), "no corr score is defined: in all 3 of them too few"),
    "only a constant RDM": (rewrite(CONSTANT, ["V1"]), "in all 3 of them the RDM is constant"),
    "infinite": (rewrite(INFINITE, ["V1"]), "'V1' has infinite dissimilarities"),
    "layer twice": (
        lambda files: void(write_rdms(files.model, random_rdms(2), ["a", "a"], row_key="layer")),
        "several RDMs are called layer 'a'",
    ),
}

SETTING_CASES: dict[str, tuple[list[str], str]] = {
    "key": (["metirc=corr"], "there is no key 'metirc'; did you mean 'metric'?"),
    "nested key": (["data.sbjects=[A]"], "did you mean 'data.subjects'?"),
    "added key": (["+foo=1"], "there is no key 'foo'"),
    "type": (["seed=abc"], "seed=abc: "),
    "metric": (["metric=spaerman"], "did you mean 'spearman'?"),
    "align": (["align=stems"], "align=stems is not one of stem, exact; did you mean 'stem'?"),
    "no key": (["=1"], "'=1' has no key"),
    "layers twice": (["data.layers=[a,a]"], "data.layers names a layer twice"),
    "no output folder": (["output_dir="], "output_dir is empty"),
    "list with a quote": (["data.subjects=[Jo's]"], "data.subjects=['FIRST NAME',second]"),
    "bootstrap of one subject": (
        ["inference.bootstrap=dual"],
        "inference.bootstrap=dual resamples subjects, so it needs subject=group",
    ),
    "bootstrap": (["inference.bootstrap=pictures"], "is not one of auto, images, subjects, dual"),
    "too few draws": (["inference.n_boot=5"], "inference.n_boot=5 draws make no interval"),
    "negative draws": (["inference.n_perm=-1"], "inference.n_perm=-1 is negative"),
    "level": (["inference.ci=95"], "inference.ci=95.0 is not a confidence level"),
    "ceiling": (["inference.ceiling=yes"], "inference.ceiling=yes is not one of auto, draws, none"),
    "family": (["inference.family=all"], "inference.family=all is not one of run, sweep"),
    "inference option": (
        ["inference=quick"],
        "inference=quick is not one of fast, full, jackknife, none",
    ),
    "precision": (["precision=float32", "metric=tau-a"], "precision=float32 is for metric=corr"),
    "group option": (["model=resnet5"], "model=resnet5 is not one of alexnet, efficientnet_b0"),
    "subject": (["subject=C"], "subject=C is not one of A, B, group, joint"),
    "roi": (["roi=V3"], "A_RDMs.h5 has no ROI 'V3' (it has V1, V2)"),
    "roi pattern": (["roi=LH*"], "has no ROI 'LH*'"),
    "roi glob": (["roi=glob(V*)"], "glob() chooses among config files"),
    "empty roi list": (["roi=[]"], "roi=[] is neither a name"),
    "layer": (["layer=d"], "models.h5 has no layer 'd' (it has a, b, c)"),
    "images": (["images=faces"], "images=faces is neither all nor a file"),
    "several values": (["subject=A,B"], "add --multirun for one run each"),
    "braces": (["data.brain={subject}.h5"], "\"data.brain='{subject}.h5'\""),
    "unset file": (["data.model=''"], "data.model is not set: data.model=/path/to/RDMs.h5"),
    "one file for two": (["data.brain=A_RDMs.h5"], "is one file for 2 subjects"),
    "subject twice": (["data.subjects=[A,A]"], "names a subject twice"),
    "no subjects": (["data.subjects=[]"], "data.subjects is empty"),
    "model group": (["model=alexnet"], "data=files does not use the model group"),
    "negative seed": (["seed=-1"], "seed=-1 is negative"),
    "figure": (["figures.names=[heatmpa]"], "did you mean 'heatmap'?"),
    "flag": (["--multrun"], "unknown flag --multrun"),
    "command": (["reproduc"], "did you mean 'reproduce'?"),
    "unclosed list": (["roi=[V1"], "roi=[V1 cannot be read"),
    "unwritable output": (["output_dir=/dev/null/x"], "/dev/null/x"),
    "unwritable folder": (["hydra.run.dir=/dev/null/x"], "/dev/null/x"),
}


def check(finished: Finished, message: str) -> None:
    lines = [line for line in finished.err.splitlines() if not line.startswith("warning: ")]
    assert finished.status == 1
    assert len(lines) == 1, finished.err
    assert lines[0].startswith("error: ")
    assert message in lines[0]


def left_behind(folder: Path) -> set[str]:
    """Files of results in a run's folder."""
    return {p.name for p in folder.glob("outputs/**/*") if p.suffix in {".csv", ".png", ".part"}}


@pytest.mark.parametrize("case", FILE_CASES)
def test_files(case: str, files: Files, cli: Callable[..., Finished], tmp_path: Path) -> None:
    change, message = FILE_CASES[case]
    change(files)
    check(cli(*files.arguments), message)
    assert left_behind(tmp_path) == set()


@pytest.mark.parametrize("case", SETTING_CASES)
def test_settings(case: str, files: Files, cli: Callable[..., Finished], tmp_path: Path) -> None:
    overrides, message = SETTING_CASES[case]
    check(cli(*files.arguments, *overrides), message)
    assert left_behind(tmp_path) == set()


def test_bold5000_says_where_its_files_can_be_had(
    cli: Callable[..., Finished], tmp_path: Path
) -> None:
    finished = cli("data=bold5000", f"data.root={tmp_path}", "data.atlas=visfAtlas", "subject=2")
    check(
        finished,
        f"no file CSI1_visfAtlas_CORR_RDMs.h5 in {tmp_path}; the files are published at "
        "doi:10.5061/dryad.wpzgmsbtr; set data.root to their folder",
    )


@pytest.mark.parametrize("folder", ["a%20b", "q?x"])
def test_store_paths_that_an_address_would_misread(
    folder: str, files: Files, cli: Callable[..., Finished]
) -> None:
    finished = cli(*files.arguments, f"tracking.folder='{folder}'", tracking="local")
    check(finished, "the tracking store's path must not contain %, ? or #")


def test_a_sweep_that_cannot_begin_says_so_once(
    files: Files, cli: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "foo://x")
    finished = cli(*files.arguments, "roi=V1,V2", "-m", tracking="local")
    check(finished, "the tracking store foo://x cannot be used")


def test_a_sweep_counts_its_own_runs_wherever_they_are(
    files: Files, cli: Callable[..., Finished], tmp_path: Path
) -> None:
    where = [f"hydra.sweep.dir={tmp_path}/sw", "hydra.sweep.subdir='${subject}/${roi}'"]
    finished = cli(*files.arguments, "subject=A,B", "roi=V1,V2", "-m", *where)
    assert finished.status == 0
    assert "4 of 4 runs finished" in finished.out
    assert len((tmp_path / "sw" / "scores.csv").read_text().splitlines()) == 1 + 4 * 3
    check(cli(*files.arguments, "roi=V1,V2", "-m", *where), "holds a sweep already")


def test_names_of_any_kind(files: Files, cli: Callable[..., Finished]) -> None:
    rois = ["V1/d", "V1_d", "..", "$x^2$", "ä"]
    for subject in ("01", "Jürgen"):
        names = [roi.encode() for roi in rois]
        write_rdms(files.brain(subject), random_rdms(5), names)
    overrides = ["data.subjects=[01,Jürgen]", "subject=01,Jürgen"]
    finished = cli(*files.arguments[:-1], *overrides, "-m", figures="default")
    assert finished.status == 0, finished.err
    assert "2 of 2 runs finished" in finished.out
    assert all(roi in finished.out for roi in rois)


def test_one_bad_run_does_not_stop_the_others(files: Files, cli: Callable[..., Finished]) -> None:
    finished = cli(*files.arguments, "roi=V1,V9,V2", "-m")
    assert finished.status == 1
    assert "2 of 3 runs finished" in finished.out
    assert finished.err.count("error: ") == 1
    assert "error: sub-A V9 corr: A_RDMs.h5 has no ROI 'V9'" in finished.err


def test_an_error_that_several_runs_share_is_explained_once(
    files: Files, cli: Callable[..., Finished]
) -> None:
    finished = cli(*files.arguments, "roi=V9", "metric=corr,cosine", "-m")
    assert finished.status == 1
    first, second = (line for line in finished.err.splitlines() if line.startswith("error: "))
    assert "no ROI 'V9'" in first
    assert second == "error: sub-A V9 cosine: same error as above"


def test_cfg_and_help_and_completion_answer(
    cli: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = cli("seed=3", "--cfg", "job")
    assert shown.status == 0
    assert "seed: 3" in shown.out
    assert "python -m rsa_exp reproduce RUN" in cli("--help").out
    monkeypatch.setenv("COMP_LINE", "rsa-exp dat")
    monkeypatch.setenv("COMP_POINT", "11")
    completed = cli("--shell-completion", "query=bash")
    assert completed.status == 0
    assert "data=" in completed.out.split()
