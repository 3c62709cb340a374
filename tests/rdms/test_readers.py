"""Every source of RDMs gives the same images, rows, digests and messages."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import squareform
from studies import IMAGES, random_rdms

from rsa_exp.errors import InputError
from rsa_exp.rdms import readers
from rsa_exp.rdms.readers import Arrays, RdmSource

ROWS = ["V1", "V2", "V4"]


def values_with_missing_pairs() -> np.ndarray:
    values = random_rdms(len(ROWS))
    values[1, 3] = np.nan
    return values


def rsatoolbox_object(rdms: np.ndarray, rows: Sequence[str], images: Sequence[str]) -> RDMs:
    return RDMs(
        rdms,
        dissimilarity_measure="correlation",
        rdm_descriptors={"roi": list(rows)},
        pattern_descriptors={"image": list(images)},
    )


def file(rdms: np.ndarray, rows: Sequence[str], images: Sequence[str], folder: Path) -> Path:
    path = folder / "RDMs in a file"  # no suffix: a file is what it holds
    path.unlink(missing_ok=True)
    rsatoolbox_object(rdms, rows, images).save(str(path), file_type="hdf5")
    return path


SOURCES: dict[str, Callable[[np.ndarray, Sequence[str], Sequence[str], Path], Any]] = {
    "file": file,
    "object": lambda rdms, rows, images, _: rsatoolbox_object(rdms, rows, images),
    "condensed": lambda rdms, rows, images, _: Arrays(
        dict(zip(rows, rdms, strict=True)), images
    ),
    "square": lambda rdms, rows, images, _: Arrays(
        {row: squareform(rdm, checks=False) for row, rdm in zip(rows, rdms, strict=True)},
        np.array(images),
    ),
}  # fmt: skip
every_source = pytest.mark.parametrize("kind", SOURCES)


def opened(source: Any, **settings: str) -> RdmSource:
    words = {key: settings.pop(key) for key in ("name", "hint") if key in settings}
    return readers.open_rdms(source, readers.Naming(**{"row_kind": "ROI"} | settings), **words)


def digests(source: RdmSource, rows: Sequence[int]) -> tuple[str, dict[str, str]]:
    for row in rows:
        source.read_row(row)
    return source.digest(), source.row_digests()


@every_source
def test_sources_are_alike(kind: str, tmp_path: Path) -> None:
    rdms = values_with_missing_pairs()
    with opened(SOURCES[kind](rdms, ROWS, IMAGES, tmp_path)) as source:
        assert (source.images, source.n_cond) == (IMAGES, len(IMAGES))
        assert source.row_names == source.names == ROWS
        assert source.guessed == []
        assert (source.path is None) == (kind != "file")
        assert source.row_digests() == {}
        for row, expected in enumerate(rdms):
            values = source.read_row(row)
            assert values.dtype == np.float64
            np.testing.assert_array_equal(values, expected)
        assert source.rows_of("V2") == [1]
        assert [source.row_of_key(key) for key in ("V4", "V3")] == [2, None]
        with pytest.raises(
            InputError, match=r"no ROI 'v1' \(it has V1, V2, V4\); did you mean 'V1'"
        ):
            source.rows_of("v1")


@every_source
def test_equal_rows_have_equal_digests(kind: str, tmp_path: Path) -> None:
    rdms = values_with_missing_pairs()
    with opened(file(rdms, ROWS, IMAGES, tmp_path)) as source:
        expected = digests(source, [0, 2])
    with opened(SOURCES[kind](rdms, ROWS, IMAGES, tmp_path)) as source:
        assert digests(source, [2, 0]) == expected
    with opened(SOURCES[kind](rdms, ROWS, IMAGES[::-1], tmp_path)) as source:
        assert digests(source, [0, 2])[0] != expected[0]


@every_source
def test_labels_are_text_of_one_line(kind: str, tmp_path: Path) -> None:
    for rows, images in ((["V1", "V2", "a\nb"], IMAGES), (ROWS, ["x" * 2000, *IMAGES[1:]])):
        with pytest.raises(InputError, match="control characters or more than 1024 characters"):
            opened(SOURCES[kind](random_rdms(3), rows, images, tmp_path))


@pytest.mark.parametrize("kind", ["file", "object"])
def test_descriptors_are_chosen_alike(kind: str, tmp_path: Path) -> None:
    def source(**rows: Any) -> Any:
        rdms = RDMs(random_rdms(2), rdm_descriptors=rows, pattern_descriptors={"stimulus": IMAGES})
        path = tmp_path / "rdms.h5"
        rdms.save(str(path), file_type="hdf5", overwrite=True)
        return path if kind == "file" else rdms

    with opened(source(area=["x", "x"], session=[1, 2])) as guessed:
        assert (guessed.images, guessed.row_names, guessed.names) == (IMAGES, ["x", "x"], ["x"])
        assert [notice.split(": ")[1] for notice in guessed.guessed] == [
            "'stimulus' names the images (none is called 'image')",
            "'area' names the ROIs (none is called 'roi')",
        ]
        assert list(digests(guessed, [0, 1])[1]) == ["x#0", "x#1"]
    with opened(source(area=("x", "y"), session=[1, 2]), row_key="session") as numbers:
        assert numbers.names == ["1", "2"]
    with pytest.raises(InputError, match=r"several .* ROIs \(area, side\).*data.roi_key=NAME"):
        opened(source(area=["x", "y"], side=["l", "r"]))
    with pytest.raises(InputError, match=r"no descriptor names the ROIs \(it has index, session\)"):
        opened(source(session=[1, 2]))


def test_arrays_are_left_alone_and_read_without_a_copy() -> None:
    rdms = random_rdms(1)
    with opened(Arrays({"V1": rdms[0]}, IMAGES)) as source:
        values = source.read_row(0)
        assert np.shares_memory(values, rdms)
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1
    rdms[0, 0] = 7  # still the caller's
    single = rdms.astype("f4")
    rsatoolbox_rdms = rsatoolbox_object(single, ["V1"], IMAGES)
    rsatoolbox_rdms.rdm_descriptors["folds"] = [[1], [2, 3]]  # what no file can hold
    with opened(rsatoolbox_rdms) as source:
        np.testing.assert_array_equal(source.read_row(0), single[0].astype(float))


def test_squares_may_be_asymmetric_by_rounding_alone() -> None:
    patterns = np.random.default_rng(0).random((len(IMAGES), 50)).astype("f4")
    square = 1 - np.corrcoef(patterns)
    square[0, 1] += 1e-9
    with opened(Arrays({"V1": square}, IMAGES)) as source:
        np.testing.assert_array_equal(source.read_row(0), square[np.triu_indices(9, 1)])
    square[2] = square[:, 2] = np.nan  # an image that is missing
    with opened(Arrays({"V1": square}, IMAGES)) as source:
        assert np.isnan(source.read_row(0)).sum() == 8


ZEROS = np.zeros((9, 9))
REFUSED: dict[str, tuple[Any, str]] = {
    "diagonal": (Arrays({"V1": np.eye(9)}, IMAGES), "'V1' has a diagonal that is not 0"),
    "asymmetric": (Arrays({"V1": np.triu(np.ones((9, 9)), 1)}, IMAGES), "'V1' is not symmetric"),
    "half missing": (
        Arrays({"V1": np.where(np.tri(9, k=-1), np.nan, ZEROS)}, IMAGES),
        "'V1' is not symmetric",
    ),
    "other shape": (Arrays({"V1": ZEROS[:8, :8]}, IMAGES), r"expected .* \(36,\) or \(9, 9\)"),
    "complex": (Arrays({"V1": ZEROS.astype(complex)}, IMAGES), "type complex128; expected numbers"),
    "list of names": (Arrays({"V1": np.array(IMAGES)}, IMAGES), "expected numbers"),
    "none": (Arrays({}, IMAGES), "there are no RDMs"),
    "no images": ({"V1": ZEROS}, "arrays without names of images; expected .*Arrays"),
    "array": (ZEROS, "found ndarray; expected a file"),
    "nothing": (None, "found NoneType; expected a file"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_in_memory_is_refused_in_one_line(case: str) -> None:
    source, message = REFUSED[case]
    with pytest.raises(InputError, match=f"^brain of subject 1: .*{message}"):
        opened(source, name="brain of subject 1")


def test_a_file_is_what_it_holds(tmp_path: Path) -> None:
    rdms = rsatoolbox_object(random_rdms(1), ["V1"], IMAGES)
    for name in ("rdms.mat", "rdms.pkl"):
        rdms.save(str(tmp_path / name), file_type="hdf5")
        with opened(tmp_path / name) as source:
            assert source.name == name
    path = tmp_path / "rdms.h5"
    path.write_bytes(pickle.dumps(rdms))
    with pytest.raises(InputError, match="is a pickle, which runs code"):
        opened(str(path))
    path.write_text("roi,layer\n")
    with pytest.raises(InputError, match="is not an HDF5 file written by rsatoolbox"):
        opened(path)
    with pytest.raises(InputError, match=r"no file absent\.h5 in .*; see there"):
        opened(tmp_path / "absent.h5", hint="see there")


def test_a_further_format_is_a_further_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Text:
        DESCRIPTION = "a text of RDMs"

        def can_read(self, path: Path, head: bytes) -> bool:
            return head.startswith(b"RDM") and path.is_file()

        def open_file(self, path: Path, naming: readers.Naming) -> RdmSource:
            arrays = Arrays({"V1": np.loadtxt(path.read_text().split()[1:])}, ["a", "b", "c"])
            return opened(arrays, row_kind=naming.row_kind)

    monkeypatch.setattr(readers, "RDM_FORMATS", (*readers.RDM_FORMATS, Text()))
    path = tmp_path / "x.txt"
    path.write_text("RDM 1 2 3")
    with opened(path) as source:
        assert source.read_row(0).tolist() == [1, 2, 3]
    path.write_text("MDR 1 2 3")
    with pytest.raises(InputError, match=r"not an HDF5 file .* or a text of RDMs"):
        opened(path)
