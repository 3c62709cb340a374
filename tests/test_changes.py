"""What differs between two records is found, said plainly, and never taken for the same."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

from rsa_exp.config.schema import (
    Config,
    FiguresConfig,
    FilesData,
    InferenceConfig,
    ModelConfig,
    SimulatedData,
    TrackingConfig,
)
from rsa_exp.runs.changes import changes, requirement_changes, settings_changes
from rsa_exp.runs.digests import config_id

RECORD: dict[str, Any] = {
    "rsa_exp": "0.1.0",
    "git_commit": "a" * 40,
    "git_dirty": False,
    "git_diff_digest": None,
    "code_id": "1",
    "python": "3.11.7",
    "platform": "Linux",
    "cpu": "one",
    "cpu_count": 2,
    "threads": 2,
    "packages": {"numpy": "2.1.0", "scipy": "1.0"},
    "blas": [{"internal_api": "openblas", "version": "1"}, {"internal_api": "mkl"}],
    "inputs": [
        {"role": "brain", "name": "A.h5", "path": "/x/A.h5", "digest": "1", "rows": {"V1": "2"}},
        {"role": "model", "name": "m.h5", "path": "/x/m.h5", "digest": "3", "rows": {"a": "4"}},
    ],
    "images_digest": "5",
    "content_digest": "6",
}


def changed(**values: object) -> dict[str, Any]:
    return copy.deepcopy(RECORD) | values


def with_rows(**rows: str) -> dict[str, Any]:
    record = changed()
    record["inputs"][0]["rows"] = rows
    record["inputs"][0]["digest"] = "other"
    return record


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (with_rows(V1="x"), ["input A.h5 V1 has other values"]),
        (with_rows(V1="2", V2="x"), ["input A.h5 V2 not used, now used"]),
        (with_rows(V1="2"), ["input A.h5 has other images, or names of them"]),
        (changed(inputs=RECORD["inputs"][:1]), ["input m.h5 used, now not used"]),
        (changed(images_digest="x", content_digest="x"), ["images used differ"]),
        (
            changed(content_digest="x"),
            ["input (its image names, or which RDMs are used) differs"],
        ),
        (changed(git_commit="b" * 40, code_id="2"), ["code: commit aaaaaaa, now bbbbbbb"]),
        (
            changed(git_commit="b" * 40),
            ["code: commit aaaaaaa, now bbbbbbb, but what numbers come from is the same"],
        ),
        (
            changed(git_dirty=True, git_diff_digest="c" * 32, code_id="2"),
            ["code without uncommitted changes, now with uncommitted changes (diff ccccccc)"],
        ),
        (changed(code_id="2"), ["code that numbers come from differs"]),
        (changed(packages={"numpy": "2.2.0", "scipy": "1.0"}), ["numpy 2.1.0, now 2.2.0"]),
        (changed(packages={"numpy": "2.1.0"}), ["scipy 1.0, now not installed"]),
        (changed(python="3.12"), ["Python 3.11.7, now 3.12"]),
        (changed(cpu="two", threads=4), ["threads 2, now 4", "processor one, now two"]),
        (changed(blas=RECORD["blas"][:1]), ["BLAS mkl + openblas 1, now openblas 1"]),
        (changed(blas=RECORD["blas"][::-1]), []),
        (changed(blas=[]), ["BLAS mkl + openblas 1, now none"]),
        (changed(python="3\n\x1b[2K"), ["Python 3.11.7, now 3??[2K"]),
        (changed(date="other", seconds={}), []),
    ],
)
def test_each_change_is_said(after: dict[str, Any], said: list[str]) -> None:
    assert [str(change) for change in changes(RECORD, after)] == said


def test_uncommitted_changes_that_were_not_kept_are_not_taken_for_the_same() -> None:
    old = changed(git_dirty=True, code_id=None)
    (found,) = changes(old, old)
    assert "may differ" in str(found)
    assert not changes(changed(git_dirty=True), changed(git_dirty=True))  # code_id says so


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("packages", "packages"),
        ("blas", "BLAS"),
        ("python", "Python"),
        ("threads", "threads"),
        ("cpu", "processor"),
        ("git_commit", "code"),
    ],
)
def test_what_a_record_lacks_is_not_taken_for_the_same(key: str, said: str) -> None:
    lacking = changed()
    for lost in (key, "code_id"):
        del lacking[lost]
    assert f"{said} cannot be compared: not recorded" in map(str, changes(lacking, lacking))
    del lacking["git_dirty"]
    assert changes(lacking, RECORD)


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    before = changed()
    before["inputs"] = [
        RECORD["inputs"][0] | {"path": f"/x/{subject}/A.h5"} for subject in ("s1", "s2")
    ]
    after = copy.deepcopy(before)
    after["inputs"][0]["rows"] = {"V1": "x"}
    assert [str(change) for change in changes(before, after)] == [
        "input s1/A.h5 V1 has other values"
    ]


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"inputs": 3, "packages": [], "blas": {}, "git_commit": 4},
        {"inputs": [None, {}, {"rows": 3}], "packages": {3: None}, "blas": [1, {}]},
    ],
)
def test_damaged_records_raise_nothing(record: dict[str, Any]) -> None:
    for pair in ((record, RECORD), (RECORD, record), (record, record)):
        for change in changes(*pair):
            assert str(change)
            assert change.between_a_and_b


def test_requirements_are_compared_as_pip_names_them() -> None:
    old = "# rsa-exp 0.1.0\nScikit_Learn==1.0\nnumpy==2.0\nrsa-exp==0.1.0\n"
    new = "scikit-learn==1.1\nnumpy==2.0\nrsa-exp==0.2.0\nextra @ https://x/y.whl\n"
    assert [str(change) for change in requirement_changes(old, new)] == [
        "extra not installed, now https://x/y.whl",
        "scikit-learn 1.0, now 1.1",
    ]
    assert requirement_changes("", new) == []


def config() -> Config:
    data = SimulatedData(brain="{subject}.h5", subjects=["1"], rois={"V1": {"region": "V"}})
    return Config(
        data=data, model=ModelConfig("net", "net.h5", ["a"]), inference=InferenceConfig(),
        figures=FiguresConfig(), tracking=TrackingConfig(),
    )  # fmt: skip


def leaves(node: object, where: str = "") -> list[tuple[object, str, str]]:
    """Every setting: the section it is in, its name there, its dotted key."""
    found: list[tuple[object, str, str]] = []
    for item in dataclasses.fields(node):  # type: ignore[arg-type]
        key, value = f"{where}{item.name}", getattr(node, item.name)
        found += leaves(value, f"{key}.") if dataclasses.is_dataclass(value) else [
            (node, item.name, key)
        ]  # fmt: skip
    return found


@pytest.mark.parametrize("key", [key for _, _, key in leaves(config())])
def test_settings_that_determine_numbers_come_before_those_that_do_not(key: str) -> None:
    other = config()
    section, name = next((node, name) for node, name, found in leaves(other) if found == key)
    setattr(section, name, {"x": "y"} if key == "data.rois" else "something else")
    other.output_dir = "elsewhere"
    found = settings_changes(config(), other)
    assert {change.what.removesuffix(".x") for change in found} >= {key}
    assert found[-1].cosmetic
    assert all(change.cosmetic for change in found) == (config_id(config()) == config_id(other))


def test_settings_of_another_kind_of_data_are_said() -> None:
    other = config()
    other.data = FilesData(brain="{subject}.h5", subjects=["1"], model="m.h5")
    said = {str(change) for change in settings_changes(config(), other)}
    assert "data.kind=simulated, now files" in said
    assert "data.n_images=1000, now unset" in said
