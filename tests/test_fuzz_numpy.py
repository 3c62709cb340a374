"""Damaged and hostile files of numpy, tables and thingsvision: a result, or one line, each time.

Cases are the same each time. RSA_EXP_FUZZ=10 tries ten times as many, of which most are others.
"""

from __future__ import annotations

import io
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hostile import Reader
from scipy.spatial.distance import squareform
from studies import IMAGES, N_IMAGES, random_rdms
from test_fuzz import few_and_many, mutated

N = N_IMAGES
X = np.random.default_rng(0).standard_normal((N, 6))
SQUARE = squareform(random_rdms(1)[0])
NAMES = np.array(IMAGES)


class Harmful:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def npy(values: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=True)
    return stream.getvalue()


def npz(how: int = zipfile.ZIP_STORED, **arrays: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, values in arrays.items():
            archive.writestr(f"{name}.npy", values if isinstance(values, bytes) else npy(values))
    return stream.getvalue()


def csv(sep: str = ",") -> bytes:
    table = pd.DataFrame(X, columns=[f"V{1 + i % 2}:{i}" for i in range(6)])
    table.insert(0, "image", IMAGES)
    return table.to_csv(sep=sep, index=False).encode()


def parquet(**options: Any) -> bytes:
    stream = io.BytesIO()
    table = pd.DataFrame(X.round(1), columns=list("abcdef")).astype({"b": "f4", "c": "i2"})
    table.insert(2, "image", IMAGES)
    table.insert(3, "run", pd.Categorical(list("xxxyyyzzz")))
    table.to_parquet(stream, **options)
    return stream.getvalue()


def text() -> bytes:
    stream = io.BytesIO()
    np.savetxt(stream, X)
    return stream.getvalue()


FILES: list[tuple[str, str, bytes]] = [  # kind, name (in a folder: the folder is opened), content
    ("patterns", "V1.npy", npy(X)),
    ("patterns", "V1.npy", npy(np.asfortranarray(X).astype(">f4"))),
    ("patterns", "folder/features.npy", npy(X.reshape(N, 3, 2))),
    ("patterns", "folder/features.txt", text()),
    ("patterns", "folder/V1.npy", npy((100 * X).astype("i2"))),
    ("patterns", "V1.npz", npz(V1=X, V2=X.astype("f4"), image=NAMES, run=np.arange(N))),
    ("patterns", "V1.npz", npz(zipfile.ZIP_DEFLATED, V1=X, image=NAMES.astype("S"))),
    ("patterns", "V1.csv", csv()),
    ("patterns", "V1.tsv", csv("\t")),
    ("patterns", "V1.parquet", parquet()),
    ("patterns", "V1.parquet", parquet(compression="gzip", use_dictionary=False)),
    ("patterns", "V1.parquet", parquet(compression=None, version="1.0")),
    ("rdms", "V1.npy", npy(SQUARE)),
    ("rdms", "V1.npz", npz(V1=SQUARE, V2=random_rdms(2), image=NAMES)),
    ("rdms", "V1.csv", pd.DataFrame(SQUARE, IMAGES, IMAGES).to_csv().encode()),
    ("rdms", "folder/RDM_a.npz", npz(rdm=random_rdms(1)[0], stimuli_name=NAMES, layer_name="a")),
]

DTYPES = (
    "<f8", ">f4", "|i1", "<u8", "|b1", "|O", "|V8", "<U4", "|S0", "<U0", "|V0", "<c8", "<M8[s]",
    "<f16", "<f2", "=f8", "f8,f8", "(1000000,)f8", "", "x", "O", "<U99999999",
)  # fmt: skip
SHAPES = (
    "()", "(0,)", "(9,)", "(36,)", "(9, 6)", "(6, 9)", "(9, 9)", "(2, 36)", "(-9, -6)", "(9, 0)",
    "(0, 9223372036854775807)", "(9223372036854775807, 2)", "(9, 6000000000)", "(1000000000, 36)",
    "(9, True)", "(9, 6.0)", "[9, 6]", "9", "(9,)" * 3, "(9" + ", 1" * 70 + ")",
    "(" + "9" * 5000 + ", 6)", "(" * 200 + ")" * 200, "-" * 3000 + "9", "(9, 6L)",
)  # fmt: skip


def array_with_header(data: bytes, rng: random.Random) -> bytes:
    """A .npy file whose header says something else, with its length right or wrong."""
    version = rng.choice((1, 1, 2, 3, 0, 4, 255))
    descr = rng.choice((repr(rng.choice(DTYPES)), "[('a', '<f8')]", "[('a', '|O')]", "None", "7"))
    descr, shape = rng.choice(((descr, "(9, 6)"), ("'<f8'", rng.choice(SHAPES)), (descr, "(9,)")))
    header = f"{{'descr': {descr}, 'fortran_order': {rng.choice((True, False, 0, None))}, "
    header = f"{header}'shape': {shape}, }}".ljust(rng.choice((118, 118, 4000, 70_000))) + "\n"
    size = 2 if version == 1 else 4
    length = min(rng.choice((len(header), len(header), 2 ** (8 * size) - 1)), 2 ** (8 * size) - 1)
    content = rng.choice((data[128:], b"", pickle.dumps("x" * 100), b"\0" * 1000))
    magic = b"\x93NUMPY" + bytes((version, rng.choice((0, 0, 0, 1))))
    return magic + length.to_bytes(size, "little") + header.encode() + content


def member_sizes_changed(data: bytes, rng: random.Random) -> bytes:
    """An archive of which the directory, or a member, declares other sizes, methods or places."""
    changed = bytearray(data)
    mark, fields = rng.choice(
        ((b"PK\1\2", (8, 10, 16, 20, 24, 28, 42)), (b"PK\3\4", (6, 8, 14, 18, 22, 26, 28)),
         (b"PK\5\6", (8, 10, 12, 16)))
    )  # fmt: skip
    places = [i for i in range(len(data)) if data.startswith(mark, i)]
    at = rng.choice(places) + rng.choice(fields)
    value = rng.choice((0, 1, 8, 12, 14, 2**16 - 1, 2**31, 2**32 - 1, rng.randrange(2**32)))
    width = rng.choice((2, 4))
    changed[at : at + width] = (value % 2 ** (8 * width)).to_bytes(width, "little")
    return bytes(changed)


def archive_of_anything(rng: random.Random, harmful: Harmful) -> bytes:
    """An archive of arrays of other types and shapes, and of what are no arrays."""
    values = [
        X, X.T, SQUARE, NAMES, NAMES.astype(object), NAMES.astype("S")[:5], X[0], X[None], X[:, :0],
        np.array(3.0), np.array("V1"), np.array(harmful, object), np.array([harmful] * N, object),
        np.full((N, 2), np.nan), np.zeros(N, "f8,i4"), X.astype("c8"), X > 0, np.arange(N),
        np.array([b"\xff\xfe"] * N), np.array(["a\nb"] * N), np.array(["x" * 3000] * N),
        np.zeros(N, "M8[s]"), np.array([""] * N), np.full(N, np.nan), pickle.dumps(harmful), b"",
    ]  # fmt: skip
    members = (
        "V1", "V2", "image", "run", "session", "rdm", "stimuli_name", "layer_name", "arr_0",
        "/etc/x", "../x", "a/b", "a\nb", "x" * 3000, "",
    )  # fmt: skip
    chosen = {name: rng.choice(values) for name in rng.sample(members, rng.randrange(1, 6))}
    if rng.random() < 0.3:
        chosen = {"image": NAMES, **chosen}
    how = rng.choice((0, 0, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    return npz(how, **chosen)


PIECES = (
    b"\0", b"\r", b"\n", b'"', b",", b";", b"\t", b",,,,", b"\n\n\n", b"\xff", b"\xef\xbb\xbf",
    b"NaN", b"inf", b"1e999", b"-", b"1,5", b"0x1F", b"True", b"9" * 400, b"," * 3000, b'"\n"',
    b"\xe2\x80\xa8", b"image,", b"V1:", b"#", b"1_000", b"1+2j", b"PAR1", b"a" * 5000,
)  # fmt: skip


def text_with_pieces(data: bytes, rng: random.Random) -> bytes:
    """A text with something put in, or over it."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(data))
        data = data[:at] + rng.choice(PIECES) + data[at + rng.choice((0, 0, 1, 3, 40)) :]
    return data


def parquet_of_anything(rng: random.Random) -> bytes:
    """A parquet file with columns of other types."""
    columns = {
        "image": IMAGES, "a": X[:, 0], "b": [X[0]] * N, "c": [{"x": 1}] * N, "d": [None] * N,
        "e": pd.date_range("2000", periods=N), "f": [b"\xff"] * N, "g": ["", *IMAGES[1:]],
        "h": [2**63 + i for i in range(N)], "i": [True, None] * 4 + [False], "run": [1.0] * N,
        "j": pd.array([1, None] * 4 + [2], "Int64"), "k": pd.Categorical(IMAGES),
        "l": pd.period_range("2000", periods=N), "m": pd.interval_range(0, N, N),
    }  # fmt: skip
    chosen = {name: columns[name] for name in rng.sample(list(columns), rng.randrange(1, 5))}
    stream = io.BytesIO()
    index = rng.choice((None, pd.Index(IMAGES), pd.Index(range(N)[::-1]), pd.Index(X[:, 0])))
    pd.DataFrame(chosen, index=None).set_index(
        pd.RangeIndex(N) if index is None else index
    ).to_parquet(stream)
    return stream.getvalue()


def damaged(name: str, data: bytes, rng: random.Random, harmful: Harmful) -> bytes:
    """Change a file's bytes at random, or as only its format can be changed."""
    if rng.random() < 0.5:
        return mutated(data, rng)
    kind = rng.random()
    match name.rpartition(".")[2]:
        case "npy":
            hostile = npy(np.array([harmful] * N, object))
            return array_with_header(data, rng) if kind < 0.95 else hostile
        case "npz" if kind < 0.4:
            return member_sizes_changed(data, rng)
        case "npz" if kind < 0.7:
            image = rng.choice((NAMES, array_with_header(npy(NAMES), rng)))
            return npz(8 * rng.randrange(2), V1=array_with_header(npy(X), rng), image=image)
        case "npz":
            return archive_of_anything(rng, harmful)
        case "parquet" if kind < 0.5:
            return parquet_of_anything(rng)
        case "parquet":
            return mutated(data[:-200] + mutated(data[-200:], rng), rng)
    return text_with_pieces(data, rng)


@few_and_many(320, 4000)
def test_damaged_files(n_cases: int, tmp_path: Path) -> None:
    unpickled = tmp_path / "unpickled"
    failures, read = {}, 0
    names = "".join(f"{name}\n" for name in IMAGES).encode()
    with Reader() as reader:
        for seed in range(n_cases):
            rng = random.Random(seed)
            kind, name, data = FILES[seed % len(FILES)]
            path = tmp_path / "case" / name
            path.parent.mkdir(parents=True)
            path.write_bytes(damaged(name, data, rng, Harmful(unpickled)))
            listed = text_with_pieces(names, rng) if rng.random() < 0.1 else names
            (path.parent / "images.txt").write_bytes(listed)
            outcome = reader.read(path if path.parent.name == "case" else path.parent, kind)
            read += not outcome.said
            assert len(outcome.said) < 3000, seed
            if outcome.failure:
                failures[seed] = f"{name}: {outcome.failure}"
            shutil.rmtree(tmp_path / "case")
    assert failures == {}
    assert not unpickled.exists()
    assert n_cases / 20 < read < n_cases  # both ends are reached


def test_the_files_are_read_before_they_are_damaged(tmp_path: Path) -> None:
    with Reader() as reader:
        for i, (kind, name, data) in enumerate(FILES):
            path = tmp_path / str(i) / name
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
            (path.parent / "images.txt").write_text("\n".join(IMAGES))
            outcome = reader.read(path.parent if "/" in name else path, kind)
            assert (outcome.said, outcome.failure) == ("", ""), name
