"""A run, or a sweep, as a plain folder: for a paper's supplement, and for ``reproduce``."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rsa_exp import files as output
from rsa_exp import interrupts
from rsa_exp.config.schema import Config, SimulatedData
from rsa_exp.errors import InputError, listing
from rsa_exp.experiments.ro_crate import METADATA, Described, describe
from rsa_exp.runs import manifest
from rsa_exp.runs.manifest import SweepManifest
from rsa_exp.runs.recorded import Recorded, fetch, find, sweep_of
from rsa_exp.stats.metrics.registry import METRICS

__all__ = ["export"]


def export(run: str, folder: Path, store_folder: Path) -> int:
    """Write all there is of a run, or of a sweep's finished runs, into a new folder.

    The folder is written whole or not at all.

    Parameters
    ----------
    run : str
        A run or a sweep, as `rsa_exp.runs.recorded.find` takes it.
    folder : Path
        Must not exist, or be empty.
    store_folder : Path
        Folder of the local store, unless ``MLFLOW_TRACKING_URI`` is set.

    Returns
    -------
    int
        0.

    Raises
    ------
    InputError
        If there is no such run, a file of it is gone, or the folder cannot be written or holds
        something.
    """
    folder = folder.expanduser().absolute()
    _refuse_full(folder)
    found = find(run, store_folder)
    sweep = sweep_of(run, store_folder)
    try:
        with output.whole_folder(folder) as part:
            if sweep is None:
                described = [_write_run(found[0], part, "", store_folder)]
                name, about = found[0].title, _title(found[0])
            else:
                described = _write_sweep(run, sweep, found, part, store_folder)
                name, about = (
                    sweep.name,
                    f"{len(found)} runs of rsa_exp: {listing([r.name for r in found], 6)}",
                )
            crate = describe(part, name, about, described, manifest.now())
            output.write_json(part / METADATA, crate)
    except OSError as error:
        raise InputError(
            f"{run} cannot be exported to {folder}: {error.strerror or error}"
            f"{f' ({error.filename})' if error.filename else ''}"
        ) from error
    n = sum(path.is_file() for path in folder.rglob("*"))
    print(f"{folder}: {n} files; what they are is in README.txt")
    print(f"reproduce it: python -m rsa_exp reproduce {shlex.quote(str(folder))}")
    return 0


def _refuse_full(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder} is there already; name a new folder, or an empty one")


def _write_sweep(
    run: str, sweep: SweepManifest, found: Sequence[Recorded], folder: Path, store_folder: Path
) -> list[Described]:
    """Write a sweep's summary and its runs."""
    _fetch_summary(run, sweep, store_folder, folder)
    # Neither this machine's folders and store, nor a place among sweeps that can be resumed.
    plain = dataclasses.replace(
        sweep, uid="", started="", ended="", started_in="", store="", experiment="", run_id="",
        uploaded=False,
    )  # fmt: skip
    manifest.write(folder, plain)
    digits = len(str(len(found)))
    progress = tqdm(found, desc="runs", unit="run", disable=None, leave=False)
    described = []
    for number, item in enumerate(progress, start=1):
        interrupts.checkpoint()
        # What an earlier export numbered is not numbered twice.
        name = re.sub(r"^\d+-(?=.)", "", item.name) if not item.run_id else item.name
        place = f"runs/{number:0{digits}d}-{_safe(name)}/"
        described.append(_write_run(item, folder, place, store_folder))
    pairs = [(item.place, item.title) for item in described]
    output.write_text(folder / "README.txt", _sweep_readme(sweep, pairs))
    return described


def _fetch_summary(run: str, sweep: SweepManifest, store_folder: Path, folder: Path) -> None:
    """Copy a sweep's tables, figures and report, from its folder or from the store."""
    from rsa_exp.experiments.report import summary_files

    source = Path(run).absolute()
    if not source.is_dir():
        parent = Recorded(sweep.run_id, sweep.name, sweep.status, "", {}, {}, "")
        fetch(parent, store_folder, folder)
        (folder / "multirun.yaml").unlink(missing_ok=True)  # Hydra's own, of this machine
        return
    for path in summary_files(source):
        output.copy_file(path.relative_to(source).as_posix(), source, folder)


def _write_run(run: Recorded, top: Path, place: str, store_folder: Path) -> Described:
    """Write one run below `place` of the exported folder."""
    record, folder = run.provenance, top / place
    folder.mkdir(parents=True, exist_ok=True)
    fetch(run, store_folder, folder)
    if not (folder / "requirements.txt").is_file():
        output.write_text(folder / "requirements.txt", _requirements(record))
    kept = (folder / "code.diff").is_file()
    output.write_text(folder / "README.txt", _readme(run, kept_diff=kept))
    overrides = record.get("overrides")
    return Described(
        place,
        run.name,
        _title(run),
        run.begun,
        run.ended or str(record.get("date", "")),
        [str(text) for text in overrides] if isinstance(overrides, list) else [],
        record,
    )


def _safe(name: str) -> str:
    """Turn a name into one that any system takes for a folder."""
    return re.sub(r"[^A-Za-z0-9_.=+-]+", "_", name).strip("._")[:80] or "run"


def _words(run: Recorded) -> dict[str, Any]:
    words = run.provenance.get("text")
    return words if isinstance(words, dict) else {}


