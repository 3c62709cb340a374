"""Thousands of damaged files and settings: each ends in a result or one line, none in a traceback.

Cases are the same each time. RSA_EXP_FUZZ=10 tries ten times as many, of which most are others.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from hostile import MEMORY, Reader
from hydra import compose, initialize_config_dir
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st
from studies import IMAGES, MemoryFiles, random_rdms, write_rdms

from rsa_exp import files as output
from rsa_exp.config import compose as settings
from rsa_exp.config.groups import conf_dir
from rsa_exp.errors import InputError
from rsa_exp.rdms.alignment import LabelledFile, align
from rsa_exp.rdms.images import choose_images, in_source
from rsa_exp.runs import changes, manifest
from rsa_exp.runs.manifest import RunManifest
from rsa_exp.runs.recorded_run import RecordedRun
from rsa_exp.vocabulary import CELL_KEYS

MORE = int(os.environ.get("RSA_EXP_FUZZ", "1"))


def few_and_many(few: int, many: int) -> pytest.MarkDecorator:
    """Run a test on a few cases each time, and on many when slow tests are asked for."""
    return pytest.mark.parametrize(
        "n_cases", [few, pytest.param(many * MORE, marks=pytest.mark.slow)]
    )


def try_all(n_cases: int, case: Callable[..., None], **values: st.SearchStrategy[Any]) -> None:
    """Call `case` with so many drawn values, the same each time."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    limits = budget(
        max_examples=n_cases, derandomize=True, deadline=5000, database=None,
        suppress_health_check=checks,
    )  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    limits(given(**values)(case))()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY / 1024


# Files: bytes changed at random, and whole parts replaced.


def _plain(path: Path) -> None:
    write_rdms(path, random_rdms(2), ["V1", "V2"])


def _compressed(path: Path) -> None:
    _plain(path)
    with h5py.File(path, "a") as file:
        values = file["dissimilarities"][:]
        del file["dissimilarities"]
        file.create_dataset(
            "dissimilarities", data=values, chunks=(1, 12), compression="gzip", shuffle=True
        )


def _strings(path: Path) -> None:
    with h5py.File(path, "w", libver="earliest") as file:
        file["dissimilarities"] = random_rdms(2).astype("f4")
        file.create_dataset("pattern_descriptors/image", data=IMAGES, dtype=h5py.string_dtype())
        file.create_dataset("rdm_descriptors/roi", data=["V1", "V2"], dtype=h5py.string_dtype())


