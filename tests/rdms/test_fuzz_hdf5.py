"""Damaged files of HDF5, MATLAB, NSD and Brain-Score: each is read, or refused in one line.

The cases are the same each time; RSA_EXP_FUZZ=10 tries ten times as many of the slow ones.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import test_brain_score as brain_score
import test_matlab_formats as matlab
from hostile import Reader
from scipy.io import savemat
from test_fuzz import few_and_many, mutated
from test_hdf5_patterns import NAMES, values, write
from test_nsd import BETAS, DESIGN, ROIS, Nsd

N_IMAGES = 5


def _plain(path: Path) -> None:
    write(path, {"V1": values(30), "V2": values(9, "i2"), "image": NAMES, "run": [1, 1, 1, 2, 2]})


def _compressed(path: Path) -> None:
    content = {"patterns/V1": values(30, "f8"), "image": np.array(NAMES, "S")}
    write(path, content, chunks=(2, 7), compression="gzip", shuffle=True, fletcher32=True)


def _netcdf4(path: Path) -> None:
    brain_score.netcdf4(
        path, brain_score.DATA, ("presentation", "neuroid"), chunks=(2, 2), compression="gzip"
    )


def _netcdf3(path: Path) -> None:
    brain_score.netcdf3(path, brain_score.DATA, ("presentation", "neuroid"))


def _mat(writer: matlab.Writer) -> Callable[[Path], None]:
    content = {
        "V1": values(7), "names": matlab.cells(NAMES), "run": np.array([[1.0, 1, 1, 2, 2]]),
        "V2": values(6, "i2"), "handle": np.array([["x"]]),
    }  # fmt: skip
    return lambda path: writer(path, content)


def _mat_rdms(writer: matlab.Writer) -> Callable[[Path], None]:
    structs = np.empty((1, 2), [("RDM", "O"), ("name", "O")])
    for i in (0, 1):
        structs[0, i] = (matlab.rdm(N_IMAGES, i), f"hIT | BE | Session: {i}")
    content = {"RDMs": structs, "stimuli": np.array(list("abcde"))}
    return lambda path: writer(path, content)


def _stack(path: Path) -> None:
    stack = np.stack([matlab.rdm(N_IMAGES, i) for i in range(3)])
    matlab.version_73(path, {"EVC_RDMs": stack, "IT_RDMs": stack})


# What writes a file, what it is opened as, and how many names are given.
FILES: dict[str, tuple[Callable[[Path], None], str, int]] = {
    "hdf5": (_plain, "patterns", 0),
    "compressed hdf5": (_compressed, "patterns", 0),
    "netcdf4": (_netcdf4, "patterns", 0),
    "netcdf3": (_netcdf3, "patterns", 0),
    "mat 5": (_mat(matlab.plain), "patterns", 0),
    "compressed mat 5": (_mat(matlab.version_5), "patterns", 0),
    "mat 7.3": (_mat(matlab.version_73), "patterns", 0),
    "rdms mat 5": (_mat_rdms(matlab.plain), "rdms", 0),
    "rdms mat 7.3": (_mat_rdms(matlab.version_73), "rdms", 0),
    "stack mat 7.3": (_stack, "rdms", N_IMAGES),
}


def inside_compression(data: bytes, rng: random.Random) -> bytes:
    """Change what the elements of a compressed MATLAB file hold, and compress it again."""
    changed, at = data[:128], 128
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        element = zlib.decompress(data[at + 8 : at + 8 + size])
        if rng.random() < 0.5:
            element = mutated(element, rng)
        squeezed = zlib.compress(element)
        changed += (15).to_bytes(4, "little") + len(squeezed).to_bytes(4, "little") + squeezed
        at += 8 + size
    return changed


def restructured(path: Path, rng: random.Random) -> None:
    """Replace a part of an HDF5 file by one of another shape, type or kind."""
    with h5py.File(path, "a") as file:
        found: list[str] = []
        file.visit(found.append)
        name = rng.choice([*found, "run", "dissimilarities"])
        if name in file:
            del file[name]
        dtype = rng.choice(
            ("f8", "f4", ">f8", "i1", "u2", "u8", "f2", "c8", "?", "S1", "S20", "V8", "f16",
             h5py.ref_dtype, h5py.string_dtype(), h5py.vlen_dtype("i4"), [("a", "f8")])
        )  # fmt: skip
        shape = rng.choice(
            ((), (0,), (5,), (6,), (1, 5), (5, 1), (5, 9), (9, 5), (6, 4), (5, 0), (5, 5, 3),
             (10**12,), (5, 10**12), (10**10, 7), (3, 5, 5, 2), (5, 2**40))
        )  # fmt: skip
        if rng.random() < 0.15:
            file[name] = rng.choice(
                (h5py.SoftLink("/x"), h5py.SoftLink("/"), h5py.ExternalLink("x.h5", "/"))
            )
        elif rng.random() < 0.1 and len(shape) == 2 and 0 not in shape:
            layout = h5py.VirtualLayout(shape, "f8")
            layout[:1] = h5py.VirtualSource("y.h5", "x", (1, shape[1]))
            file.create_virtual_dataset(name, layout)
        elif rng.random() < 0.1 and shape and 0 not in shape:
            file.create_dataset(name, shape, "f8", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])
        else:
            options: dict[str, Any] = {}
            if shape and 0 not in shape and rng.random() < 0.6:
                options["chunks"] = tuple(min(n, rng.choice((2, 100))) for n in shape)
                options["compression"] = rng.choice((None, "gzip", "lzf"))
            made = file.create_dataset(name, shape, dtype, **options)
            if rng.random() < 0.5:
                kind = rng.choice(("char", "cell", "struct", "double", "function_handle"))
                made.attrs["MATLAB_class"] = np.bytes_(kind)


@few_and_many(220, 3000)
def test_damaged_files(n_cases: int, tmp_path: Path) -> None:
    bases = {}
    for name, (write_file, _, _) in FILES.items():
        write_file(tmp_path / "base")
        bases[name] = (tmp_path / "base").read_bytes()
    failures, read = {}, dict.fromkeys(FILES, 0)
    with Reader() as reader:
        for seed in range(n_cases):
            rng = random.Random(seed)
            name = list(FILES)[seed % len(FILES)]
            _, kind, n_images = FILES[name]
            path = tmp_path / "x"
            is_hdf5 = b"\x89HDF" in bases[name]
            if rng.random() < 0.3 and is_hdf5:
                path.write_bytes(bases[name])
                restructured(path, rng)
            elif rng.random() < 0.7 and name.startswith("compressed mat"):
                path.write_bytes(inside_compression(bases[name], rng))
            else:
                path.write_bytes(mutated(bases[name], rng))
            outcome = reader.read(path, kind, n_images)
            read[name] += not outcome.said
            if outcome.failure:
                failures[seed, name] = outcome.failure
    assert failures == {}
    assert all(0 < count < n_cases / len(FILES) for count in read.values())  # both ends are reached


@few_and_many(40, 400)
def test_damaged_folders_of_nsd(n_cases: int, tmp_path: Path) -> None:
    pytest.importorskip("nibabel")
    nsd = Nsd(tmp_path, chunks=(3, 4, 2, 3), compression="gzip", shuffle=True)
    nsd.write_masks()
    savemat(
        tmp_path / DESIGN, {"masterordering": nsd.order, "subjectim": nsd.subjectim},
        do_compression=True,
    )  # fmt: skip
    files = [
        tmp_path / BETAS / "betas_session02.hdf5", tmp_path / DESIGN,
        tmp_path / ROIS / "prf-visualrois.nii.gz",
    ]  # fmt: skip
    failures, read = {}, 0
    with Reader() as reader:
        for seed in range(n_cases):
            rng = random.Random(seed)
            path = files[seed % len(files)]
            good = path.read_bytes()
            if path.suffix == ".gz":
                inner = mutated(zlib.decompress(good, 31), rng)
                compressor = zlib.compressobj(wbits=31)
                path.write_bytes(compressor.compress(inner) + compressor.flush())
            else:
                path.write_bytes(mutated(good, rng))
            outcome = reader.read(tmp_path, "patterns")
            path.write_bytes(good)
            read += not outcome.said
            if outcome.failure:
                failures[seed, path.name] = outcome.failure
    assert failures == {}
    assert 0 < read < n_cases
