"""Files and settings from elsewhere are data: refused in one line, before memory is taken."""

from __future__ import annotations

import copy
import fcntl
import logging
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from hostile import Outcome, Reader
from hydra import compose, initialize_config_dir
from studies import IMAGES, Files, Finished, random_rdms, write_rdms

from rsa_exp.cli.console import ConsoleHandler
from rsa_exp.config import compose as settings
from rsa_exp.config.groups import conf_dir
from rsa_exp.config.schema import TrackingConfig
from rsa_exp.errors import InputError
from rsa_exp.figures.saving import save
from rsa_exp.rdms.images import choose_images
from rsa_exp.rdms.readers import Naming, open_rdms
from rsa_exp.tracking.addresses import metric_name

Change = Callable[[Path], object]
ROWS, NAMES = "rdm_descriptors/roi", "pattern_descriptors/image"


def edit(action: Callable[[h5py.File], object]) -> Change:
    def change(path: Path) -> None:
        with h5py.File(path, "a") as file:
            action(file)

    return change


def table(*arguments: Any, **options: Any) -> Change:
    """Put another data set in the place of the dissimilarities."""

    def replaced(file: h5py.File) -> None:
        del file["dissimilarities"]
        file.create_dataset("dissimilarities", *arguments, **options)

    return edit(replaced)


def labels(name: str, values: Any, **options: Any) -> Change:
    def replaced(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, data=values, **options)

    return edit(replaced)


def link(name: str, target: Any) -> Change:
    def replaced(file: h5py.File) -> None:
        del file[name]
        file[name] = target

    return edit(replaced)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((1, 36), "f8")
    layout[0] = h5py.VirtualSource("secret.h5", "dissimilarities", (36,))
    del file["dissimilarities"]
    file.create_virtual_dataset("dissimilarities", layout)


def references(kind: Any) -> Change:
    def replaced(file: h5py.File) -> None:
        del file["dissimilarities"]
        file.create_dataset("dissimilarities", (1, 36), dtype=kind)

    return edit(replaced)


