"""MATLAB files as MATLAB writes them, of patterns and of RDMs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.distance import squareform
from studies import Finished, random_rdms

from rsa_exp.errors import InputError
from rsa_exp.files import read_scores
from rsa_exp.rdms.readers import Naming, open_patterns, open_rdms

NAMES = ["a.jpg", "bé.jpg", "c.jpg", "a.jpg", "bé.jpg"]
N = len(NAMES)


def cells(texts: list[str]) -> np.ndarray:
    """Make a cell array, a column of texts."""
    found = np.empty((len(texts), 1), object)
    found[:, 0] = texts
    return found


def version_5(path: Path, content: dict[str, Any]) -> None:
    savemat(path, content, do_compression=True)


def plain(path: Path, content: dict[str, Any]) -> None:
    savemat(path, content)


def version_73(path: Path, content: dict[str, Any]) -> None:
    """Write what MATLAB writes with -v7.3: transposed, references, a header of its own."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in content.items():
            _write(file, file, name, value)
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as stream:
        stream.write(header)


def _write(file: h5py.File, group: h5py.Group, name: str, value: Any) -> h5py.Dataset:
    def referred(parts: Any) -> np.ndarray:
        references = np.empty(parts.shape, h5py.ref_dtype)
        for at, part in np.ndenumerate(parts):
            into = file.require_group("#refs#")
            references[at] = _write(file, into, f"r{len(into)}", part).ref
        return references.T

    if isinstance(value, str) and not value:  # the shape, where there is nothing else
        made, kind = group.create_dataset(name, data=np.zeros(2, "u8")), "char"
        made.attrs["MATLAB_empty"] = 1
    elif isinstance(value, str):
        units = np.frombuffer(value.encode("utf-16-le"), "<u2")
        made, kind = group.create_dataset(name, data=units[:, None]), "char"
    elif value.dtype.names:
        made, kind = group.create_group(name), "struct"
        for field in value.dtype.names:
            made.create_dataset(field, data=referred(value[field]), dtype=h5py.ref_dtype)
    elif value.dtype.kind == "O":
        made = group.create_dataset(name, data=referred(value), dtype=h5py.ref_dtype)
        kind = "cell"
    elif value.dtype.kind == "U":
        characters = np.array([[ord(c) for c in text] for text in value], "u2")
        made, kind = group.create_dataset(name, data=characters.T), "char"
    else:
        options = {"compression": "gzip", "chunks": True} if value.size > 20 else {}
        made, kind = group.create_dataset(name, data=np.atleast_2d(value).T, **options), "double"
    made.attrs["MATLAB_class"] = np.bytes_(kind)
    return made


Writer = Callable[[Path, dict[str, Any]], None]
every_version = pytest.mark.parametrize("write", [plain, version_5, version_73])


def values(n_channel: int, dtype: str = "f8", n_row: int = N) -> np.ndarray:
    drawn = np.random.default_rng(n_channel).normal(scale=50, size=(n_row, n_channel))
    return drawn.astype(dtype)


