"""What a record must be, where its files are looked for, and that a verdict says all it should."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import h5py
import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient
from studies import Files, Finished, random_rdms, write_rdms

from rsa_exp.config import compose as settings
from rsa_exp.config.groups import conf_dir
from rsa_exp.config.schema import Config, ModelConfig
from rsa_exp.errors import InputError
from rsa_exp.experiments import recording
from rsa_exp.experiments.lookup import _in_store, find_run
from rsa_exp.experiments.run import RunSpec, execute
from rsa_exp.runs import manifest
from rsa_exp.runs.relocate import relocate_inputs
from rsa_exp.tracking.store import PARENT_TAG

Cli = Callable[..., Finished]
ID = "0123456789abcdef" * 2


def composed(*overrides: str) -> Config:
    settings.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        none = [f"{group}=none" for group in ("inference", "figures", "tracking")]
        return settings.from_hydra(compose("config", overrides=[*none, *overrides]))


@dataclass
class Made:
    """A finished run of two small files of one's own, and a store for its reruns."""

    files: Files
    run: Path
    store: Path

    def copy(self, folder: Path) -> Path:
        return shutil.copytree(self.run, folder)

    def sweep(self, folder: Path) -> Path:
        """Write a sweep of two runs, of which the second failed."""
        run = manifest.read_run(self.run)
        assert run is not None
        sweep = manifest.SweepManifest("f" * 32, "sweep", "failed", run.started, n_planned=2)
        for number, status in enumerate(("finished", "failed")):
            place = self.copy(folder / str(number))
            manifest.write(place, dataclasses.replace(run, sweep=sweep.uid, status=status))
        manifest.write(folder, sweep)
        return folder

    def tags(self, name: str) -> dict[str, str]:
        """Tags of the latest run of a name."""
        client = MlflowClient(f"sqlite:///{self.store}/mlflow.db")
        experiments = [item.experiment_id for item in client.search_experiments()]
        found = client.search_runs(experiments, f"attributes.run_name = '{name}'")
        return dict(found[0].data.tags)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    (folder / "files").mkdir()
    files = Files(folder / "files")
    for seed, subject in enumerate("AB"):
        write_rdms(files.brain(subject), random_rdms(2, seed=seed), ["V1", "V2"])
    write_rdms(files.model, random_rdms(3, seed=4), ["a", "b", "c"], row_key="layer")
    execute(composed(*files.arguments), RunSpec(folder / "run", "run", []))
    return Made(files, folder / "run", folder / "store")


@pytest.fixture
def again(cli: Cli, made: Made) -> Cli:
    return lambda *arguments: cli("reproduce", "--store", str(made.store), *arguments)


def change(run: Path, action: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads((run / "provenance.json").read_text())
    action(record)
    (run / "provenance.json").write_text(json.dumps(record))


def refused(finished: Finished, message: str, tmp_path: Path) -> None:
    """One line says why, and nothing was written."""
    assert (finished.status, finished.out) == (1, "")
    assert message in finished.err
    assert len(finished.err.splitlines()) == 1
    assert not (tmp_path / "outputs").exists()


def test_runs_of_a_sweep_do_not_vanish(made: Made, again: Cli, tmp_path: Path) -> None:
    made.sweep(tmp_path / "sweep")
    finished = again("sweep")
    assert finished.status == 0, finished.err
    said = "identical: of 1 runs 1 identical; 1 of 2 runs had not finished and was not run again"
    assert finished.out.splitlines()[-1] == said
    assert made.tags("sweep (reproduced)")["verdict"] == said
    assert "never started" not in next(tmp_path.glob("outputs/**/report.html")).read_text()

    shutil.rmtree(tmp_path / "outputs")
    for number in (1, 2):  # an export has finished runs only
        made.copy(tmp_path / "out" / "runs" / f"{number}-run")
    (tmp_path / "out" / "runs" / "2-run" / "scores.csv").unlink()
    refused(again("out"), "has no scores.csv", tmp_path)


def test_a_sweep_is_checked_before_it_is_opened(made: Made, again: Cli, tmp_path: Path) -> None:
    folder = made.sweep(tmp_path / "sweep") / "0"
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("models.h5", "gone.h5"))
    refused(again("sweep"), "gone.h5 does not exist; name the folder", tmp_path)
    (folder / "config.yaml").write_text(text)
    (folder / "scores.csv").write_text("garbage\n")
    refused(again("sweep"), "is damaged: scores.csv", tmp_path)


