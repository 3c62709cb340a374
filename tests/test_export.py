"""An exported folder holds all of a run, says what it is, and can be read as a run again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from studies import Files, Finished

from rsa_exp import files as output
from rsa_exp.errors import InputError
from rsa_exp.experiments import export as exporting
from rsa_exp.experiments.export import export
from rsa_exp.experiments.lookup import find, find_run, finished_runs
from rsa_exp.experiments.ro_crate import METADATA
from rsa_exp.runs import manifest
from rsa_exp.runs.recorded_run import RecordedRun

Cli = Callable[..., Finished]


def texts(run: RecordedRun) -> dict[str, str]:
    """Return the text files of a run."""
    names = ("config.yaml", "scores.csv", "provenance.json", "alignment.json", "images.txt")
    return {name: run.text(name) for name in names}


def references(node: object) -> set[str]:
    """Return every id that a crate refers to."""
    if isinstance(node, list):
        return set().union(*map(references, node))
    if isinstance(node, dict):
        if set(node) == {"@id"}:
            return {node["@id"]}
        return set().union(*map(references, node.values()))
    return set()


def check_crate(folder: Path, machine: Path) -> dict[str, dict[str, Any]]:
    """Every file is described as it is, and every reference leads to something."""
    text = (folder / METADATA).read_text()
    graph = json.loads(text)["@graph"]
    items = {item["@id"]: item for item in graph}
    assert len(items) == len(graph)
    specifications = {"https://w3id.org/ro/crate/1.1"}
    assert references(graph) - specifications <= set(items)
    described = {unquote(i): item for i, item in items.items() if item["@type"] == "File"}
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    del paths[METADATA]
    assert described.keys() == paths.keys()
    for name, path in paths.items():
        assert described[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert described[name]["contentSize"] == str(path.stat().st_size)
        assert described[name]["encodingFormat"] != "application/octet-stream"
    parts = references([item["hasPart"] for item in graph if "hasPart" in item])
    assert {item["@id"] for item in described.values()} <= parts
    assert str(machine) not in text
    return items


def test_a_run_is_exported_whole(files: Files, cli: Cli, tmp_path: Path) -> None:
    arguments = [*files.arguments, "inference=none", "hydra.run.dir=run"]
    assert cli(*arguments, "figures.names=[heatmap]").status == 0
    out = tmp_path / "a paper" / "supplement"
    assert export("run", out, tmp_path / "mlruns") == 0
    run, again = find_run("run", tmp_path), find_run(str(out), tmp_path)
    assert texts(run).items() <= texts(again).items()
    assert (out / "figures" / "heatmap.svg").is_file()
    assert [path.name for path in out.parent.iterdir()] == ["supplement"]

    items = check_crate(out, tmp_path)
    (action,) = (item for item in items.values() if item["@type"] == "CreateAction")
    digests = {item["digest"] for item in run.provenance["inputs"]}
    given = {items[one["@id"]].get("identifier", "")[9:] for one in action["object"]} - {""}
    assert given == digests
    assert {"@id": "scores.csv"} in action["result"]
    assert {"@id": "config.yaml"} not in action["result"]
    assert action["startTime"] <= action["endTime"]

    readme = (out / "README.txt").read_text()
    assert "reproduce HERE --data-root FOLDER" in readme
    assert "A_RDMs.h5" in readme
    best = run.scores.loc[run.scores.groupby("roi")["score"].idxmax()]
    for row in best.itertuples():
        assert f"{row.roi}  {row.layer}" in readme
        assert f"{row.score:.4f}" in readme


def test_the_folder_is_written_whole_or_not_at_all(
    files: Files, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli(*files.arguments, "inference=none", "hydra.run.dir=run").status == 0
    before = sorted(tmp_path.iterdir())

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(exporting, "describe", full_disk)
        with pytest.raises(InputError, match="No space left on device"):
            export("run", tmp_path / "out", tmp_path / "mlruns")
    assert sorted(tmp_path.iterdir()) == before

    (tmp_path / "empty").mkdir()
    assert export("run", tmp_path / "empty", tmp_path / "mlruns") == 0
    with pytest.raises(InputError, match="exists already; name a new folder"):
        export("run", tmp_path / "empty", tmp_path / "mlruns")


@pytest.mark.parametrize(
    ("tracking", "layers"),
    [
        ("none", "c,'[a,b]'"),
        pytest.param("local", "c,a,b,'[a,b]','[a,c]','[c,b]'", marks=pytest.mark.slow),
    ],
)
def test_a_sweep_is_exported_with_its_runs_in_order(
    files: Files, cli: Cli, tmp_path: Path, tracking: str, layers: str
) -> None:
    arguments = [*files.arguments, "inference=none", "roi=V1", f"layer={layers}"]
    several = ["metric=corr,cosine"] if tracking == "local" else []
    finished = cli(*arguments, *several, "hydra.sweep.dir=sweep", "-m", tracking=tracking)
    assert finished.status == 0, finished.err
    sweep = manifest.read_sweep(tmp_path / "sweep")
    assert sweep is not None
    source = sweep.run_id or "sweep"
    assert export(source, tmp_path / "out", tmp_path / "mlruns") == 0
    names = [run.name for _, run in manifest.find_runs(tmp_path / "sweep", sweep.uid)]
    runs = finished_runs(find(str(tmp_path / "out"), tmp_path))
    folders = [re.sub(r"[^-\w]+", "_", name) for name in names]
    digits = len(str(len(names)))
    assert [run.name for run in runs] == [
        f"{i:0{digits}d}-{name}" for i, name in enumerate(folders, 1)
    ]
    assert [run.text("scores.csv") for run in runs] == [
        (tmp_path / "sweep" / str(i) / "scores.csv").read_text() for i in range(len(names))
    ]
    assert (tmp_path / "out" / "report.html").is_file()
    items = check_crate(tmp_path / "out", tmp_path)
    actions = [item for item in items.values() if item["@type"] == "CreateAction"]
    assert [action["name"] for action in actions] == names

    assert export("out", tmp_path / "again", tmp_path / "mlruns") == 0  # an export of an export
    again = finished_runs(find(str(tmp_path / "again"), tmp_path))
    assert [(run.name, texts(run)) for run in again] == [(run.name, texts(run)) for run in runs]
    written = manifest.read_sweep(tmp_path / "again")
    assert written is not None
    assert (written.keys, written.store, written.run_id) == (sweep.keys, "", "")

    if tracking == "none":
        secret = tmp_path / "secret.txt"
        secret.write_text("x")
        (tmp_path / "sweep" / "report.html").unlink()
        (tmp_path / "sweep" / "report.html").symlink_to(secret)
        with pytest.raises(InputError, match=r"report\.html is a link"):
            export("sweep", tmp_path / "third", tmp_path / "mlruns")
        assert not (tmp_path / "third").exists()


def test_only_files_of_the_folder_itself_are_copied(tmp_path: Path) -> None:
    source, private, out = (tmp_path / name for name in ("run", "private", "out"))
    for folder in (source, private, out):
        folder.mkdir()
    (private / "id_rsa").write_text("secret")
    (source / "figures").symlink_to(private)
    (source / "a.csv").write_text("1")
    (tmp_path / "link").symlink_to(source)
    assert output.copy_file("a.csv", tmp_path / "link", out).read_text() == "1"
    for name in ("figures/id_rsa", "../private/id_rsa", str(private / "id_rsa"), "b\n.csv"):
        (source / "b\n.csv").touch()
        with pytest.raises(InputError, match=r"is a link, or behind one|rename it"):
            output.copy_file(name, source, out)
    assert [path.name for path in out.iterdir()] == ["a.csv"]
