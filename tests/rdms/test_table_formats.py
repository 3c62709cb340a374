"""Tables of patterns and RDMs: .csv, .tsv and parquet, as pandas and spreadsheets write them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import squareform
from studies import IMAGES, random_rdms

from rsa_exp.errors import InputError
from rsa_exp.rdms.readers import Naming, PatternSource, RdmSource, open_patterns, open_rdms

N = len(IMAGES)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 4))
X[2, 3] = np.nan
Y = RNG.integers(-300, 300, (N, 2))


def patterns(path: Path, **naming: Any) -> PatternSource:
    return open_patterns(path, Naming("ROI", **naming))


def rdms(path: Path, **naming: Any) -> RdmSource:
    return open_rdms(path, Naming("ROI", **naming))


def frame(*matrices: tuple[str, np.ndarray], **columns: Any) -> pd.DataFrame:
    """A table of labels and channels ``NAMEi``."""
    channels = {
        f"{name}{i}": column for name, values in matrices for i, column in enumerate(values.T)
    }
    return pd.DataFrame({**columns, **channels})


def write(table: pd.DataFrame, path: Path, how: str) -> Path:
    if how == "parquet":
        table.to_parquet(path)
    else:
        sep = {"tsv": "\t", "semicolons": ";"}.get(how, ",")
        encoding = "utf-8-sig" if how == "byte order mark" else "utf-8"
        ends = "\r\n" if how == "Windows" else "\n"
        table.to_csv(path, sep=sep, index=False, encoding=encoding, lineterminator=ends)
    return path


@pytest.mark.parametrize(
    "how", ["csv", "tsv", "semicolons", "byte order mark", "Windows", "parquet"]
)
def test_patterns(how: str, tmp_path: Path) -> None:
    path = tmp_path / (
        "LOC.parquet" if how == "parquet" else f"LOC.{'tsv' if how == 'tsv' else 'csv'}"
    )
    names = ['été, "1".png', "NA", "0012", *IMAGES[3:]]
    runs = ["01", "01", "01", "02", "02", "02", "10", "10", "10"]
    write(frame(("v", X), image=names, run=runs), path, how)
    with patterns(path) as source:
        assert (source.names, source.images, source.runs) == (["LOC"], names, runs)
        assert (source.sessions, source.guessed, source.files) == (None, [], [path])
        assert source.shape(0) == X.shape
        np.testing.assert_array_equal(source.read(0), X)
        np.testing.assert_array_equal(source.read_rows(0, np.array([5, 1])), X[[5, 1]])
    several = frame(("V1:", X), ("lh:V2:", Y), stimulus=names, session=[1] * N)
    write(several, path, how)
    with patterns(path) as source:
        assert (source.names, source.sessions) == (["V1", "lh:V2"], ["1"] * N)
        assert source.guessed == [
            f"{path.name}: 'stimulus' names the images (none is called 'image')"
        ]
        np.testing.assert_array_equal(source.read(0), X)
        assert source.read(1).dtype == Y.dtype  # whole numbers stay such
        np.testing.assert_array_equal(source.read(1), Y)


def test_names_by_number_or_given(tmp_path: Path) -> None:
    path = write(frame(("v", Y), image=[f"{i:03d}" for i in range(N)]), tmp_path / "a.csv", "csv")
    with patterns(path) as source:
        assert source.images == [f"{i:03d}" for i in range(N)]
        assert source.shape(0) == (N, 2)
    with patterns(path, images=IMAGES) as source:
        assert source.images == IMAGES
        assert source.shape(0) == (N, 2)
    write(frame(("v", Y)), path, "csv")
    with pytest.raises(InputError, match="has no names of images"):
        patterns(path)
    (tmp_path / "a_images.txt").write_text("\n".join(IMAGES))
    with patterns(path) as source:
        assert source.images == IMAGES


def test_parquet_with_an_index_of_names(tmp_path: Path) -> None:
    path = tmp_path / "V1"
    frame(("v", X)).set_index(pd.Index(IMAGES)).to_parquet(path)
    with patterns(path) as source:
        assert source.images == IMAGES
        np.testing.assert_array_equal(source.read(0), X)
    table = frame(("v", X), image=pd.Categorical(IMAGES)).set_index(np.arange(N)[::-1])
    table.to_parquet(path)
    with patterns(path) as source:
        assert source.images == IMAGES
        np.testing.assert_array_equal(source.read(0), X)


LINE = "image,a,b\n" + "".join(f"{name},1,2.5\n" for name in IMAGES)
BAD_CSV: dict[str, tuple[str | bytes, str]] = {
    "text": (LINE.replace("1,2.5", "1,high", 1), r"column 'b' has text \('high'\); expected numb"),
    "decimal commas": (
        LINE.replace(",", ";").replace("2.5", "2,5"),
        r"column 'b' has text \('2,5'\); write decimals with a point",
    ),
    "more commas": (
        LINE.replace("2.5", "2,5"),
        "line 2 has 4 fields and the header 3; .* decimals",
    ),
    "cut": (LINE[:-5], "line 10 has 2 fields and the header 3; is the file complete"),
    "no name": (LINE.replace(IMAGES[3], ""), "row 4 of 9 has no image name"),
    "no header": ("1 2\n3 4\n", "has 1 columns by its first line; expected names of 2 to"),
    "no rows": ("image,a,b\n", "has no rows"),
    "no channels": ("image,run\na,1\n", "has no channels besides its names"),
    "nothing": ("", "has 1 columns by its first line"),
    "index": (
        frame(("v", X), image=IMAGES).to_csv(),
        "column 1 has numbers and no name; name it, or leave it out .*index=False",
    ),
    "names twice": (LINE.replace("image,a,b", "image,a,a "), "two columns are called 'a'"),
    "UTF-16": (LINE.encode("utf-16"), "is not UTF-8 text; save it as CSV"),
    "Mac": (LINE.replace("\n", "\r"), "line ends of old Macs"),
    "pickle": (b"\x80\x04\x95,\xff\n", "is not UTF-8 text"),
    "two texts": (
        "stimulus,kind,a\n" + "x,y,1\n" * 3,
        r"several descriptors .* \(kind, stimulus\).*data.image_key=NAME",
    ),
    "bomb": ("," * 100_000 + "\n" + "1\n" * 100_000, "line 2 has 1 fields and the header 100001"),
    "too wide": ("," * 200_000 + "\n", "has 200001 columns by its first line"),
    "quotes": ('image,a,b\n"' + ",,,\n" * 3, "cannot be read as a table|fields and the header"),
    "long lines": ('image,a\n"x",1,2\n"y",1,2\n', "lines have more fields than its header"),
    "longer lines": ('image,a\n"x",1\n"y",1,2\n', "cannot be read as a table"),
    "large numbers": (LINE.replace("2.5", "9" * 40), "column 'b' has text"),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_bad_csv(case: str, tmp_path: Path) -> None:
    text, message = BAD_CSV[case]
    path = tmp_path / "V1.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        patterns(path)


def test_bad_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(frame(("v", X), image=IMAGES), tmp_path / "V1.parquet", "parquet")
    data = path.read_bytes()
    for damaged in (data[:-10], data[:40] + b"\xff" * 40 + data[80:], data[:4] + data[-8:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="is a damaged parquet file, or of another kind"):
            patterns(path)
    table = frame(image=IMAGES)
    table["features"] = list(X)
    table.to_parquet(path)
    with pytest.raises(InputError, match="column 'features' has text"):
        patterns(path)
    pd.DataFrame({"image": np.zeros(10**8, "i1"), "a": np.zeros(10**8, "i1")}).to_parquet(path)
    with pytest.raises(InputError, match="declares 100000000 rows of 2 columns, more than it can"):
        patterns(path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r'to read it: pip install -e "\.\[tables\]"'):
        patterns(path)


@pytest.mark.parametrize("how", ["csv", "tsv", "byte order mark"])
def test_rdms(how: str, tmp_path: Path) -> None:
    values = random_rdms(1)[0]
    values[5] = np.nan
    path = tmp_path / ("V1.tsv" if how == "tsv" else "V1.csv")
    names = ["007", "NA", *IMAGES[2:]]
    table = pd.DataFrame(squareform(values, checks=False), pd.Index(names, name=""), names)
    write(table.reset_index(), path, how)
    with rdms(path) as source:
        assert (source.row_names, source.images) == (["V1"], names)
        np.testing.assert_array_equal(source.read_row(0), values)


def test_bad_rdms(tmp_path: Path) -> None:
    path = tmp_path / "V1.csv"
    square = pd.DataFrame(squareform(random_rdms(1)[0]), IMAGES, IMAGES)
    for table, message in (
        (square.iloc[:-1], "first column names 8 images and the first row 9; expected the same"),
        (square.iloc[::-1], "expected the same names in the same order, each once"),
        (square + np.eye(N), "'V1' has a diagonal that is not 0"),
        (square.where(np.tri(N, dtype=bool)), "'V1' is not symmetric"),
        (square.astype(str) + "x", "column 'img00.jpg' has text"),
        (square.rename(index={IMAGES[0]: ""}), "expected the same names"),
    ):
        table.to_csv(path)
        with pytest.raises(InputError, match=message):
            rdms(path)