def many_images(n_images: int, **options: Any) -> Change:
    """Declare rows of so many images, of which none is in the file."""

    def change(path: Path) -> None:
        with h5py.File(path, "w") as file:
            shape = (1, n_images * (n_images - 1) // 2)
            file.create_dataset("dissimilarities", shape, "f8", **options)
            names = np.char.mod("%d", np.arange(n_images)).astype("S")
            file.create_dataset(NAMES, data=names, chunks=(1000,), compression="gzip")
            file[ROWS] = np.array(["V1"], "S")

    return change


def packed(size: int) -> bytes:
    """Compress `size` zeros: a block of them, many times."""
    packer, block = zlib.compressobj(9), bytes(2**24)
    start, again = (packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    end, n_blocks = packer.flush(), size // len(block)
    checksum = 1 + (size % 65521 << 16)  # Adler-32 of zeros
    return start + again * (n_blocks - 1) + end[:-4] + struct.pack(">I", checksum)


def compressed(data: bytes, chunk: int = 288) -> Change:
    """Put `data` into a compressed chunk of `chunk` bytes."""

    def replaced(file: h5py.File) -> None:
        del file["dissimilarities"]
        values = file.create_dataset(
            "dissimilarities", (1, 36), "f8", chunks=(1, chunk // 8), maxshape=(1, None),
            compression="gzip",
        )  # fmt: skip
        values.id.write_direct_chunk((0, 0), data)

    return edit(replaced)


def bomb(chunk: int, size: int) -> Change:
    """Put `size` zeros into a chunk of `chunk` bytes."""
    return compressed(packed(size), chunk)


def bomb_in_names(path: Path) -> None:
    """Put three gigabytes into a chunk of 81 bytes."""
    labels(NAMES, np.array(IMAGES, "S"), chunks=(9,), compression="gzip")(path)
    with h5py.File(path, "a") as file:
        file[NAMES].id.write_direct_chunk((0,), packed(3 * 2**30))


def long_string(path: Path) -> None:
    """Make one of the strings of any length claim two gigabytes."""
    labels(NAMES, IMAGES, dtype=h5py.string_dtype())(path)
    with h5py.File(path) as file:
        at = file[NAMES].id.get_offset()
    data = bytearray(path.read_bytes())
    data[at : at + 4] = struct.pack("<I", 2**31)
    path.write_bytes(data)


def wide_attribute(path: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file["dissimilarities"] = random_rdms(1)
        file[ROWS] = np.array(["V1"], "S")
        file.create_group("pattern_descriptors").attrs["image"] = np.zeros(9, "S8000000")


def many_descriptors(file: h5py.File) -> None:
    for i in range(1001):
        file[f"pattern_descriptors/d{i}"] = 0


FILES: dict[str, tuple[Change, str]] = {
    "external link": (
        link("dissimilarities", h5py.ExternalLink("secret.h5", "dissimilarities")),
        "not a data set within the file itself",
    ),
    "soft link": (
        link("dissimilarities", h5py.SoftLink("/pattern_descriptors/index")),
        "not a data set within the file itself",
    ),
    "group elsewhere": (
        link("pattern_descriptors", h5py.ExternalLink("secret.h5", "pattern_descriptors")),
        "no group 'pattern_descriptors'",
    ),
    "names elsewhere": (
        link(NAMES, h5py.ExternalLink("secret.h5", NAMES)),
        "no descriptor names the images (it has index)",
    ),
    "virtual": (edit(virtual), "not a data set within the file itself"),
    "stored elsewhere": (
        table((1, 36), "f8", external=[("/etc/passwd", 0, 288)]),
        "not a data set within the file itself",
    ),
    "compound": (table((1, 36), [("a", "f8"), ("b", "i4")]), "expected numbers of shape"),
    "object references": (references(h5py.ref_dtype), "expected numbers of shape"),
    "region references": (references(h5py.regionref_dtype), "expected numbers of shape"),
    "numbers of any length": (references(h5py.vlen_dtype("f8")), "expected numbers of shape"),
    "complex": (table((1, 36), "c16"), "expected numbers of shape"),
    "boolean": (table((1, 36), "?"), "expected numbers of shape"),
    "no dimension": (table(data=1.0), "expected numbers of shape"),
    "three dimensions": (table((1, 6, 6), "f8"), "expected numbers of shape"),
    "10^15 unwritten": (table((1, 10**15), "f8"), "declares rows of 1000000000000000"),
    "10^15 in chunks": (table((1, 10**15), "f8", chunks=(1, 1000)), "declares rows of 1000"),
    "60,000 images": (many_images(60_000), "declares rows of 1799970000 dissimilarities"),
    "60,000 images, NaN": (
        many_images(60_000, chunks=(1, 2**16), fillvalue=np.nan),
        "declares rows of 1799970000 dissimilarities",
    ),
    "10^9 names": (
        labels(NAMES, None, shape=(10**9,), dtype="S8", chunks=(1000,)),
        "names of 1000000000 images",
    ),
    "10^9 RDMs": (table((10**9, 36), "f8", chunks=(1000, 36)), "declares 1000000000 RDMs"),
    "scale offset": (
        table(data=np.ones((1, 36), int), chunks=(1, 36), scaleoffset=0),
        "stored through the filters 6",
    ),
    "bomb in a large chunk": (bomb(2**20, 2**26), "damaged or truncated"),
    "bomb in a small chunk": (bomb(2**12, 2**26), "damaged or truncated"),
    "chunk beyond the table": (bomb(2**29, 2**26), "in chunks of 536870912 bytes, of 288 bytes"),
    "lzf": (
        table(data=np.ones((1, 36)), chunks=(1, 2**17), maxshape=(1, None), compression="lzf"),
        "stored through the filters 32000",
    ),
    "bomb in names": (bomb_in_names, "damaged or truncated"),
    "chunk that becomes too short": (
        compressed(zlib.compress(bytes(8))),
        "damaged or truncated",
    ),
    "chunk that is no gzip": (compressed(b"x" * 99), "damaged or truncated"),
    "chunks of one number": (many_images(4000, chunks=(1, 1)), "in chunks of 8 bytes"),
    "names in a huge chunk": (
        labels(NAMES, np.array(IMAGES, "S"), chunks=(2**23,), maxshape=(None,), compression="gzip"),
        "declares 75497472 bytes of names",
    ),
    "newline": (labels(ROWS, [b"a\nb"]), "control characters"),
    "null character": (labels(ROWS, ["a\0b"], dtype="S3"), "control characters"),
    "escape sequence": (labels(ROWS, [b"\x1b[2J"]), "control characters"),
    "not UTF-8": (labels(ROWS, [b"\xff\xfe"]), "is not UTF-8 text"),
    "long name": (labels(ROWS, [b"x" * 5000]), "more than 1024 characters"),
    "long string": (long_string, "damaged or truncated"),
    "names as compound": (
        labels(NAMES, np.zeros(9, [("a", "f8"), ("b", "i4")])),
        "no descriptor names the images (it has index)",
    ),
    "names as references": (
        labels(NAMES, None, shape=(9,), dtype=h5py.ref_dtype),
        "no descriptor names the images (it has index)",
    ),
    "wide attribute": (wide_attribute, "declares 72000000 bytes of names"),
    "many descriptors": (edit(many_descriptors), "1003 descriptors"),
    "pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "is a device or a pipe"),
    "device": (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), "is a device or a pipe"),
    "name of 5000": (lambda _: None, "cannot be opened: "),
}


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as process:
        yield process


@pytest.mark.parametrize("case", FILES)
def test_a_hostile_file_gets_one_line(case: str, reader: Reader, tmp_path: Path) -> None:
    change, message = FILES[case]
    write_rdms(tmp_path / "secret.h5", random_rdms(1), ["V1"])
    path = write_rdms(tmp_path / "file.h5", random_rdms(1), ["V1"])
    change(path)
    outcome = reader.read(tmp_path / ("n" * 5000) if case == "name of 5000" else path)
    assert (outcome.failure, message in outcome.said) == ("", True), outcome
    assert "\n" not in outcome.said
    assert len(outcome.said) < 1000


def test_a_file_that_is_being_written_is_not_called_damaged(tmp_path: Path) -> None:
    path = write_rdms(tmp_path / "file.h5", random_rdms(1), ["V1"])
    with path.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # as HDF5 does it
        with pytest.raises(InputError, match="close it in the program that writes to it"):
            open_rdms(path, Naming("ROI"))


@pytest.mark.slow  # it takes the seconds that such reading is allowed
def test_a_damaged_heap_of_strings_is_given_up(reader: Reader, tmp_path: Path) -> None:
    """HDF5 itself reads an attribute of strings for ever when an entry's size is 0."""
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["dissimilarities"] = random_rdms(1)
        file[NAMES] = np.array(IMAGES, "S")
        file.create_group("rdm_descriptors").attrs["roi"] = ["V1é"]
    assert reader.read(path) == Outcome("", "")
    data = bytearray(path.read_bytes())
    size = data.index(b"GCOL") + 24
    data[size : size + 8] = bytes(8)
    path.write_bytes(data)
    outcome = reader.read(path)
    assert outcome.failure == ""
    assert "damaged or truncated" in outcome.said


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True},
        {"compression": "gzip", "fletcher32": True},
        {"fletcher32": True},
        {"shuffle": True},
    ],
)
def test_large_chunks_are_read(tmp_path: Path, options: dict[str, Any]) -> None:
    """Also those that were never written."""
    images = [f"i{k}" for k in range(500)]
    values = random_rdms(3, len(images)).round(2)
    path = write_rdms(tmp_path / "file.h5", values, ["a", "b", "c"], images)
    with h5py.File(path, "a") as file:
        del file["dissimilarities"]
        out = file.create_dataset(
            "dissimilarities", values.shape, ">f8", chunks=(2, 100_000), fillvalue=np.nan,
            **options,
        )  # fmt: skip
        out[:2] = values[:2]
    with open_rdms(path, Naming("ROI")) as opened:
        rows = [opened.read_row(row).copy() for row in range(3)]
    np.testing.assert_array_equal(rows[:2], values[:2])
    assert np.isnan(rows[2]).all()