def _new_format(path: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file["dissimilarities"] = random_rdms(2)
        file["pattern_descriptors/image"] = np.array(IMAGES, "S")
        file.create_group("rdm_descriptors").attrs["roi"] = np.array(["V1", "V2"], "S")


def _names(path: Path) -> None:
    _compressed(path)
    with h5py.File(path, "a") as file:
        del file["pattern_descriptors/image"], file["rdm_descriptors/roi"]
        file.create_dataset(
            "pattern_descriptors/image", data=np.array(IMAGES, "S"), chunks=(4,),
            compression="gzip", fletcher32=True,
        )  # fmt: skip
        file["rdm_descriptors"].attrs["roi"] = ["V1", "V2"]


KINDS = (_plain, _compressed, _strings, _new_format, _names)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Change a few bytes, most of them such as say something, or cut the end off."""
    speaking = [i for i, byte in enumerate(data) if byte]
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.choice(speaking) if rng.random() < 0.6 else rng.randrange(len(data))
        at = min(at + rng.choice((0, 0, 1, 4)), len(data) - 1)
        bit = changed[at] ^ (1 << rng.randrange(8))
        changed[at] = rng.choice((0, 255, 127, 128, bit, rng.randrange(256)))
    return bytes(changed[: rng.randrange(len(data))] if rng.random() < 0.1 else changed)


def restructured(path: Path, rng: random.Random) -> None:
    """Replace a part of a file by one of another shape, type or kind."""
    with h5py.File(path, "a") as file:
        name = rng.choice(
            ("dissimilarities", "pattern_descriptors/image", "rdm_descriptors/roi",
             "pattern_descriptors", "rdm_descriptors")
        )  # fmt: skip
        if name in file:
            del file[name]
        dtype = rng.choice(
            ("f8", "f4", ">f8", "i1", "u8", "f2", "c8", "?", "S1", "S20", "V8", h5py.ref_dtype,
             h5py.string_dtype(), h5py.vlen_dtype("i4"), [("a", "f8")], h5py.regionref_dtype)
        )  # fmt: skip
        shape = rng.choice(
            ((), (0,), (2,), (9,), (36,), (2, 36), (1, 36), (2, 0), (2, 9, 2), (10**12,),
             (2, 10**15), (10**10, 36), (9, 1))
        )  # fmt: skip
        kind = rng.random()
        if kind < 0.15:
            file[name] = rng.choice(
                (h5py.SoftLink("/x"), h5py.SoftLink("/"), h5py.ExternalLink("x.h5", "/"))
            )
        elif kind < 0.2:
            file[name] = h5py.Empty("f8")
        else:
            options: dict[str, Any] = {}
            if shape and 0 not in shape and rng.random() < 0.6:
                options["chunks"] = tuple(min(n, 100) for n in shape)
                options["compression"] = rng.choice((None, "gzip", "lzf"))
            file.create_dataset(name, shape, dtype, **options)


@few_and_many(100, 1000)
def test_damaged_files(n_cases: int, tmp_path: Path) -> None:
    path, failures, read = tmp_path / "file.h5", {}, 0
    bases = []
    for kind in KINDS:
        kind(path)
        bases.append(path.read_bytes())
    with Reader() as reader:
        for seed in range(n_cases):
            rng = random.Random(seed)
            base = rng.choice(bases)
            if rng.random() < 0.25:
                path.write_bytes(base)
                restructured(path, rng)
            else:
                path.write_bytes(mutated(base, rng))
            outcome = reader.read(path)
            read += not outcome.said
            if outcome.failure:
                failures[seed] = outcome.failure
    assert failures == {}
    assert n_cases / 20 < read < n_cases  # both ends are reached


# Names of images.

LETTERS = "aB01._-/\\ *?[]!\t\0é\u0130ßﬁ漢\u2028\u202e\U0001f600"

NAMES = st.lists(
    st.builds(
        "".join,
        st.tuples(
            st.one_of(st.sampled_from(("a", "b", "c", "img", "")), st.text(LETTERS, max_size=6)),
            st.sampled_from(("", ".jpg", ".JPEG", ".png", ".mat", ".")),
        ),
    ),
    max_size=12,
)


@few_and_many(50, 500)
def test_names_of_images(n_cases: int) -> None:
    def case(files: list[list[str]], how: str, images: str, pattern: str) -> None:
        named = [LabelledFile(str(i), names) for i, names in enumerate(files)]
        try:
            aligned = align(named, how)
        except InputError:
            return
        for file, positions in zip(files, aligned.positions, strict=True):
            assert len(set(positions)) == len(aligned.keys)
            assert len(positions) == aligned.report["n_common"] <= len(file)
        json.dumps(aligned.report)
        in_source(aligned.keys[0], "x", {"x": pattern})
        try:
            keep, _ = choose_images(images, aligned.keys, how, {"x": pattern, "y": "*"})
        except InputError:
            return
        assert len(keep) == len(aligned.keys)

    shared = st.lists(NAMES, min_size=1, max_size=3)
    same = st.builds(lambda names, n: [names] * n, NAMES, st.integers(1, 3))
    try_all(
        n_cases, case, files=shared | same, how=st.sampled_from(("stem", "exact")),
        images=st.sampled_from(("all", "x", "y")) | st.text(LETTERS, max_size=20),
        pattern=st.text("*?[]!-ab", max_size=10) | st.text(LETTERS, max_size=10),
    )  # fmt: skip


# Settings: text changed at random, and values of other kinds.


@pytest.fixture(scope="module")
def logged() -> str:
    settings.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return settings.to_yaml(settings.from_hydra(compose("config")))


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(LETTERS, max_size=12),
    st.sampled_from(("???", "${", "${seed}", "${oc.env:HOME}", "all", "*", "~x", "/dev/zero")),
    st.integers(-(10**40), 10**40),
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(LETTERS, max_size=6) | st.integers() | st.none(), inner, max_size=4
        )
    ),
    max_leaves=6,
)
PIECES = (
    "&a ", "*a", "!!int ", "${seed}", "- ", ": ", "\n", "  ", "{", "}", "[", "]", "'", '"', "#",
    "\0", "\ufeff", "\u2028", "---\n", "? ", "null", "~", "1e9999", "0x", "<<: ", "|", ">", "%",
)  # fmt: skip


def is_read_or_refused(text: str) -> None:
    try:
        config = settings.from_logged(text)
    except InputError as error:
        line = str(error)
    else:
        line = ""
        assert settings.from_logged(settings.to_yaml(config)) == config
    assert "\n" not in line
    assert len(line) < 2000


@few_and_many(20, 250)
def test_changed_settings(n_cases: int, logged: str) -> None:
    plain = yaml.safe_load(logged)
    places = [
        (*path, key)
        for path, node in [((), plain), *(((k,), v) for k, v in plain.items())]
        if isinstance(node, dict)
        for key in [*node, "_target_"]
    ]

    def case(place: tuple[str, ...], value: Any) -> None:
        changed = yaml.safe_load(logged)
        node = changed
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] = value
        is_read_or_refused(yaml.safe_dump(changed, allow_unicode=True))

    try_all(n_cases, case, place=st.sampled_from(places), value=ANYTHING)


@few_and_many(20, 250)
def test_changed_text_of_settings(n_cases: int, logged: str) -> None:
    for seed in range(n_cases):
        rng = random.Random(seed)
        text = logged
        for _ in range(rng.choice((1, 1, 2, 5))):
            at = rng.randrange(len(text))
            piece = rng.choice(PIECES) if rng.random() < 0.6 else chr(rng.randrange(0xD800))
            text = text[:at] + piece + text[at + rng.choice((0, 0, 1, 3, 20)) :]
        is_read_or_refused(text)


# What `reproduce` reads of a run besides.

PROVENANCE = {
    "rsa_exp": "0.1.0", "git_commit": "a" * 40, "git_dirty": False, "packages": {"numpy": "2.0"},
    "content_digest": "0" * 32, "images_digest": "0" * 32, "overrides": [], "seed": 0,
    "inputs": [{
        "role": "brain", "name": "A.h5", "path": "/d/A.h5", "digest": "0" * 32,
        "rows": {"V1": "0" * 32}, "n_images": 9, "n_rdms": 1,
    }],
    "files": [{"path": "/d/A.h5", "size": 1, "mtime_ns": 1}],
    "blas": [{"internal_api": "openblas", "version": "1", "architecture": "x"}],
    "python": "3.11.7", "platform": "Linux", "cpu": "x", "cpu_count": 2, "threads": 2,
}  # fmt: skip
SCORES = "subject,roi,layer,metric,score,n_images,depth\nA,V1,a,corr,0.5,9,1\nA,V1,b,corr,,9,2\n"
RUN = {"uid": "0" * 32, "name": "sub-A", "status": "finished", "begun": "x", "files": ["a.csv"]}


def recorded(texts: dict[str, str]) -> RecordedRun:
    files = MemoryFiles(texts)
    return RecordedRun(RunManifest("", "x", "finished", ""), files, "/x")


@few_and_many(30, 400)
def test_changed_records(n_cases: int, tmp_path: Path) -> None:
    def case(key: str, value: Any, inner: str, at: int, piece: str) -> None:
        changed = json.loads(json.dumps(PROVENANCE))
        if key in {"inputs", "files", "blas"} and isinstance(changed[key], list) and inner:
            changed[key][0][inner] = value
        else:
            changed[key] = value
        text = json.dumps(changed)
        cut = text[: at % len(text)] + piece + text[at % len(text) :]
        scores = SCORES[: at % len(SCORES)] + piece + SCORES[at % len(SCORES) :]
        for provenance in (text, cut):
            files = {"provenance.json": provenance, "scores.csv": scores}
            record = recorded(files)
            with suppress(InputError):
                list(map(str, changes.changes(record.provenance, PROVENANCE)))
                list(map(str, changes.changes(PROVENANCE, record.provenance)))
            with suppress(InputError):
                assert set(CELL_KEYS) <= set(record.scores.columns)
        run = json.dumps({**RUN, inner or "name": value})
        (tmp_path / manifest.RUN_FILE).write_text(run + piece, encoding="utf-8")
        manifest.read_run(tmp_path)

    pieces = ('"', ",", "\n", "[" * 50_000, "]", "{", "\0", "9" * 5000, "1e999", "NaN", "x", "")
    keys = st.dictionaries(st.text(LETTERS, max_size=4), SCALARS, max_size=3)
    try_all(
        n_cases, case, key=st.sampled_from(list(PROVENANCE)),
        value=SCALARS | st.lists(SCALARS, max_size=3) | keys | st.lists(keys, max_size=3),
        inner=st.sampled_from(("", "name", "path", "rows", "role", "files", "tags", "size")),
        at=st.integers(0, 10_000), piece=st.sampled_from(pieces),
    )  # fmt: skip


def test_a_good_record_is_read() -> None:
    files = {"provenance.json": json.dumps(PROVENANCE), "scores.csv": SCORES}
    record = recorded(files)
    assert changes.changes(record.provenance, PROVENANCE) == []
    assert record.scores.equals(output.read_scores(io.StringIO(SCORES)))
