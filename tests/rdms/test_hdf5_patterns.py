"""HDF5 files of patterns: what is a matrix, what names its rows, and how it is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from rsatoolbox.data import Dataset
from studies import random_rdms, write_rdms

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers import Naming, PatternSource, open_patterns, open_rdms

NAMES = ["a.jpg", "b.jpg", "c.jpg", "a.jpg", "b.jpg"]


def values(n_channel: int, dtype: str = "f4", seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(scale=50, size=(len(NAMES), n_channel))
    return drawn.astype(dtype)


def write(path: Path, content: dict[str, Any], **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, data in content.items():
            matrix = np.ndim(data) == 2
            file.create_dataset(name, data=data, **(options if matrix else {}))
    return path


def opened(path: Path, **naming: Any) -> PatternSource:
    return open_patterns(path, Naming("ROI", **naming))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", ">f4", "f2", "?"])
@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (2, 3)}, {"chunks": (3, 4), "compression": "gzip", "shuffle": True,
                              "fletcher32": True}],
)  # fmt: skip
def test_numbers_stay_as_they_are_stored(
    dtype: str, options: dict[str, Any], tmp_path: Path
) -> None:
    content = {"V1": values(7, dtype), "V2": values(4, dtype, 1)}
    path = write(tmp_path / "x.h5", content | {"image": NAMES, "run": [1, 1, 1, 2, 2]}, **options)
    with opened(path) as source:
        assert (source.images, source.names, source.runs) == (NAMES, ["V1", "V2"], list("11122"))
        assert source.sessions is None
        for index, expected in enumerate(content.values()):
            found = source.read(index)
            assert found.dtype == np.dtype(dtype).newbyteorder("=")
            assert found.flags.c_contiguous
            np.testing.assert_array_equal(found, expected)
            rows = np.array([3, 1])
            part = source.read_rows(index, rows)
            assert (part is None) == bool(options)
            np.testing.assert_array_equal(found[rows] if part is None else part, expected[rows])
            assert source.shape(index) == expected.shape


def test_chunks_that_were_never_written(tmp_path: Path) -> None:
    path, expected = write(tmp_path / "x.h5", {"image": NAMES}), np.full((5, 9), np.nan)
    expected[:2, :3] = 1
    with h5py.File(path, "a") as file:
        made = file.create_dataset(
            "V1", (5, 9), "f8", chunks=(2, 3), compression="gzip", fillvalue=np.nan
        )
        made[:2, :3] = 1
    with opened(path) as source:
        np.testing.assert_array_equal(source.read(0), expected)


def test_layers_are_in_the_order_of_depth(tmp_path: Path) -> None:
    layers = {f"patterns/conv{i}": values(3) for i in (1, 2, 10)}
    path = write(tmp_path / "x.h5", layers | {"stimulus": np.array(NAMES, "S")})
    with opened(path) as source:
        assert source.names == ["conv1", "conv2", "conv10"]
        assert source.guessed == ["x.h5: 'stimulus' names the images (none is called 'image')"]
    with h5py.File(path, "w", track_order=True) as file:
        file["image"] = NAMES
        for name in ("late", "early"):
            file[name] = values(3)
    with opened(path) as source:
        assert source.names == ["late", "early"]


def test_a_data_set_of_rsatoolbox(tmp_path: Path) -> None:
    data = Dataset(
        values(6, "f8"), obs_descriptors={"image": NAMES, "session": [1, 1, 2, 2, 2]},
        channel_descriptors={"voxel": list(range(6))},
    )  # fmt: skip
    data.save(str(tmp_path / "x.h5"), file_type="hdf5")
    with opened(tmp_path / "x.h5") as source:
        assert (source.names, source.images) == (["measurements"], NAMES)
        assert source.sessions == list("11222")
        np.testing.assert_array_equal(source.read(0), data.measurements)


def test_bold5000_finds_its_list(tmp_path: Path) -> None:
    folder, lists = tmp_path / "ROIs/CSI1/h5", tmp_path / "ROIs/stim_lists"
    folder.mkdir(parents=True)
    lists.mkdir()
    path = write(folder / "CSI1_ROIs_TR34.h5", {"LHPPA": values(6), "RHLOC": values(3)})
    with pytest.raises(InputError, match="no names of images; give a list"):
        opened(path)
    stimuli = lists / "CSI01_stim_lists.txt"
    stimuli.write_text("\n".join(["a.jpg", "b.jpg", "c.jpg", "rep_a.jpg", "rep_b.jpg"]) + "\n")
    with opened(path) as source:
        assert (source.images, source.names) == (NAMES, ["LHPPA", "RHLOC"])
        assert source.files == [path, stimuli]
    with opened(path, images=list("vwxyz")) as source:
        assert (source.images, source.files) == (list("vwxyz"), [path])
    stimuli.write_text("a.jpg\n\nb.jpg\nc.jpg\nd.jpg")
    with pytest.raises(InputError, match="no name in row 2; give"):
        opened(path)


def refused(content: dict[str, Any], folder: Path, **options: Any) -> str:
    path = write(folder / "x.h5", content, **options)
    with pytest.raises(InputError) as caught:
        opened(path)
    return str(caught.value)


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    named = {"image": NAMES}
    assert "transposed: store measurements x channels" in refused(
        named | {"V1": values(9).T}, tmp_path
    )
    assert "expected (5, n_channel)" in refused(
        named | {"V1": values(9), "V2": values(9)[:4]}, tmp_path
    )
    assert "no names of images" in refused({"V1": values(9)}, tmp_path)
    assert "no name in row 4 (and of 1 more)" in refused(
        {"image": [*NAMES[:3], "", " "], "V1": values(9)}, tmp_path
    )
    assert "several descriptors" in refused({"x": NAMES, "y": NAMES, "V1": values(9)}, tmp_path)
    assert "no data sets of shape (n_row, n_channel)" in refused(named, tmp_path)
    assert "several groups (a, b)" in refused(
        {"a/V1": values(9), "b/V1": values(9)} | named, tmp_path
    )
    path = write_rdms(tmp_path / "rdms.h5", random_rdms(1), ["V1"])
    with pytest.raises(InputError, match="holds RDMs, not patterns; use data=files"):
        opened(path)
    with pytest.raises(InputError, match="if it holds patterns, use data=patterns"):
        open_rdms(write(tmp_path / "x.h5", named | {"V1": values(9)}), Naming("ROI"))


def test_what_is_not_in_the_file_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.h5", {"image": NAMES})
    for make in (
        lambda file: file.create_dataset("V1", (5, 10**12), "f4", chunks=(5, 1000)),
        lambda file: file.create_dataset("V1", (5, 10**9), "f4"),
        lambda file: file.create_dataset("V1", (5, 10**6), "f4", chunks=(1, 1)),
        lambda file: file.create_dataset("V1", (5, 9), "f4", external=[("/dev/zero", 0, 180)]),
        lambda file: file.__setitem__("V1", h5py.ExternalLink("y.h5", "/V1")),
        lambda file: file.create_virtual_dataset("V1", h5py.VirtualLayout((5, 9), "f4")),
        lambda file: file.create_dataset("V1", data=values(9), compression="lzf"),
    ):
        with h5py.File(path, "a") as file:
            if file.get("V1", getlink=True) is not None:
                del file["V1"]
            make(file)
        with pytest.raises(InputError, match=r"declares|chunks|no data sets|filters"):
            opened(path)
    path = write(path, {"image": NAMES, "V1": values(9000)})
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match="truncated"):
        opened(path)