@pytest.mark.parametrize("dtype", [h5py.string_dtype(), "S600"])
def test_names_are_read_in_every_layout(tmp_path: Path, dtype: Any) -> None:
    names = ["", "é" * 300, *IMAGES[2:]]
    large = {"chunks": (2**16,), "maxshape": (None,), "compression": "gzip"}
    for options in ({}, {"chunks": (4,)}, {"chunks": (4,), "compression": "gzip"}, large):
        path = write_rdms(tmp_path / "file.h5", random_rdms(1), ["V1"])
        labels(NAMES, [name.encode() for name in names], dtype=dtype, **options)(path)
        with open_rdms(path, Naming("ROI")) as file:
            assert file.images == names


@pytest.fixture(scope="module")
def logged() -> dict[str, Any]:
    """The logged config of a study of one's own files, as plain values."""
    settings.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("config", overrides=["data=files", "data.model=/d/m.h5"])
    config.data.brain, config.data.subjects, config.subject = "/d/{subject}.h5", ["A", "B"], "A"
    plain: dict[str, Any] = yaml.safe_load(settings.to_yaml(settings.from_hydra(config)))
    return plain


VALUES: dict[str, tuple[str, Any, str]] = {
    "unknown key": ("extra", 1, "extra"),
    "unknown nested key": ("data.extra", 1, "if another version of rsa_exp recorded it, check out"),
    "target": ("_target_", "os.system", "_target_"),
    "nested target": ("data._target_", "os.system", "_target_"),
    "environment": ("subject", "${oc.env:HOME}", "an interpolation in 'subject', which is unsafe"),
    "file": ("data.name", "${oc.decode:x}", "an interpolation in 'data.name', which is unsafe"),
    "half": ("data.hint", "${", "an interpolation in 'data.hint', which is unsafe"),
    "in a key": ("data.rois", {"${x}": {}}, "interpolation"),
    "in a list": ("roi", ["${x}"], "an interpolation in 'roi', which is unsafe"),
    "10^12 draws": ("inference.n_boot", 10**12, "is more than the maximum of 1000000"),
    "10^12 permutations": ("inference.n_perm", 10**12, "is more than the maximum of 1000000"),
    "10^9 splits": ("inference.n_splits", 10**9, "is more than the maximum of 1000000"),
    "negative draws": ("inference.n_boot", -1, "inference.n_boot=-1 draws make no interval"),
    "level": ("inference.ci", float("nan"), "inference.ci=nan is not a confidence level"),
    "infinite level": ("inference.ci", float("inf"), "inference.ci=inf is not a confidence level"),
    "seed": ("seed", 10**30, "seed is larger than"),
    "list for a number": ("seed", [1], "seed"),
    "mapping for a name": ("roi", {"a": 1}, "neither a name"),
    "list in a list": ("roi", [["a"]], "neither a name"),
    "number for a section": ("inference", 3, "the logged config lacks inference.bootstrap"),
    "null section": ("model", None, "the logged config cannot be used: "),
    "kind": ("data.kind", ["files"], "the logged config has data.kind=['files']"),
    "null character": ("data.brain", "/d/\0{subject}", "control characters in 'data.brain'"),
    "newline": ("subject", "a\nb", "control characters in 'subject'"),
    "folder as subject": ("data.subjects", ["A", "../../x"], "would lead to another folder"),
    "2000 layers": ("layer", [str(i) for i in range(2000)], "layer lists 2000 names"),
    "user's folder": ("data.root", "~nobody-here/x", "there is no such user's folder"),
    "path as source": ("data.sources", {"/x": "*"}, "data.sources names '/x', which is a path"),
    "fact": ("data.rois", {"../../x": {"path": "x"}}, "data.rois.../../x must be like"),
    "long value": ("data.hint", "x" * 20_000, "has a value of 20000 characters"),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_hostile_setting_gets_one_line(case: str, logged: dict[str, Any]) -> None:
    key, value, message = VALUES[case]
    plain = copy.deepcopy(logged)
    *sections, last = key.split(".")
    node = plain
    for section in sections:
        node = node[section]
    node[last] = value
    check(yaml.safe_dump(plain, allow_unicode=True), message)


def check(text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        settings.from_logged(text)
    line = str(raised.value)
    assert message in line
    assert "\n" not in line
    assert len(line) < 1000


def test_figures_and_tracking_of_another_version_do_not_matter(logged: dict[str, Any]) -> None:
    plain = copy.deepcopy(logged)
    del plain["tracking"]
    plain["figures"] = {"names": ["heatmap", "new"], "colours": 3}
    config = settings.from_logged(yaml.safe_dump(plain))
    assert config.figures.names == ["heatmap"]
    assert config.tracking.experiment == TrackingConfig().experiment
    del plain["inference"]["resampling"]
    check(yaml.safe_dump(plain), "lacks inference.resampling; if another version of rsa_exp")


def test_what_a_run_logs_can_be_read_back(logged: dict[str, Any]) -> None:
    config = settings.from_logged(yaml.safe_dump(logged))
    facts = {"hemisphere": "LH", "region": "17Networks_SomMotA", "level": "mid"}
    config.data.rois = {f"17Networks_LH_SomMotA_{i}": facts for i in range(1000)}
    assert settings.from_logged(settings.to_yaml(config)) == config
    config.data.hint = "x" * 20_000
    with pytest.raises(InputError, match=r"could not be reproduced: .* 20000 characters"):
        settings.to_yaml(config)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
# Where the message may be ours or the YAML library's, which refuses more with every version, only
# what is promised is asserted: one line that names the logged config.
REFUSED = "the logged config"
TEXTS = {
    "tag": ("a: !!python/object/apply:os.system [id]", "has the tag tag:yaml.org,2002:python"),
    "harmless tag": ("seed: !!int 3", "has the tag"),
    "aliases": (BOMB, "anchors or aliases"),
    "merge": ("<<: {seed: 1}", "no section 'data'"),
    "deep": ("[" * 90_000, REFUSED),
    "deeper than ours": ("data: " + "[" * 8 + "]" * 8, "nested more than 8 deep"),
    "deep, in blocks": ("- " * 40_000, REFUSED),
    "large": ("#" * 3_000_000, "has 3000000 characters"),
    "many values": (f"data: [{'a,' * 100_000}]", "has more than 100000 keys and values"),
    "list": ("- a", "no section 'data'"),
    "scalar": ("data", "no section 'data'"),
    "empty": ("", "no section 'data'"),
    "several": ("data: {}\n---\ndata: {}", "several YAML documents"),
    "null character": ("data:\0", REFUSED),
    "twice": ("data: {kind: files}\ndata: {kind: files}", REFUSED),
    "number of 5000 digits": (f"seed: {'9' * 5000}\ndata: {{}}", REFUSED),
    "null key": ("null: 3", REFUSED),
    "list as key": ("? [a]\n: 3", REFUSED),
}


@pytest.mark.parametrize("case", TEXTS)
def test_hostile_yaml_gets_one_line(case: str) -> None:
    tracemalloc.start()
    try:
        check(*TEXTS[case])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**27


EVIL = [
    "../../etc/x", "con", "a/b", "$(rm -rf .)", "<script>alert(1)</script>", "..", "a\\b", "; ls",
    "{subject}", "%s%n", "'\"", "$x^", "n" * 100,
]  # fmt: skip


def test_names_from_files_are_never_paths(
    files: Files, cli: Callable[..., Finished], tmp_path: Path
) -> None:
    write_rdms(files.brain(), random_rdms(len(EVIL)), EVIL)
    write_rdms(files.model, random_rdms(2), ["../../m", "<b>"], row_key="layer")
    before = {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents}
    finished = cli(*files.arguments, "inference=none", tracking="none")
    assert finished.status == 0, finished.err
    assert {p for p in tmp_path.parent.rglob("*") if tmp_path not in p.parents} == before
    assert {path.name for path in tmp_path.iterdir()} == {"files", "outputs"}


def test_no_text_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    said = "\x1b[2K\ridentical: all 50 scores\x1b[8m\nnext line\ttab"
    ConsoleHandler().emit(logging.makeLogRecord({"msg": said, "levelno": logging.INFO}))
    assert capsys.readouterr().out == "?[2K?identical: all 50 scores?[8m\nnext line       tab\n"
    assert str(InputError(said)) == "?[2K identical: all 50 scores?[8m next line tab"


def test_no_name_leaves_a_metric_or_a_folder() -> None:
    for name in EVIL:
        kept = metric_name("score", name)
        assert kept.count("/") == 1
        assert ".." not in kept.split("/")
    for name in ("../x", "a/b", "..", "", "a\\b"):
        with pytest.raises(ValueError, match="not a plain file name"):
            save(None, Path("/nowhere"), name)  # type: ignore[arg-type]


def test_a_list_of_images_must_be_a_small_text_file(tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    with large.open("wb") as stream:
        stream.truncate(2**27)
    for images, message in (
        (str(large), "is larger than"),
        ("/dev/zero", "nor a file"),
        ("x" * 5000, "nor a file"),
        ("a\0b", "nor a file"),
        (str(tmp_path), "nor a file"),
    ):
        with pytest.raises(InputError, match=message):
            choose_images(images, ["a", "b", "c"], "stem", {})
