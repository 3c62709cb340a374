"""Which settings change numbers, and what that means for digests, comparison and resumption."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from test_config import composed

from rsa_exp.config import keys
from rsa_exp.experiments.resume import changed_keys
from rsa_exp.runs import digests
from rsa_exp.runs.changes import settings_changes
from rsa_exp.runs.digests import config_id

FILES = [
    "data=files", "data.brain='/x/{subject}.h5'", "data.model=/x/m.h5", "data.subjects=[A,B]",
    "subject=A", "data.hint=ask", "data.rois.V1={level:early}", "seed=3",
]  # fmt: skip
# Taken from runs of earlier versions: their sweeps are resumed and their runs compared.
DIGESTS = {
    "3b5e24c0a474ba01f6dab568a6ab40ee": [],
    "50b6b026331bf534586f26d058949eaf": [
        "subject=group", "roi=LH*", "metric=spearman", "inference=none", "tracking=none",
    ],
    "08058b3664be3241e3ac3e47bae60194": [
        "data=bold5000", "model=alexnet", "data.root=/x", "data.atlas=vcAtlas",
    ],
    "4ed6bbc89af9f4c8c77f6aa7dc8086a9": FILES,
    "8065d1553c77d7e9d9e422f4f8e3e5c0": ["images=list.txt"],
}  # fmt: skip
# A value other than the default of every setting on which no number depends.
OTHER = {
    "output_dir": "/elsewhere",
    "data.root": "/elsewhere",
    "data.brain": "'/other/{subject}.h5'",
    "data.model": "/other/m.h5",
    "data.image_names": "/other/names.txt",
    "data.hint": "ask me",
    "model.image_names": "/other/names.txt",
    "figures.names": "[bars]",
    "figures.sweep": "false",
    "tracking.enabled": "false",
    "tracking.server": "true",
    "tracking.folder": "/elsewhere",
    "tracking.experiment": "another",
}


@pytest.mark.parametrize("digest", DIGESTS)
def test_digests_of_earlier_versions_stay(
    digest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("a\n")
    assert config_id(composed(*DIGESTS[digest])) == digest


def test_every_setting_without_effect_on_numbers_is_tested_here() -> None:
    without = {key for key in keys.known_keys() if keys.affects(key) != "numbers"}
    assert without - {"figures", "tracking"} == {*OTHER, "model.file", "data.residuals"}


@pytest.mark.parametrize("key", OTHER)
def test_a_setting_without_effect_on_numbers_is_one_everywhere(key: str) -> None:
    before, after = composed(*FILES), composed(*FILES, f"{key}={OTHER[key]}")
    assert config_id(before) == config_id(after)
    assert changed_keys(FILES, [*FILES, f"{key}={OTHER[key]}"]) == []
    found = settings_changes(before, after)
    assert any(change.what == key for change in found)
    assert all(change.cosmetic for change in found)


@pytest.mark.parametrize(
    "override", ["metric=cosine", "data.rois.V2={level:mid}", "inference=none", "align=exact"]
)
def test_any_other_setting_makes_another_variant(override: str) -> None:
    before, after = composed(*FILES), composed(*FILES, override)
    assert config_id(before) != config_id(after)
    assert changed_keys(FILES, [*FILES, override]) == [override.split("=")[0]]
    assert not any(change.cosmetic for change in settings_changes(before, after))


def test_numbers_come_from_the_code_that_code_id_covers() -> None:
    """What an analysis imports is part of `code_id`, but for what only says or stops."""
    package = Path(digests.__file__).parents[1]
    aside = {"errors.py", "interrupts.py", "vocabulary.py", "files.py", "conf_folder.py",
             "__init__.py"}  # fmt: skip
    seen: set[str] = set()
    queue = ["runs/inputs.py", "datasets/catalogue.py"]
    while queue:
        name = queue.pop()
        if name in seen or name.split("/")[0] in {*aside, "figures", "config"}:
            continue
        seen.add(name)
        for node in ast.walk(ast.parse((package / name).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rsa_exp"):
                parts = str(node.module).split(".")[1:]
                for tail in ([], *([item.name] for item in node.names)):
                    path = "/".join([*parts, *tail])
                    queue += [
                        file for file in (f"{path}.py", f"{path}/__init__.py".lstrip("/"))
                        if (package / file).is_file()
                    ]  # fmt: skip
    parts = {name if name.startswith("runs/") else name.split("/")[0] for name in seen}
    assert parts == set(digests.NUMBERS)
