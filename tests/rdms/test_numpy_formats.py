"""numpy's files and folders of patterns and RDMs, written the way their makers write them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.distance import squareform
from studies import IMAGES, random_rdms

from rsa_exp.errors import InputError
from rsa_exp.rdms.images import choose_images
from rsa_exp.rdms.readers import (
    Naming,
    PatternSource,
    RdmSource,
    open_patterns,
    open_rdms,
)
from rsa_exp.rdms.readers.name_lists import read_names

N = len(IMAGES)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 5)).astype("f4")
X[2, 3] = np.nan
Y = RNG.integers(-300, 300, (N, 4), dtype="i2")


def patterns(path: Path, kind: str = "layer", **naming: Any) -> PatternSource:
    return open_patterns(path, Naming(kind, **naming))


def rdms(path: Path, kind: str = "ROI", **naming: Any) -> RdmSource:
    return open_rdms(path, Naming(kind, **naming))


def matrices(source: PatternSource) -> dict[str, np.ndarray]:
    return {name: source.read(i) for i, name in enumerate(source.row_names)}


def rows(source: RdmSource) -> list[np.ndarray]:
    return [source.read_row(i).copy() for i in range(len(source.row_names))]


def write_names(path: Path, names: list[str] = IMAGES) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return path


# Lists of names.


def test_lists_of_names(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffa.jpg\r\n\r\n ß c.png \n\n\n".encode())
    assert read_names(path) == ["a.jpg", "", "ß c.png"]
    keep, warning = choose_images(str(path), ["a", "ß c", "x", "y", "a.png"], "stem", {})
    assert keep.tolist() == [True, True, False, False, True]
    assert warning is None
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as a list of names"):
        read_names(path)
    path.write_bytes(b"")
    assert read_names(path) == []
    with path.open("wb") as stream:
        stream.truncate(2**27)
    with pytest.raises(InputError, match="which no list of names is"):
        read_names(path)


# .npy patterns.


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", "<f2", "|b1"])
def test_npy_patterns(version: tuple[int, int], order: Any, dtype: str, tmp_path: Path) -> None:
    values = np.asarray(X > 0 if dtype == "|b1" else Y, dtype=dtype, order=order)
    path = tmp_path / "LOC.npy"
    with path.open("wb") as stream:
        np.lib.format.write_array(stream, values, version=version)
    with patterns(path, images=IMAGES) as source:
        assert (source.names, source.images, source.runs) == (["LOC"], IMAGES, None)
        assert source.shape(0) == values.shape
        read = source.read(0)
        assert read.dtype == values.dtype.newbyteorder("=")
        assert read.flags.c_contiguous
        np.testing.assert_array_equal(read, values)
        some = source.read_rows(0, np.array([7, 1, 2, 2]))
        assert (some is None) == (order == "F" or dtype == ">f8")
        if some is not None:
            np.testing.assert_array_equal(some, values[[7, 1, 2, 2]])


@pytest.mark.parametrize("name", ["V1_images.txt", "file_names.txt", "images.txt"])
def test_names_beside_a_file(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "V1.npy", X)
    with pytest.raises(InputError, match=r"no names .*model.image_names=FILE.*V1_images.txt"):
        patterns(tmp_path / "V1.npy")
    listed = write_names(tmp_path / name)
    with patterns(tmp_path / "V1.npy") as source:
        assert source.images == IMAGES
        assert source.files == [tmp_path / "V1.npy", listed]
        np.testing.assert_array_equal(source.read(0), X)
    write_names(tmp_path / name, ["a", "", *IMAGES[2:]])
    with pytest.raises(InputError, match="row 2 of 9 has no image name"):
        patterns(tmp_path / "V1.npy")


def npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=True)
    return stream.getvalue()


class Harmful:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (Path("unpickled"),)


BAD_NPY: dict[str, tuple[bytes, str]] = {
    "objects": (npy(np.array([Harmful()] * 9)), r"Python objects \(a pickle\), which are never"),
    "structure": (npy(np.zeros(9, "f4,i4")), "has the type .*; expected plain numbers"),
    "text": (npy(np.array(IMAGES)), "expected plain numbers"),
    "complex": (npy(X.astype("c8")), "expected plain numbers"),
    "transposed": (npy(X.T), r"shape \(5, 9\) and 9 image names; it is transposed"),
    "other length": (npy(X[:8]), r"shape \(8, 5\) and 9 image names; expected \(9, n_channel\)"),
    "three": (npy(X[:, :, None]), r"shape \(9, 5, 1\)"),
    "number": (npy(np.float64(1)), "is empty or one number"),
    "empty": (npy(X[:, :0]), "is empty or one number"),
    "cut": (npy(X)[:-1], "is truncated: it declares an array of shape .* copy it again"),
    "huge": (npy(X).replace(b"(9, 5), }" + b" " * 12, b"(9, 5" + b"0" * 12 + b"), }"), "truncated"),
    "negative": (npy(X).replace(b"(9, 5), } ", b"(9, -5), }"), r"declares the shape \(9, -5\)"),
    "version": (npy(X).replace(b"NUMPY\1", b"NUMPY\7"), "version 7.0, expected 1.0, 2.0 or 3.0"),
    "header": (npy(X).replace(b"'descr'", b"'d" + b"(" * 5), "its header is damaged or too long"),
    "length": (npy(X)[:8] + b"\xff\xff" + npy(X)[10:], "its header is damaged or too long"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_NPY)
def test_bad_npy(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data, message = BAD_NPY[case]
    path = tmp_path / "V1.npy"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        patterns(path, images=IMAGES)
    assert not Path("unpickled").exists()


def test_folders_of_npy_as_bold5000_has_them(tmp_path: Path) -> None:
    long = "CSI1_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_allses"
    folder = tmp_path / "py"
    folder.mkdir()
    trials = [*IMAGES[:4], "rep_" + IMAGES[0]]
    for roi, n_voxel in {"LHPPA": 3, "RHLOC": 2}.items():
        np.save(folder / f"{long}_{roi}.npy", np.full((5, n_voxel), n_voxel))
    with patterns(folder, "ROI", images=trials) as source:
        assert source.names == ["LHPPA", "RHLOC"]
        assert [source.shape(i) for i in (0, 1)] == [(5, 3), (5, 2)]
        assert len(source.files) == 2
    for name in ("conv2", "conv10", "fc"):
        write_names(tmp_path / "layers/images.txt")
        np.save(tmp_path / f"layers/{name}.npy", X)
    with patterns(tmp_path / "layers") as source:
        assert source.names == ["conv2", "conv10", "fc"]
    np.save(tmp_path / "layers/fc.npy", X.T)
    with pytest.raises(InputError, match=r"layer 'fc' has shape .* it is transposed"):
        patterns(tmp_path / "layers")


# .npz patterns.


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_patterns(save: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "sub-1.npz"
    runs = np.repeat([1.0, 2.0, 3.0], 3)
    save(
        path, V1=X, V2=np.asfortranarray(Y), stimulus=np.array(IMAGES, "S"), run=runs,
        session=np.array(list("aaaaabbbb")), voxels=np.arange(5), other=np.array(["x", "y"]),
        meta=np.array({"a": Harmful()}, dtype=object),
    )  # fmt: skip
    with patterns(path, "ROI") as source:
        assert source.images == IMAGES
        assert source.runs == ["1"] * 3 + ["2"] * 3 + ["3"] * 3
        assert source.sessions == list("aaaaabbbb")
        assert source.guessed == ["sub-1.npz: 'stimulus' names the images (none is called 'image')"]
        found = matrices(source)
        assert list(found) == ["V1", "V2"]
        assert found["V2"].dtype == Y.dtype
        np.testing.assert_array_equal(found["V1"], X)
        np.testing.assert_array_equal(found["V2"], Y)
        assert source.read_rows(0, np.arange(2)) is None
    with patterns(path, "ROI", images=IMAGES[::-1]) as source:
        assert source.images == IMAGES[::-1]
    with patterns(path, "ROI", image_key="run", run_key="session") as source:
        assert source.images[0] == "1"


def test_npz_without_names_of_images_or_matrices(tmp_path: Path) -> None:
    path = tmp_path / "sub-1.npz"
    np.savez(path, X)
    write_names(tmp_path / "images.txt")
    with patterns(path) as source:
        assert (source.names, source.images) == (["sub-1"], IMAGES)
    np.savez(path, a=X, images=np.array(IMAGES, dtype=object))
    (tmp_path / "images.txt").unlink()
    with pytest.raises(InputError, match="has no names of images"):
        patterns(path)
    np.savez(path, a=X[0], names=np.array(IMAGES))
    with pytest.raises(InputError, match=r"no matrix of numbers \(it has a: float32 \(5,\), names"):
        patterns(path)
    np.savez(path, a=X[:, :, None], names=np.array(IMAGES))
    with pytest.raises(InputError, match=r"'a' has shape \(9, 5, 1\); store measurements x chann"):
        patterns(path)
    np.savez(path, a=X, one=np.array(IMAGES), two=np.array(IMAGES))
    with pytest.raises(InputError, match=r"several descriptors .* \(one, two\).*data.image_key"):
        patterns(path)
    np.savez(path, a=X, image=np.array(IMAGES), run=np.arange(3))
    with pytest.raises(InputError, match="names 3 runs and 9 images"):
        patterns(path)


def archive(path: Path, *members: tuple[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    with zipfile.ZipFile(path, "w", how) as made:
        for name, data in members:
            made.writestr(name, data)
    return path.read_bytes()


IMAGE_MEMBER = ("image.npy", npy(np.array(IMAGES)))
GOOD = (IMAGE_MEMBER, ("V1.npy", npy(X)))
BOMB = npy(X).replace(b"(9, 5), }" + b" " * 12, b"(9, 5" + b"0" * 12 + b"), }")


def declared(data: bytes) -> bytes:
    """An archive that declares a terabyte for its first member."""
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"PK\x01\x02"))
    return data[: at + 24] + (2**32 - 2).to_bytes(4, "little") + data[at + 28 :]


def encrypted(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02")
    return data[: at + 8] + b"\1" + data[at + 9 :]


BAD_NPZ: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "checksum": (
        lambda p: archive(p, *GOOD, how=0).replace(X[8].tobytes(), Y[:5, 0:2].tobytes()),
        "damaged .npz file .*CRC",
    ),
    "cut": (lambda p: archive(p, *GOOD)[:-9], "damaged .npz file .*; copy it again"),
    "no member": (lambda p: archive(p, *GOOD, ("a.txt", b"")), "'a.txt' is not an array of numpy"),
    "absolute": (lambda p: archive(p, *GOOD, ("/a.npy", npy(X))), "leads out of the archive"),
    "above": (lambda p: archive(p, *GOOD, ("../a.npy", npy(X))), "leads out of the archive"),
    "repeated": (
        lambda p: archive(p, *GOOD, ("V2.npy", npy(X))).replace(b"V2.npy", b"V1.npy"),
        "member 'V1.npy' is there twice",
    ),
    "encrypted": (lambda p: encrypted(archive(p, *GOOD)), "is encrypted"),
    "lzma": (lambda p: archive(p, *GOOD, how=zipfile.ZIP_LZMA), "compressed otherwise than numpy"),
    "declared": (lambda p: declared(archive(p, *GOOD)), "more than its part of the file can bec"),
    "shape": (
        lambda p: archive(p, IMAGE_MEMBER, ("V1.npy", BOMB)),
        "'V1' declares an array of shape .* and type float32, but has 180 bytes",
    ),
    "header": (lambda p: archive(p, *GOOD, ("a.npy", b"\x93NUMPY")), "header of 'a' is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_NPZ)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_bad_npz(case: str, tmp_path: Path) -> None:
    make, message = BAD_NPZ[case]
    path = tmp_path / "sub-1.npz"
    path.write_bytes(make(path))
    with pytest.raises(InputError, match=message), patterns(path) as source:
        matrices(source)


# RDMs.

D = random_rdms(3)
SQUARES = np.stack([squareform(d) for d in D])
STACKS = {
    "condensed": (D[0], 1),
    "square": (SQUARES[0], 1),
    "condensed stack": (D, 3),
    "square stack": (SQUARES, 3),
    "last": (np.moveaxis(SQUARES, 0, -1), 3),
    "fortran": (np.asfortranarray(SQUARES), 3),
    "condensed fortran": (np.asfortranarray(D), 3),
    "single precision": (SQUARES.astype("f4"), 3),
    "as many as images": (np.repeat(SQUARES[:1], N, axis=0), N),
    "as many as images, last": (np.repeat(SQUARES[0][:, :, None], N, axis=2), N),
    "as many as pairs, last": (np.repeat(SQUARES[0][:, :, None], 36, axis=2), 36),
}


@pytest.mark.parametrize("case", STACKS)
def test_npy_rdms(case: str, tmp_path: Path) -> None:
    values, k = STACKS[case]
    np.save(tmp_path / "EVC.npy", values)
    with rdms(tmp_path / "EVC.npy", images=IMAGES) as source:
        assert source.row_names == ["EVC"] * k
        found = rows(source)
    expected = D if k == 3 else D[:1].repeat(k, axis=0)
    np.testing.assert_array_equal(found, expected.astype(values.dtype))


def test_what_is_no_rdm(tmp_path: Path) -> None:
    path = tmp_path / "EVC.npy"
    for values, message in {
        "similarity": (SQUARES[0] + np.eye(N), "has a diagonal that is not 0"),
        "patterns": (X, r"shape \(9, 5\) .* expected numbers of shape \(36,\) or \(9, 9\) for 9"),
        "time": (SQUARES[None], r"has shape \(1, 3, 9, 9\)"),
        "pairs first": (D.T, r"has shape \(36, 3\)"),
        "number": (np.float64(1), "is empty or one number"),
        "bool": (SQUARES[0] > 0, "type bool"),
    }.values():  # fmt: skip
        np.save(path, values)
        with pytest.raises(InputError, match=message), rdms(path, images=IMAGES) as source:
            rows(source)
    with pytest.raises(InputError, match=r"has no names of images.*data.image_names=FILE"):
        rdms(path)
    with pytest.raises(InputError, match="image 2 has no name"):
        rdms(path, images=["a", "", *IMAGES[2:]])


def test_npz_rdms(tmp_path: Path) -> None:
    path = tmp_path / "target_fmri.npz"
    np.savez(path, EVC_RDMs=SQUARES, IT_RDMs=D[2], image=np.array(IMAGES), meta=Harmful())
    with rdms(path) as source:
        assert source.images == IMAGES
        assert source.row_names == ["EVC_RDMs"] * 3 + ["IT_RDMs"]
        np.testing.assert_array_equal(rows(source), D[[0, 1, 2, 2]])
        assert list(source.row_digests()) == [f"EVC_RDMs#{i}" for i in range(3)] + ["IT_RDMs"]


def test_net2brain_models(tmp_path: Path) -> None:
    for layer in ("layer10.1", "layer2"):
        np.savez(
            tmp_path / f"RDM_{layer.replace('.', '_')}.npz",
            rdm=D[len(layer) % 3].astype("f4"),
            stimuli_name=np.array(IMAGES),
            layer_name=layer,
            meta={"distance": "pearson", "harm": Harmful()},
        )
    with rdms(tmp_path, "layer") as source:
        assert (source.row_names, source.images) == (["layer2", "layer10.1"], IMAGES)
        assert len(source.guessed) == 1
        np.testing.assert_array_equal(rows(source), D[[0, 0]].astype("f4"))
    with rdms(tmp_path / "RDM_layer2.npz", "layer") as source:
        assert source.names == ["layer2"]
    np.savez(
        tmp_path / "RDM_layer3.npz", rdm=D[0], stimuli_name=np.array(IMAGES[::-1]), layer_name="l3"
    )
    with pytest.raises(InputError, match=r"RDM_layer3.npz has other images than RDM_layer2.npz"):
        rdms(tmp_path, "layer")


def test_net2brain_brains(tmp_path: Path) -> None:
    for i, roi in enumerate(("EVC", "IT")):
        np.savez(tmp_path / f"fmri_{roi}_RDMs.npz", np.asfortranarray(SQUARES[i : i + 2]))
    with pytest.raises(InputError, match=r"has no names of images.*data.image_names=FILE"):
        rdms(tmp_path / "fmri_IT_RDMs.npz")
    with rdms(tmp_path, images=IMAGES) as source:
        assert source.row_names == ["EVC_RDMs"] * 2 + ["IT_RDMs"] * 2
        np.testing.assert_array_equal(rows(source), D[[0, 1, 1, 2]])


# thingsvision.


def layer(folder: Path, **files: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in files.items():
        np.save(folder / f"{name}.npy", values)
    return folder


def test_thingsvision_folder(tmp_path: Path) -> None:
    folder = layer(tmp_path / "resnet50", features=X)
    listed = write_names(folder / "file_names.txt", [f"/data/images/{name}" for name in IMAGES])
    with patterns(folder) as source:
        assert (source.names, source.images) == (["resnet50"], IMAGES)
        assert source.files == [folder / "features.npy", listed]
        np.testing.assert_array_equal(source.read(0), X)
        np.testing.assert_array_equal(source.read_rows(0, np.array([3, 1])), X[[3, 1]])
    maps = np.arange(N * 12).reshape(N, 3, 2, 2)  # units of a convolution
    np.save(folder / "features.npy", maps)
    with patterns(folder) as source:
        np.testing.assert_array_equal(source.read(0), maps.reshape(N, 12))
        np.testing.assert_array_equal(source.read_rows(0, np.array([8])), maps[8].reshape(1, 12))
    (folder / "features.npy").unlink()
    np.savetxt(folder / "features.txt", X)
    with patterns(folder) as source:
        np.testing.assert_array_equal(source.read(0), X)
    (folder / "features.txt").rename(folder / "features.pt")
    with pytest.raises(InputError, match=r"features.pt is a pickle.* file_format='npy'"):
        patterns(folder)


@pytest.mark.parametrize(
    "names", [["features_01", "features_02"], ["features_0-4", "features_4-9"],
              ["features_train_4-4", "features_train_4-9"]],
)  # fmt: skip
def test_thingsvision_parts_and_modules(names: list[str], tmp_path: Path) -> None:
    write_names(tmp_path / "out/file_names.txt")
    layer(tmp_path / "out/features.10", **{names[0]: X[:4], names[1]: X[4:]})
    layer(tmp_path / "out/features.2", features=Y)
    for folder, expected in {
        "out": {"features.2": Y, "features.10": X}, "out/features.10": {"features.10": X}
    }.items():  # fmt: skip
        with patterns(tmp_path / folder) as source:
            assert source.images == IMAGES
            assert source.names == list(expected)
            some = np.array([8, 0, 4, 3])
            for i, values in enumerate(expected.values()):
                np.testing.assert_array_equal(source.read(i), values)
                np.testing.assert_array_equal(source.read_rows(i, some), values[some])
    layer(tmp_path / "out/features.10", features_test=X)
    with pytest.raises(InputError, match=r"features of several parts|different shapes"):
        patterns(tmp_path / "out")


def test_thingsvision_matlab_has_a_variable_for_each_image(tmp_path: Path) -> None:
    folder = tmp_path / "fc"
    folder.mkdir()
    write_names(folder / "file_names.txt", [f"class/{name}" for name in IMAGES])
    named = {f"class/{name.rpartition('.')[0]}": row for name, row in zip(IMAGES, X, strict=True)}
    backwards = dict(reversed(named.items()))
    savemat(folder / "features_01.mat", dict(list(backwards.items())[:4]))
    savemat(folder / "features_02.mat", dict(list(backwards.items())[4:]))
    with patterns(folder) as source:
        assert (source.names, source.images) == (["fc"], IMAGES)
        np.testing.assert_array_equal(source.read(0), X)
    (folder / "features_02.mat").unlink()
    with pytest.raises(InputError, match=r"no variable with the features of 5 of 9 images"):
        patterns(folder)
    savemat(folder / "features.mat", {"features": X})  # written before its list of names
    with patterns(folder) as source:
        np.testing.assert_array_equal(source.read(0), X)


def test_modules_called_features_are_layers(tmp_path: Path) -> None:
    layer(tmp_path, features_0=X, features_3=Y)
    write_names(tmp_path / "images.txt")
    with patterns(tmp_path) as source:
        assert source.names == ["features_0", "features_3"]
        np.testing.assert_array_equal(source.read(1), Y)


def test_parts_as_text(tmp_path: Path) -> None:
    write_names(tmp_path / "file_names.txt")
    for i, values in enumerate((X[:4], X[4:]), start=1):
        np.savetxt(tmp_path / f"features_{i:02d}.txt", values)
    with patterns(tmp_path) as source:
        np.testing.assert_array_equal(source.read(0), X)
        np.testing.assert_array_equal(source.read_rows(0, np.array([5, 2])), X[[5, 2]])
    np.savetxt(tmp_path / "features_02.txt", X[4:, :2])
    with pytest.raises(InputError, match="the parts of features have different shapes"):
        patterns(tmp_path)
    (tmp_path / "features_02.txt").write_text("1 2\n3\n")
    with pytest.raises(InputError, match=r"features_02.txt cannot be read as lines of numbers"):
        patterns(tmp_path)


def test_thingsvision_in_formats_of_others(tmp_path: Path) -> None:
    """Which the reader of the format opens, with the names beside it."""
    listed = write_names(tmp_path / "file_names.txt")
    with h5py.File(tmp_path / "features.hdf5", "w") as file:
        file.create_dataset("features", data=X)
    with patterns(tmp_path) as source:
        assert (source.names, source.images) == ([tmp_path.name], IMAGES)
        assert source.files == [tmp_path / "features.hdf5", listed]
        np.testing.assert_array_equal(source.read(0), X)
        some = source.read_rows(0, np.array([5, 2]))
        assert some is None or np.array_equal(some, X[[5, 2]], equal_nan=True)
    with h5py.File(tmp_path / "features.hdf5", "w") as file:
        file["features_02"], file["features_01"], file["features_10"] = X[2:5], X[:2], X[5:]
    with patterns(tmp_path) as source:
        np.testing.assert_array_equal(source.read(0), X)
    with h5py.File(tmp_path / "features.hdf5", "a") as file:
        del file["features_02"]
        file["features_02"] = ["no", "numbers"]
    with pytest.raises(InputError, match="are not all data sets of numbers"):
        patterns(tmp_path)