def rdm(n_images: int, seed: int = 0) -> np.ndarray:
    return squareform(np.random.default_rng(seed).random(n_images * (n_images - 1) // 2))


@every_version
def test_patterns(write: Writer, tmp_path: Path) -> None:
    content = {
        "V1": values(7), "V2": values(6, "f4"), "names": cells(NAMES), "TR": np.array([[2.0]]),
        "run": np.array([[1.0, 1, 1, 2, 2]]), "session": cells(list("xxyyy")),
        "other": values(4, n_row=3),
    }  # fmt: skip
    path = tmp_path / "patterns.mat"
    write(path, content)
    with open_patterns(path, Naming("ROI")) as source:
        assert (source.images, source.names) == (NAMES, ["V1", "V2"])
        assert (source.runs, source.sessions) == (list("11122"), list("xxyyy"))
        assert source.guessed == [
            "patterns.mat: 'names' names the images (none is called 'image')",
            "patterns.mat: other left out, which have not 5 rows",
        ]
        for index, name in enumerate(source.names):
            found = source.read(index)
            assert found.dtype == content[name].dtype
            assert found.flags.c_contiguous
            assert source.shape(index) == content[name].shape
            np.testing.assert_array_equal(found, content[name])


@every_version
def test_names_in_a_char_matrix_and_numbers(write: Writer, tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    padded = np.array(["aa", "b ", "cc", "d ", "e "])
    write(path, {"V1": values(7), "image": padded})
    with open_patterns(path, Naming("ROI")) as source:
        assert source.images == ["aa", "b", "cc", "d", "e"]
    write(path, {"V1": values(7), "id": np.array([[3.0, 1, 2, 3, 1]])})
    with open_patterns(path, Naming("ROI", image_key="id")) as source:
        assert source.images == list("31231")


@every_version
def test_bold5000(write: Writer, tmp_path: Path) -> None:
    folder = tmp_path / "ROIs" / "CSI2" / "mat"
    folder.mkdir(parents=True)
    rois = {f"{side}{area}": values(4 + len(area)) for side in ("LH", "RH")
            for area in ("PPA", "LOC", "EarlyVis", "RSC", "OPA")}  # fmt: skip
    path = folder / "CSI2_ROIs_TR34.mat"
    write(path, rois)
    (tmp_path / "ROIs" / "stim_lists").mkdir()
    stimuli = tmp_path / "ROIs" / "stim_lists" / "CSI02_stim_lists.txt"
    stimuli.write_text("a.jpg\nbé.jpg\nc.jpg\nrep_a.jpg\nrep_bé.jpg\n", encoding="utf-8")
    with open_patterns(path, Naming("ROI")) as source:
        assert source.images == NAMES
        assert sorted(source.names) == sorted(rois)
        assert source.files == [path, stimuli]
        for index, name in enumerate(source.names):
            np.testing.assert_array_equal(source.read(index), rois[name])


@every_version
def test_structs_of_rdms_as_of_92_images(write: Writer, tmp_path: Path) -> None:
    fields = [("RDM", "O"), ("name", "O"), ("color", "O")]
    structs = np.empty((1, 2, 2), fields)
    for i, subject in enumerate(("BE", "KO")):
        for session in (0, 1):
            name = f"hIT | {subject} | Session: {session + 1}"
            structs[0, i, session] = (rdm(N, 2 * i + session), name, np.array([[0.0, 0, 1]]))
    path, images = tmp_path / "92_brainRDMs.mat", list("abcde")
    write(path, {"RDMs": structs})
    with open_rdms(path, Naming("ROI", images=images)) as source:
        assert source.row_names == ["hIT"] * 4
        assert "RDMs of 2 subjects are taken together (BE, KO)" in source.guessed[0]
    for subject in ("KO", "ko"):
        with open_rdms(path, Naming("ROI", images=images, subject=subject)) as source:
            assert (source.row_names, source.guessed) == (["hIT", "hIT"], [])
            for row in (0, 1):
                expected = squareform(structs["RDM"][0, 1, row])
                np.testing.assert_array_equal(source.read_row(row), expected)
    with pytest.raises(InputError, match="no RDMs of subject 'TI'; it has those of BE, KO"):
        open_rdms(path, Naming("ROI", images=images, subject="TI"))
    with pytest.raises(InputError, match="no names of images"):
        open_rdms(path, Naming("ROI"))
    with pytest.raises(InputError, match=r"'hIT' has shape \(5, 5\); expected .* 3 images"):
        open_rdms(path, Naming("ROI", images=images[:3]))
    with pytest.raises(InputError, match="holds RDMs, not patterns; use data=files"):
        open_patterns(path, Naming("ROI", images=images))


@every_version
def test_models_of_92_images_and_of_meadows(write: Writer, tmp_path: Path) -> None:
    models = np.empty((1, 2), [("RDM", "O"), ("color", "O"), ("name", "O")])
    models[0, 0] = (rdm(N).astype("f4"), np.zeros((1, 3)), "animacy")
    models[0, 1] = (squareform(rdm(N, 1))[None], np.zeros((1, 3)), "V1")
    path = tmp_path / "models.mat"
    write(path, {"Models": models, "stimuli": np.array(list("abcde"))})
    with open_rdms(path, Naming("layer")) as source:
        assert (source.images, source.names) == (list("abcde"), ["animacy", "V1"])
        np.testing.assert_array_equal(source.read_row(0), squareform(models["RDM"][0, 0]))
        np.testing.assert_array_equal(source.read_row(1), squareform(rdm(N, 1)))
    write(path, {"rdmutv": squareform(rdm(N))[None], "stimuli": np.array(list("abcde"))})
    with open_rdms(path, Naming("ROI")) as source:
        assert source.names == ["rdmutv"]
        np.testing.assert_array_equal(source.read_row(0), squareform(rdm(N)))


@every_version
def test_stacks_of_rdms_as_of_algonauts(write: Writer, tmp_path: Path) -> None:
    fmri = np.stack([rdm(N, subject) for subject in range(3)])
    meg = np.stack([np.stack([rdm(N, 9 * s + t) for t in range(2)]) for s in range(3)])
    path, images = tmp_path / "target.mat", list("abcde")
    write(path, {"EVC_RDMs": fmri, "MEG_RDMs_late": meg, "toolbox": np.moveaxis(fmri, 0, 2)})
    with open_rdms(path, Naming("ROI", images=images)) as source:
        assert source.row_names == ["EVC_RDMs"] * 3 + ["MEG_RDMs_late"] * 6 + ["toolbox"] * 3
    with open_rdms(path, Naming("ROI", images=images, subject="sub-03")) as source:
        assert source.row_names == ["EVC_RDMs", "MEG_RDMs_late", "MEG_RDMs_late", "toolbox"]
        for row, expected in enumerate([fmri[2], meg[2, 0], meg[2, 1], fmri[2]]):
            np.testing.assert_array_equal(source.read_row(row), squareform(expected))
    with pytest.raises(InputError, match="no RDMs of subject '4'; it has those of 1, 2, 3"):
        open_rdms(path, Naming("ROI", images=images, subject="4"))
    write(path, {"EVC_RDMs": np.ones((3, 3, 3))})
    with pytest.raises(InputError, match="3 axes have the size 3"):
        open_rdms(path, Naming("ROI", images=images[:3]))


@every_version
def test_what_cannot_be_used_is_one_line(write: Writer, tmp_path: Path) -> None:
    path, named = tmp_path / "x.mat", {"image": cells(NAMES)}

    def refused(content: dict[str, Any], message: str) -> None:
        write(path, content)
        with pytest.raises(InputError, match=message):
            open_patterns(path, Naming("ROI"))

    refused(named | {"V1": values(9).T}, "transposed: store measurements x channels")
    refused({"V1": values(9)}, "no names of images; give a list")
    refused(named, r"no matrix of numbers \(it has image\)")
    refused({"image": cells([*NAMES[:2], "", *NAMES[3:]]), "V1": values(9)}, "no name in row 3")
    refused({"x": cells(NAMES), "y": cells(NAMES), "V1": values(9)}, "several descriptors")
    mixed = cells(NAMES)
    mixed[2, 0] = values(3)
    refused({"image": mixed, "V1": values(9)}, "cell 3 that is no text")
    write(path, {"V1": np.triu(rdm(N)), "V2": values(7)})
    with open_rdms(path, Naming("ROI", images=NAMES)) as source:
        assert source.names == ["V1"]
        with pytest.raises(InputError, match="'V1' is not symmetric"):
            source.read_row(0)
    write(path, {"V2": values(7)})
    with pytest.raises(InputError, match="if it holds patterns, use data=patterns"):
        open_rdms(path, Naming("ROI", images=NAMES))


def test_other_versions_and_damage_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    savemat(path, {"V1": values(9)}, format="4")
    for content in (path.read_bytes(), b"# Created by Octave\n", b"MATLAB 5.0 MAT-file"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"damaged, truncated, or not of MATLAB's versions 5"):
            open_patterns(path, Naming("ROI", images=NAMES))
    plain(path, {"V1": values(9)})
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="damaged, truncated"):
        open_patterns(path, Naming("ROI", images=NAMES))


def matrix(code: int, dims: list[int], body: bytes, name: bytes = b"V1") -> bytes:
    """Make an element of a MATLAB file, as it stands within another."""
    data = struct.pack("<IIII", 6, 8, code, 0) + struct.pack("<II2i", 5, 8, *dims)
    data += struct.pack("<II", 1, len(name)) + name.ljust(-(-len(name) // 8) * 8, b"\0") + body
    return struct.pack("<II", 14, len(data)) + data


def crafted(path: Path, element: bytes, *, compress: bool = False) -> Path:
    if compress:
        squeezed = zlib.compress(element, 9)
        element = struct.pack("<II", 15, len(squeezed)) + squeezed
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + element)
    return path


def test_what_is_made_up_is_refused(tmp_path: Path) -> None:
    path, naming = tmp_path / "x.mat", Naming("ROI", images=NAMES)
    zeros = struct.pack("<II", 9, 5 * 8 * 4_000_000) + bytes(5 * 8 * 4_000_000)
    with (
        open_patterns(
            crafted(path, matrix(6, [5, 4_000_000], zeros), compress=True), naming
        ) as source,
        pytest.raises(InputError, match=r"has 160000\d+ bytes compressed to"),
    ):
        source.read(0)
    with (
        open_patterns(crafted(path, matrix(6, [5, 10**6], b"")), naming) as source,
        pytest.raises(InputError, match="'V1' is damaged"),
    ):
        source.read(0)
    nested = b""
    for _ in range(3000):
        nested = matrix(1, [1, 1], nested, b"")
    names = matrix(1, [5, 1], nested * 5, b"image")
    crafted(path, names + matrix(6, [5, 2], struct.pack("<II", 9, 80) + bytes(80)))
    with pytest.raises(InputError, match="cells or structs more than 8 deep; save plain arrays"):
        open_patterns(path, Naming("ROI"))
    handle = matrix(16, [1, 1], matrix(2, [1, 1], b"", b""), b"")
    settings = matrix(
        2, [1, 1],
        struct.pack("<II", 4 << 16 | 5, 8) + struct.pack("<II", 1, 8) + b"function" + handle,
        b"settings",
    )  # fmt: skip
    body = struct.pack("<II", 9, 200) + bytes(200)
    with open_rdms(crafted(path, settings + matrix(6, [5, 5], body)), naming) as source:
        assert source.names == ["V1"]  # the struct with a function handle is left alone
    with pytest.raises(InputError, match="'settings' has an object, a function handle"):
        open_rdms(crafted(path, settings), naming)
    crafted(path, matrix(1, [5, 1], handle * 5, b"image") + matrix(6, [5, 2], b""))
    with pytest.raises(InputError, match="'image' has an object, a function handle"):
        open_patterns(path, Naming("ROI"))


def test_texts_as_matlab_stores_them(tmp_path: Path) -> None:
    """In units of 16 bits, which scipy does not write."""
    text = "é漢b".encode("utf-16-le").ljust(8, b"\0")
    one = matrix(4, [1, 3], struct.pack("<II", 4, 6) + text, b"")
    body = struct.pack("<II", 9, 80) + bytes(80)
    path = crafted(
        tmp_path / "x.mat", matrix(1, [5, 1], one * 5, b"image") + matrix(6, [5, 2], body)
    )
    with open_patterns(path, Naming("ROI")) as source:
        assert source.images == ["é漢b"] * 5
        assert not source.read(0).any()


def test_one_file_of_several_subjects(cli: Callable[..., Finished], tmp_path: Path) -> None:
    """A file like Kriegeskorte's serves all its subjects; one that says not whose it is, none."""
    rdms = {f"hIT | {s} | Session: {k}": random_rdms(1, 8, seed=i) for i, (s, k) in enumerate(
        product(("BE", "KO"), (1, 2))
    )}  # fmt: skip
    structs = np.array(
        [(squareform(rdm[0]), name) for name, rdm in rdms.items()],
        dtype=[("RDM", object), ("name", object)],
    )
    savemat(tmp_path / "brain.mat", {"RDMs": structs.reshape(1, 2, 2)})
    savemat(tmp_path / "model.mat", {"a": squareform(random_rdms(1, 8, seed=9)[0])})
    (tmp_path / "names.txt").write_text("\n".join(f"i{k}" for k in range(8)))
    settings = [
        "data=files", "data.brain=brain.mat", "data.model=model.mat", "data.subjects=[BE,KO]",
        "data.image_names=names.txt", "model.image_names=names.txt", "inference=none",
    ]  # fmt: skip
    for subject, first in (("BE", 0), ("KO", 2)):
        done = cli(*settings, f"subject={subject}")
        assert done.status == 0, done.err
        mean = np.mean([random_rdms(1, 8, seed=first + k)[0] for k in (0, 1)], axis=0)
        expected = np.corrcoef(mean, random_rdms(1, 8, seed=9)[0])[0, 1]
        table = max(tmp_path.rglob("scores.csv"), key=lambda path: path.stat().st_mtime_ns)
        assert read_scores(table)["score"].iloc[0] == pytest.approx(expected, abs=1e-12)
    done = cli(*settings, "data.brain=model.mat", "subject=BE")
    assert "is one file for 2 subjects, and does not say what is whose" in done.err
