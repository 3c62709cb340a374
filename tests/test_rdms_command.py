"""``python -m rsa_exp rdms``: files for rsatoolbox and ``data=files``, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from rsatoolbox.rdm import load_rdm
from studies import Finished

import rsa_exp

STUDY = ["data.n_images=40", "data.n_runs=2", "data.distance=crossnobis"]


def test_what_it_writes_scores_as_the_patterns_do(
    cli: Callable[..., Finished], tmp_path: Path
) -> None:
    done = cli("rdms", "made", *STUDY)
    assert done.status == 0, done.err
    folder = tmp_path / "made"
    names = {"1_RDMs.h5", "2_RDMs.h5", "3_RDMs.h5", "ResNet-50_RDMs.h5"}
    assert {path.name for path in folder.iterdir()} == {*names, "provenance.json", "config.yaml"}
    rdms = load_rdm(str(folder / "2_RDMs.h5"), file_type="hdf5")
    assert rdms.dissimilarity_measure == "crossnobis"
    options = rsa_exp.PatternOptions("crossnobis")
    with rsa_exp.datasets.simulated(
        40, root=tmp_path / "outputs" / "simulated", n_runs=2, patterns=options
    ) as study:
        expected = study.rdms("RHPPA").get_matrices()[1]
        order = [list(rdms.pattern_descriptors["image"]).index(name) for name in study.images]
        found = rdms.subset("roi", "RHPPA").get_matrices()[0][np.ix_(order, order)]
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)
    record = json.loads((folder / "provenance.json").read_text())
    assert [item["subject"] for item in record["inputs"]] == ["1", "2", "3", ""]
    assert {fact["subject"] for fact in record["patterns"]} == {"1", "2", "3", ""}

    quick = ["inference=none", "roi=LHLOC", "output_dir=out"]
    files = [
        "data=files", "data.root=made", "data.brain='{subject}_RDMs.h5'", "data.subjects=[1,2,3]",
        "data.model=ResNet-50_RDMs.h5",
    ]  # fmt: skip
    assert cli(*STUDY, *quick, "data.root=outputs/simulated").status == 0
    assert cli(*files, *quick).status == 0
    patterns, rdms_again = (pd.read_csv(path) for path in sorted(tmp_path.rglob("scores.csv")))
    np.testing.assert_allclose(patterns["score"], rdms_again["score"], atol=1e-12)


def test_nothing_is_left_of_what_failed(cli: Callable[..., Finished], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "BE.h5", "w") as file:
        file["V1"] = np.random.default_rng(0).random((6, 4))
        file["image"] = np.array([f"{i}.png" for i in range(6)], "S")
    own = ["data=patterns", f"data.root={tmp_path}", "data.brain='{subject}.h5'"]
    done = cli("rdms", "made", *own, "data.subjects=[BE,KO]")
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert "no file KO.h5" in done.err
    done = cli("rdms", "made", *own, "data.subjects=[BE]", "data.distance=crossnobis")
    assert done.status == 1
    assert "run" in done.err
    assert not [path for path in tmp_path.iterdir() if "made" in path.name]
    assert cli("rdms", "made", *own, "data.subjects=[BE]").status == 0  # without a model
    assert load_rdm(str(tmp_path / "made" / "BE_RDMs.h5"), file_type="hdf5").n_cond == 6
    done = cli("rdms", "made", *own, "data.subjects=[BE]")
    assert "made is not empty; name a new folder" in done.err