LAYOUTS: dict[str, tuple[str, str, str, list[str]]] = {
    "below a folder of the root": ("w", "w/my/{subject}.h5", "w/my/m.h5", ["A.h5", "B.h5", "m.h5"]),
    "the root": ("w", "w/my/{subject}.h5", "w/m.h5", ["my/A.h5", "my/B.h5", "m.h5"]),
    "subjects' folders": (
        "w", "x/d/sub-{subject}/{subject}.h5", "x/d/m.h5", ["sub-A/A.h5", "sub-B/B.h5", "m.h5"],
    ),
    "siblings": (
        "w", "c/{subject}/rdms.h5", "c/net/rdms.h5", ["A/rdms.h5", "B/rdms.h5", "net/rdms.h5"],
    ),
    "model from elsewhere": (
        "w", "x/sub-{subject}/r.h5", "y/z/m.h5", ["sub-A/r.h5", "sub-B/r.h5", "m.h5"],
    ),
    "all in one": ("w", "w/{subject}/{subject}.h5", "y/m.h5", ["A.h5", "B.h5", "m.h5"]),
    "Windows": (
        "w", "w/C:\\d\\s\\{subject}\\r.h5", "w/C:\\d\\m.h5", ["A/r.h5", "B/r.h5", "m.h5"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["files", "bold5000"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_moved_files_are_found(layout: str, kind: str, made: Made, tmp_path: Path) -> None:
    root, brain, model, there = LAYOUTS[layout]
    config = given(
        made, kind, tmp_path / "old" / root, *(tmp_path / "old" / n for n in (brain, model))
    )
    folder = tmp_path / "new"
    for name in there:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    now = relocate_inputs(config, folder)
    file = now.data.model if kind == "files" else now.model.file
    found = [now.data.brain.replace("{subject}", subject) for subject in "AB"]
    assert [*found, file] == [str(folder / name) for name in there]
    (folder / there[-1]).unlink()
    with pytest.raises(InputError, match=f"not in {folder}: .*{Path(there[-1]).name}; name the"):
        relocate_inputs(config, folder)


def given(made: Made, kind: str, root: Path, brain: Path, model: Path) -> Config:
    """Return settings of files of one's own, or of published ones with a model from elsewhere."""
    config = find_run(str(made.run), made.store).config
    places = {"root": str(root), "brain": str(brain)}
    if kind == "files":
        data = dataclasses.replace(config.data, **places, model=str(model))
        return dataclasses.replace(config, data=data)
    data = settings.DATA_KINDS[kind](**places, subjects=["A", "B"])
    return dataclasses.replace(config, data=data, model=ModelConfig(name="m", file=str(model)))


@pytest.mark.parametrize(
    "brain", ["w/../../secret/{subject}.h5", "w/{subject}\\..\\..\\secret\\A.h5"]
)
def test_nothing_outside_the_folder_is_read(brain: str, made: Made, tmp_path: Path) -> None:
    for place in (tmp_path / "secret", tmp_path / "new"):
        (place / "A").mkdir(parents=True)
        for name in ("A.h5", "B.h5", "m.h5"):
            (place / name).touch()
    (tmp_path / "new" / "A.h5").unlink()
    old = tmp_path / "old"
    with pytest.raises(InputError, match="not in"):
        relocate_inputs(
            given(made, "files", old / "w", old / brain, old / "w/m.h5"), tmp_path / "new"
        )


def test_a_moved_study_is_reproduced(
    made: Made, again: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.copy(tmp_path / "run")
    text = (tmp_path / "run" / "config.yaml").read_text()
    plain = text.replace(str(made.files.folder), "/gone")
    (tmp_path / "run" / "config.yaml").write_text(plain)
    refused(again("run"), "does not exist; name the folder", tmp_path)
    shutil.copytree(made.files.folder, tmp_path / "new")
    monkeypatch.setenv("HOME", str(tmp_path))
    finished = again("run", "--data-root", "~/new")
    assert finished.out.splitlines()[-1] == "identical: all 6 scores to the last bit"
    with h5py.File(tmp_path / "new" / "models.h5", "a") as file:
        file["dissimilarities"][0, 0] += 1
    finished = again("run", "--data-root", "new")
    assert finished.status == 1
    assert "different: not rerun, as the input has changed since: models.h5 a" in finished.out


FORGED: dict[str, tuple[str, Any, str]] = {
    "absolute path": ("data.brain", "/etc/{subject}.h5", "not the name of a simulated file"),
    "relative path": ("data.brain", "../{subject}.h5", "not the name of a simulated file"),
    "path of the model": ("model.file", "/etc/passwd", "not the name of a simulated file"),
    "parent": ("model.file", "..", "not the name of a simulated file"),
    "path of a source": (
        "data.sources",
        {"/no/x": "*"},
        "data.sources names '/no/x', which is a path",
    ),
    "20,000 images": ("data.n_images", 20_000, "ask for 56 GB of simulated files"),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_record_reads_and_writes_nothing(
    case: str, made: Made, again: Cli, tmp_path: Path
) -> None:
    key, value, message = FORGED[case]
    section, name = key.split(".")
    config = composed()
    setattr(getattr(config, section), name, value)
    (made.copy(tmp_path / "run") / "config.yaml").write_text(settings.to_yaml(config))
    refused(again("run"), message, tmp_path)


DAMAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "subject": lambda record: record["inputs"][0].update(subject=["1"]),
    "overrides": lambda record: record.update(overrides=None),
    "packages": lambda record: record.update(packages={"numpy": ["1"]}),
    "escape in a name": lambda record: record["inputs"][0].update(name="\x1b[2Kidentical"),
    "newline in a version": lambda record: record.update(packages={"numpy": "1\nidentical"}),
    "row": lambda record: record["inputs"][0]["rows"].update({"\x1b": "0"}),
    "half a pair": lambda record: record.update(command="\ud800"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_record_is_refused(case: str, made: Made, tmp_path: Path) -> None:
    change(made.copy(tmp_path / "run"), DAMAGES[case])
    with pytest.raises(InputError, match=r"is damaged: provenance\.json"):
        find_run(str(tmp_path / "run"), made.store).check_contents()


def test_a_record_may_lack_what_earlier_ones_lack(made: Made, tmp_path: Path) -> None:
    def older(record: dict[str, Any]) -> None:
        for key in ("overrides", "packages"):
            del record[key]
        record["command"] = "python -c 'several\nlines'"

    change(made.copy(tmp_path / "run"), older)
    find_run(str(tmp_path / "run"), made.store).check_contents()


def test_names_in_a_manifest_are_printable(made: Made, tmp_path: Path) -> None:
    made.copy(tmp_path / "run")
    run = manifest.read_run(tmp_path / "run")
    assert run is not None
    manifest.write(tmp_path / "run", dataclasses.replace(run, experiment="mine"))
    assert find_run(str(tmp_path / "run"), made.store).manifest.experiment == "mine"
    path = tmp_path / "run" / manifest.RUN_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"name": "\ud800"}))
    with pytest.raises(InputError, match="has control characters"):
        find_run(str(tmp_path / "run"), made.store)


def test_a_lost_list_of_images_is_named(made: Made, again: Cli, tmp_path: Path) -> None:
    folder = made.copy(tmp_path / "run")
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("images: all", "images: /d/list.txt"))
    (folder / "images.txt").unlink()
    refused(again("run"), "has no images.txt", tmp_path)


def test_changed_inputs_are_part_of_the_verdict(made: Made, again: Cli, tmp_path: Path) -> None:
    change(made.copy(tmp_path / "changed"), lambda record: record.update(content_digest="0"))
    run = manifest.read_run(made.run)
    assert run is not None
    manifest.write(tmp_path / "changed", dataclasses.replace(run, name="changed"))
    finished = again("--force", "changed")
    assert finished.status == 0
    said = "identical: all 6 scores to the last bit; its inputs have changed"
    assert finished.out.splitlines()[-1] == said
    assert made.tags("changed (reproduced)")["verdict"] == said


def test_the_verdict_survives_the_store(
    made: Made,
    again: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away(*_: object, **__: object) -> None:
        raise InputError("database is locked")

    run = manifest.read_run(made.copy(tmp_path / "run"))
    assert run is not None
    manifest.write(tmp_path / "run", dataclasses.replace(run, run_id=ID))
    said = "identical: all 6 scores to the last bit"
    monkeypatch.setattr("rsa_exp.tracking.store.Store.has", away)
    finished = again("run")
    assert (finished.status, finished.out.splitlines()[-1]) == (0, said)
    assert "the verdict could not be uploaded to sqlite:" in caplog.text

    monkeypatch.setattr(recording, "upload_run", away)
    finished = again("run")
    assert (finished.status, finished.out.splitlines()[-1]) == (1, said)
    assert "could not be uploaded to database is locked; " in finished.err.splitlines()[-1]


def test_an_address_names_a_run_of_this_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(uri: str, address: str) -> str:
        folder = None if uri.startswith("http") else Path("/d")
        store = SimpleNamespace(uri=uri, folder=folder)
        monkeypatch.setattr("rsa_exp.tracking.store.existing_store", lambda _: store)
        return _in_store(address, Path("/d"))[1]

    query = quote(f"tags.`{PARENT_TAG}` = '{ID}'", safe="")
    sweep = f"http://h:5000/#/experiments/1/runs?searchFilter={query}&compareRunsMode=CHART"
    assert found("http://h:5000", sweep) == ID
    local = f"http://[::1]:5000/#/experiments/1/runs/{ID}?workflowType=machine_learning"
    assert found("sqlite:////d/mlflow.db", local) == ID
    with pytest.raises(InputError, match="is not the tracking store"):
        found("http://h:50001", sweep)
    with pytest.raises(InputError, match="is not an address"):
        found("http://h:5000", "http://[::1")


def test_words_that_name_no_run(again: Cli, made: Made, tmp_path: Path) -> None:
    refused(again(""), "name a run: its id", tmp_path)
    refused(again("n" * 300), "is not a run id", tmp_path)
    (tmp_path / "file").touch()
    finished = again(str(made.run), "--store", "file")
    assert finished.err.splitlines()[-1].endswith("; set --store or MLFLOW_TRACKING_URI")