def _title(run: Recorded) -> str:
    return str(_words(run).get("title") or run.name)


def _requirements(record: dict[str, Any]) -> str:
    """Make requirements of the packages that a run's record names."""
    packages = record.get("packages")
    versions = packages if isinstance(packages, dict) else {}
    head = (
        f"# rsa-exp {record.get('rsa_exp', '')}, commit {record.get('git_commit')}; Python "
        f"{record.get('python', '')}\n# Only the packages that scores come from: the run did not "
        "keep the others.\n"
    )
    return head + "".join(f"{name}=={number}\n" for name, number in versions.items() if number)


def _readme(run: Recorded, *, kept_diff: bool) -> str:
    """Say what a run's folder is, what came out, and how to have it again."""
    record, words = run.provenance, _words(run)
    said = [str(text) for key in ("warnings", "notices") for text in _texts(record.get(key))]
    facts = [
        f"{words.get('score_label', run.config.metric)}; {words.get('note', '')}".strip("; "),
        f"One run of rsa_exp {record.get('rsa_exp', '')}, of {record.get('date', 'unknown date')}: "
        f"{run.title}",
    ]
    lines = [_title(run), "=" * len(_title(run)), "", *facts, "", *_best(run)]
    lines += ["", *(f"- {text}" for text in said)] if said else []
    return "\n".join([*lines, "", *_how(run, kept_diff=kept_diff), ""])


def _texts(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _best(run: Recorded) -> list[str]:
    """List the best layer of each ROI."""
    metric = METRICS[run.config.metric]
    scores = run.scores
    lines = ["Best layer of each ROI (all layers, intervals and tests are in scores.csv):", ""]
    rows = []
    for roi, cells in scores.groupby("roi", sort=False):
        if (at := metric.best(cells["score"])) is not None:
            best = cells.iloc[at]
            interval = ""
            if "ci_low" in cells and best["ci_low"] == best["ci_low"]:
                level = f"{run.config.inference.ci:.0%}"
                interval = f"{level} interval {best['ci_low']:.3f} to {best['ci_high']:.3f}"
            rows.append([str(roi), str(best["layer"]), f"{best['score']:.4f}", interval])
        else:
            rows.append([str(roi), "undefined", "", ""])
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return lines + [
        "  ".join(["", *(text.ljust(n) for text, n in zip(row, widths, strict=True))]).rstrip()
        for row in rows
    ]


def _how(run: Recorded, *, kept_diff: bool) -> list[str]:
    """Write the exact commands that reproduce a run."""
    record, config = run.provenance, run.config
    commit, python = record.get("git_commit"), str(record.get("python", "3"))
    minor = ".".join(python.split(".")[:2])
    lines = ["To reproduce it", "---------------", ""]
    lines += [
        f"In a clone of rsa_exp, with HERE for the path of this folder and Python {python}:",
        "",
    ]
    lines += [f"    git checkout {commit}"] if commit else []
    lines += ["    git apply HERE/code.diff"] if kept_diff else []
    lines += [
        f"    python{minor} -m venv venv && . venv/bin/activate",
        "    pip install -r HERE/requirements.txt",
        "    pip install --no-deps -e .",
    ]
    moved = "" if isinstance(config.data, SimulatedData) else " --data-root FOLDER"
    lines += [f"    python -m rsa_exp reproduce HERE{moved}", ""]
    lines += ["It ends by saying whether every number came out again, with exit status 0 if so."]
    if record.get("git_dirty") is True and not kept_diff:
        lines += ["The code had uncommitted changes that were not kept: scores may differ."]
    if isinstance(config.data, SimulatedData):
        return [*lines, "The data are simulated, and made anew."]
    names = [f"    {item['name']}  (xxh3_128 {item['digest']})" for item in record["inputs"]]
    names += [f"    {name}  (for the names of its images)" for name in _others(record, config)]
    lines += ["FOLDER is where these files are, which are not in this folder:", "", *names]
    return [*lines, "", config.data.hint] if config.data.hint else lines


def _others(record: Mapping[str, Any], config: Config) -> list[str]:
    """Files that a run opened, and scored no row of: they decide which images are common."""
    scored = {item["path"] for item in record["inputs"]}
    opened = [str(s.get("path")) for s in _texts(record.get("files")) if isinstance(s, Mapping)]
    return [Path(path).name for path in opened if path not in {*scored, config.images}]


def _sweep_readme(sweep: SweepManifest, runs: Sequence[tuple[str, str]]) -> str:
    """Say what a sweep's folder is."""
    lines = [sweep.name, "=" * len(sweep.name), ""]
    lines += [f"Made by: {sweep.command}", ""] if sweep.command else []
    lines += [
        "report.html sums the sweep up; scores.csv and the other tables here are of all its runs.",
        f"Each of the {len(runs)} runs has a folder, with all its files and a README.txt:",
        "",
        *(f"  {place}  {title}" for place, title in runs),
        "",
        "To reproduce it",
        "---------------",
        "",
        "Set up rsa_exp as the README.txt of any of the runs says; then, with HERE for the path of",
        "this folder (and --data-root FOLDER for that of the input files, unless simulated):",
        "",
        "    python -m rsa_exp reproduce HERE",
        "",
    ]
    return "\n".join(lines)
