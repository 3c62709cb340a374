"""The public API in a process of its own, as a notebook has it, and beside the command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from studies import Finished

import rsa_exp
from rsa_exp import files as output

NOTEBOOK = """
import sys, time
start = time.perf_counter()
import rsa_exp
assert time.perf_counter() - start < 0.1
assert not {"numpy", "pandas", "importlib.metadata"} & set(sys.modules)
assert set(rsa_exp.__all__) <= set(dir(rsa_exp)) and rsa_exp.__version__

from rsa_exp.figures import draw
from rsa_exp.vocabulary import FIGURE_NAMES
study = rsa_exp.datasets.simulated(60, root=sys.argv[1])
small = rsa_exp.Inference(n_boot=20, n_perm=20, n_splits=4)
for subject in ("1", "group"):
    result = rsa_exp.analyse(study, subject=subject, inference=small)
    assert {name for name, _ in draw(result, FIGURE_NAMES)} == set(FIGURE_NAMES)
result.scores.to_csv(sys.argv[2])
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"hydra", "omegaconf", "mlflow"}))
"""


def test_neither_hydra_nor_mlflow_is_imported(tiny_study: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", NOTEBOOK, str(tiny_study.parent), str(tmp_path / "scores.csv")]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "[]\n"


def test_the_command_line_gives_the_same_bits(
    cli: Callable[..., Finished], tmp_path: Path, tiny_study: Path
) -> None:
    arguments = ["subject=group", "metric=spearman", "seed=3", "data.seed=0", "data.n_images=60"]
    inference = {"n_boot": 30, "n_perm": 30, "n_splits": 4}
    settings = [f"inference.{key}={value}" for key, value in inference.items()]
    folder = tmp_path / "run"
    run = cli(*arguments, *settings, f"data.root={tiny_study.parent}", f"hydra.run.dir={folder}")
    assert run.status == 0, run.err
    with rsa_exp.datasets.simulated(60, 0, tiny_study.parent) as study:
        result = rsa_exp.analyse(
            study, subject="group", metric="spearman", seed=3,
            inference=rsa_exp.Inference(**inference),
        )  # fmt: skip
    tables = {
        "scores": result.scores,
        "subject_scores": result.subject_scores,
        "comparisons": result.comparisons,
        "ceilings": result.ceilings,
        "best_layers": result.best_layers,
    }
    for name, table in tables.items():
        mine = output.write_table(tmp_path / f"{name}.csv", table)
        assert mine.read_bytes() == (folder / f"{name}.csv").read_bytes(), name
