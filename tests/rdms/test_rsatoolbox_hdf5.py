"""Reading rsatoolbox's files, those it writes today included."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from rsatoolbox.rdm import RDMs
from studies import IMAGES, random_rdms, write_rdms

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers import Naming, RdmSource, open_rdms


def open_file(path: Path, **keys: str) -> RdmSource:
    return open_rdms(path, Naming(**{"row_kind": "ROI"} | keys))


@pytest.mark.parametrize("as_array", [True, False])
def test_reads_what_rsatoolbox_writes(tmp_path: Path, as_array: bool) -> None:
    values, rows = random_rdms(2), ["V1", "V2"]
    wrap = np.array if as_array else list
    path = tmp_path / "rdms.h5"
    RDMs(
        values,
        dissimilarity_measure="correlation",
        rdm_descriptors={"roi": wrap(rows)},
        pattern_descriptors={"image": wrap(IMAGES)},
    ).save(str(path), file_type="hdf5")
    with open_file(path) as file:
        assert (file.images, file.names) == (IMAGES, rows)
        np.testing.assert_array_equal(file.read_row(1), values[1])


def test_reads_variable_length_strings_single_precision_and_attributes(tmp_path: Path) -> None:
    path = tmp_path / "rdms.h5"
    values = random_rdms(2).astype("f4")
    with h5py.File(path, "w") as out:
        out["dissimilarities"] = values
        out.create_dataset("pattern_descriptors/image", data=IMAGES, dtype=h5py.string_dtype())
        out.create_group("rdm_descriptors").attrs["roi"] = ["linkes V1", "V2é"]
    with open_file(path) as file:
        assert file.images == IMAGES
        assert file.names == ["linkes V1", "V2é"]
        np.testing.assert_array_equal(file.read_row(0), values[0].astype(float))


@pytest.mark.parametrize(
    ("layout", "dtype"),
    [
        ({"chunks": (1, 36), "compression": "gzip"}, "<f8"),
        ({"chunks": (2, 7)}, "<f8"),
        ({}, ">f8"),
        ({}, "<i4"),
    ],
)
def test_every_layout_gives_the_same_rows(
    tmp_path: Path, layout: dict[str, Any], dtype: str
) -> None:
    values = np.round(9 * random_rdms(2)).astype(dtype)
    path = write_rdms(tmp_path / "plain.h5", values.astype(float), ["V1", "V2"])
    with h5py.File(path, "a") as file:
        del file["dissimilarities"]
        file.create_dataset("dissimilarities", data=values, **layout)
    with open_file(path) as file:
        np.testing.assert_array_equal(file.read_row(1), values[1])


def test_rows_are_read_from_several_threads(tmp_path: Path) -> None:
    values = random_rdms(20, 40)
    names = [f"R{i}" for i in range(20)]
    path = write_rdms(tmp_path / "many.h5", values, names, [f"i{k}" for k in range(40)])
    with open_file(path) as file, ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(lambda row: file.read_row(row).sum(), range(20)))
    np.testing.assert_array_equal(sums, [row.sum() for row in values])


def test_a_descriptor_is_guessed_only_when_there_is_no_choice(tmp_path: Path) -> None:
    path = write_rdms(tmp_path / "m.h5", random_rdms(2), ["x", "y"], row_key="model")
    with open_file(path, row_key="layer", row_kind="layer") as file:
        assert file.names == ["x", "y"]
    with h5py.File(path, "a") as file:
        file["rdm_descriptors/author"] = np.array(["p", "q"], dtype="S")
    with pytest.raises(InputError, match=r"\(author, model\).*data.layer_key=NAME"):
        open_file(path, row_key="layer", row_kind="layer")
    with open_file(path, row_key="author", row_kind="layer") as file:
        assert file.names == ["p", "q"]


def test_digest_sees_one_changed_number_and_one_changed_name(tmp_path: Path) -> None:
    def digest(values: np.ndarray, images: list[str]) -> tuple[str, dict[str, str]]:
        path = write_rdms(tmp_path / "d.h5", values, ["V1", "V2"], images)
        with open_file(path) as file:
            file.read_row(1)
            return file.digest(), file.row_digests()

    values = random_rdms(2)
    first, rows = digest(values, IMAGES)
    assert len(first) == 32
    assert list(rows) == ["V2"]
    assert digest(values, IMAGES)[0] == first
    assert digest(values, ["other.jpg", *IMAGES[1:]])[0] != first
    values[0, 0] += 1e-12  # a row that was not read
    assert digest(values, IMAGES)[0] == first
    values[1, 5] += 1e-12
    assert digest(values, IMAGES)[1] != rows


def test_only_the_file_itself_is_read(tmp_path: Path) -> None:
    secret = write_rdms(tmp_path / "secret.h5", random_rdms(1), ["V1"])
    path = write_rdms(tmp_path / "link.h5", random_rdms(1), ["V1"])
    with h5py.File(path, "a") as file:
        del file["dissimilarities"]
        file["dissimilarities"] = h5py.ExternalLink(secret.name, "dissimilarities")
    with pytest.raises(InputError, match="not a data set within the file"):
        open_file(path)
