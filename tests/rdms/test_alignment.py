"""Images are matched by name, in one order, and what is lost is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import squareform
from studies import random_rdms, write_rdms

from rsa_exp.datasets.simulation import _image_names, _rng
from rsa_exp.errors import InputError
from rsa_exp.rdms.alignment import LabelledFile, align, stem
from rsa_exp.rdms.images import choose_images, in_source
from rsa_exp.rdms.opening import open_study
from rsa_exp.rdms.pair_gather import PairGather

SOURCES = {
    "coco": "COCO_*",
    "imagenet": "n[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_*",
    "scenes": "*",
}


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("a.jpg", "a"), ("a.JPEG", "a"), ("a.b.png", "a.b"), ("obj_0.5", "obj_0.5"), ("a", "a"),
        (".jpg", ".jpg"), ("folder/a.tiff", "folder/a"), ("a.mat", "a.mat"), ("A.Jpg", "A"),
    ],
)  # fmt: skip
def test_stem_drops_known_extensions_only(label: str, expected: str) -> None:
    assert stem(label) == expected


def test_gather_equals_indexing_the_square() -> None:
    rng = np.random.default_rng(0)
    row = random_rdms(1, 12)[0]
    for size in (12, 7, 3):
        positions = rng.permutation(12)[:size]
        expected = squareform(squareform(row)[np.ix_(positions, positions)])
        np.testing.assert_array_equal(PairGather(positions, 12)(row), expected)


def test_bold5000_names_by_stem_and_exact() -> None:
    names = _image_names(_rng(0, "names"), 4916)
    model = [f"{stem(name)}.jpg" for name in reversed(names)]
    files = [LabelledFile("brain", names), LabelledFile("model", model)]
    assert len(align(files, "stem").keys) == 4916
    exact = align(files, "exact")
    assert len(exact.keys) == 2985
    assert exact.warnings == (
        "align=exact matches 2985 images; align=stem would match 4916: 1931 images are lost to "
        "file extensions",
    )
    brain = exact.report["files"][0]
    assert brain["n_dropped"] == 1931
    assert brain["dropped_by_extension"] == {".JPEG": 1916, ".jpeg": 15}
    counts = [sum(in_source(name, source, SOURCES) for name in names) for source in SOURCES]
    assert counts == [2000, 1916, 1000]
    assert sum(in_source(name, "jpeg", SOURCES | {"jpeg": "*.jpeg"}) for name in names) == 15


def test_scores_do_not_depend_on_the_order_in_a_file(tmp_path: Path) -> None:
    images = [f"i{k}.png" for k in range(8)]
    values = random_rdms(1, 8)
    order = np.random.default_rng(1).permutation(8)
    shuffled = squareform(squareform(values[0])[np.ix_(order, order)])[None]
    write_rdms(tmp_path / "A.h5", values, ["V1"], images)
    write_rdms(tmp_path / "B.h5", shuffled, ["V1"], [images[i] for i in order])
    write_rdms(
        tmp_path / "m.h5", values, ["x"], [f"{stem(i)}.JPG" for i in images], row_key="layer"
    )
    with open_study({s: tmp_path / f"{s}.h5" for s in "AB"}, tmp_path / "m.h5") as study:
        np.testing.assert_array_equal(study.brain_rdm(["A"], "V1"), study.brain_rdm(["B"], "V1"))
        np.testing.assert_array_equal(study.model_rdm("x"), study.brain_rdm(["A"], "V1"))


@pytest.mark.parametrize("how", ["stem", "exact"])
def test_a_name_that_stands_for_two_images_is_an_error(how: str) -> None:
    twice = ["a.jpg", "b.jpg", "c.jpg", "a.jpg"] if how == "exact" else ["a.jpg", "b", "c", "a.png"]
    with pytest.raises(InputError, match=r"two\.h5: 1 image name"):
        align([LabelledFile("two.h5", twice), LabelledFile("m.h5", ["a", "b", "c"])], how)


def test_too_few_common_images_says_what_stem_would_give() -> None:
    files = [LabelledFile("x", ["a.jpg", "b.jpg", "c.jpg"]), LabelledFile("y", ["a", "b", "c"])]
    with pytest.raises(InputError, match=r"0 images are common.*align=stem would match 3"):
        align(files, "exact")


def test_images_by_source_and_by_list(tmp_path: Path) -> None:
    keys = ["COCO_1", "COCO_2", "COCO_3", "n01440764_1", "beach1"]
    keep, warning = choose_images("coco", keys, "stem", SOURCES)
    assert (keep.tolist(), warning) == ([True, True, True, False, False], None)
    names = tmp_path / "list.txt"
    names.write_text("beach1.jpg\n\nCOCO_1.png\nCOCO_3\nnowhere.jpg\n")
    keep, warning = choose_images(str(names), keys, "stem", SOURCES)
    assert keep.tolist() == [True, False, True, False, True]
    assert warning is not None
    assert "1 of 4 names" in warning
    with pytest.raises(InputError, match="did you mean 'coco'"):
        choose_images("cooc", keys, "stem", SOURCES)
    with pytest.raises(InputError, match="leaves 1 of 5"):
        choose_images("scenes", keys, "stem", SOURCES)
