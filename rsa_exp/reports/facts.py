"""Facts of a report about how the runs were made: settings, images, code, data, methods."""

from __future__ import annotations

import json
import os.path
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from rsa_exp.config.schema import FEATURES
from rsa_exp.errors import listing
from rsa_exp.reports.words import ALIGNMENTS, MATCHES, METRIC_WORDS
from rsa_exp.runs.recorded_run import RecordedRun
from rsa_exp.runs.recorded_sweep import RecordedSweep
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.vocabulary import CROSS_VALIDATED, GROUP, JACKKNIFE, JOINT, WHITENED

__all__ = [
    "ImageTable", "Setting", "common_folder", "config_lines", "image_tables", "messages",
    "provenance", "references", "reproduction", "setting_rows",
]  # fmt: skip

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """A setting, its values over the runs, and whether it was swept."""

    name: str
    values: Sequence[str]
    swept: bool


def setting_rows(sweep: RecordedSweep) -> list[Setting]:
    """Describe the settings of all runs, those that were swept first."""
    configs = [run.settings for run in sweep.runs if run.settings]
    found = []
    for key, (name, describe) in _SETTINGS.items():
        values = list(dict.fromkeys(filter(None, map(describe, configs))))
        if values:
            found.append(Setting(name, values, key in sweep.keys))
    for key in sweep.keys:
        if key not in _SETTINGS:
            values = list(dict.fromkeys(run.swept([key]).get(key, "") for run in sweep.runs))
            found.append(Setting(key, values, swept=True))
    return sorted(found, key=lambda setting: not setting.swept)


def _data(config: Config) -> str:
    data = config["data"]
    kind = _DATA_KINDS.get(data["kind"], "published")
    return f"{data.get('name') or PurePath(data['brain']).parent.name} ({kind}), in {data['root']}"


def _model(config: Config) -> str:
    model = config["model"]
    if model.get("kind") == FEATURES:
        return f"{model['name'] or PurePath(model['file']).stem} (features)"
    if config["data"]["kind"] == "files":
        return PurePath(config["data"]["model"]).stem
    return str(model["name"] or PurePath(model["file"]).stem)


def _has_patterns(data: Config) -> bool:
    return data["kind"] == "patterns" or bool(data.get("n_runs"))


def _made(config: Config) -> str:
    """How RDMs are made of patterns; nothing where they are read as such."""
    data, model = config["data"], config["model"]
    parts = []
    if _has_patterns(data):
        values = {key: data.get(key) for key in _OF_PATTERNS}
        settings = [
            f"{key}={value}" for key, value in values.items() if value not in ("none", None)
        ]
        if data.get("distance") in CROSS_VALIDATED:
            settings.append(f"folds={data.get('folds')}")
        parts.append(f"of responses, {' '.join(settings)}")
    if model.get("kind") == FEATURES or data.get("n_runs"):
        scaled = " zscore=true" if model.get("zscore") else ""
        parts.append(f"of features, distance={model.get('distance')}{scaled}")
    return "; ".join(parts)


def _match(config: Config) -> str:
    return f"{config.get('match', 'study')}: {MATCHES[str(config.get('match', 'study'))]}"


def _subject(config: Config) -> str:
    subjects = listing(config["data"]["subjects"])
    return {
        JOINT: f"joint: the mean RDM of subjects {subjects}",
        GROUP: f"group: the mean of the scores of subjects {subjects}",
    }.get(str(config["subject"]), f"subject {config['subject']}")


def _names(key: str) -> Callable[[Config], str]:
    def describe(config: Config) -> str:
        value = config[key]
        return listing(value) if isinstance(value, list) else str(value)

    return describe


def _metric(config: Config) -> str:
    name = str(config["metric"])
    return f"{METRICS[name].label}: {METRIC_WORDS[name]}"


def _align(config: Config) -> str:
    return f"{config['align']}: {ALIGNMENTS[str(config['align'])]}"


def _inference(config: Config) -> str:
    made = config["inference"]
    bootstrap = {"auto": "dual" if config["subject"] == GROUP else "images"}.get(
        made["bootstrap"], made["bootstrap"]
    )
    what = {"dual": "images and subjects", "none": "nothing"}.get(bootstrap, bootstrap)
    if bootstrap == "none" and not made["n_perm"]:
        return "none"
    draws = {"none": "no bootstrap", JACKKNIFE: "jackknife over images"}.get(
        bootstrap, f"{made['n_boot']:,} bootstrap draws of {what}"
    )
    return (
        f"{draws}; {made['n_perm']:,} permutations; {made['n_splits']:,} split halves; "
        f"{100 * made['ci']:g} % intervals"
    )


_DATA_KINDS = {
    "simulated": "built-in simulated study", "files": "own files", "patterns": "own patterns",
}  # fmt: skip
# Settings of patterns that are shown unless they are none.
_OF_PATTERNS = ("distance", "noise", "zscore", "min_reliability")

_SETTINGS: dict[str, tuple[str, Callable[[Config], str]]] = {
    "data": ("Data", _data),
    "model": ("Model", _model),
    "made": ("RDMs are made", _made),
    "subject": ("Subjects", _subject),
    "roi": ("Regions", _names("roi")),
    "layer": ("Layers", _names("layer")),
    "metric": ("Metric", _metric),
    "align": ("Image names", _align),
    "match": ("Images of", _match),
    "images": ("Images", _names("images")),
    "inference": ("Inference, where it is cheap for the metric", _inference),
    "seed": ("Seed", _names("seed")),
    "precision": ("Precision", _names("precision")),
}


@dataclass(frozen=True)
class ImageTable:
    """How the images of all files of some runs were matched."""

    title: str
    sentence: str
    files: Sequence[Mapping[str, Any]]


def image_tables(runs: Sequence[RecordedRun]) -> list[ImageTable]:
    """Count the common, used and lost images for each way in which runs matched them."""
    groups: dict[str, list[RecordedRun]] = {}
    for run in runs:
        groups.setdefault(json.dumps(run.alignment, sort_keys=True), []).append(run)
    tables = []
    for members in groups.values():
        report = members[0].alignment
        names = listing([run.name for run in members], 6)
        sentence = (
            f"{report['n_common']:,} images are common to all files, {report['n_used']:,} used"
        )
        if report.get("n_lost_to_extensions"):
            sentence += f"; {report['n_lost_to_extensions']:,} are lost to file extensions"
        files = [
            {
                "name": PurePath(file["file"]).name,
                **{key: f"{file[key]:,}" for key in ("n_images", "n_matched", "n_dropped")},
                "lost": ", ".join(
                    f"{kind or 'no extension'} {n:,}"
                    for kind, n in file["dropped_by_extension"].items()
                ),
            }
            for file in report["files"]
        ]
        title = f"align={report['align']}, images={PurePath(report.get('images', 'all')).name}"
        tables.append(ImageTable(f"{title}: {names}", sentence + ".", files))
    return tables


def messages(runs: Iterable[RecordedRun]) -> list[tuple[str, str]]:
    """Warnings and notices of the runs, each once, with the runs that gave it."""
    found: dict[str, list[str]] = {}
    for run in runs:
        for kind in ("warnings", "notices"):
            for message in run.provenance.get(kind, []):
                found.setdefault(message, []).append(run.name)
    return [(message, listing(names, 4)) for message, names in found.items()]


def reproduction(sweep: RecordedSweep) -> tuple[list[str], str | None]:
    """Commands that reproduce the runs, and the one that writes the report again."""
    ids = [run.run_id for run in sweep.finished if run.run_id]
    again = [f"python -m rsa_exp reproduce {shlex.quote(each)}" for each in ids]
    where = common_folder(sweep) or sweep.manifest.run_id
    return again, None if not where else f"python -m rsa_exp report {shlex.quote(str(where))}"


def common_folder(sweep: RecordedSweep) -> Path | None:
    """Folder that the folders of all runs are in; None where there is none."""
    parents = [Path(run.folder).parent for run in sweep.runs if run.folder]
    try:
        return Path(os.path.commonpath(parents))
    except ValueError:  # no runs, or drives without a common root
        return None


def provenance(runs: Sequence[RecordedRun]) -> list[tuple[str, Sequence[str]]]:
    """Return code, packages, machine and digests that the runs' numbers depend on."""
    records = [run.provenance for run in runs]
    if not records:
        return []

    def values(get: Callable[[Mapping[str, Any]], object]) -> list[str]:
        return list(dict.fromkeys(str(get(record)) for record in records))

    def commit(record: Mapping[str, Any]) -> str:
        name = record.get("git_commit") or "not in a git checkout"
        return f"{name}, with uncommitted changes" if record.get("git_dirty") else str(name)

    def packages(record: Mapping[str, Any]) -> str:
        named = record.get("packages", {}).items()
        return ", ".join(f"{name} {version}" for name, version in named if version)

    files = dict.fromkeys(
        f"{PurePath(item['name']).name} {item['digest']}"
        for record in records
        for item in record.get("inputs", [])
    )
    return [
        ("rsa_exp", values(lambda record: record.get("rsa_exp"))),
        ("Code commit", values(commit)),
        ("Python", values(lambda record: record.get("python"))),
        ("Packages", values(packages)),
        ("Platform", values(lambda record: record.get("platform"))),
        ("Seed", values(lambda record: record.get("seed"))),
        ("Input files, with the digest of what was read", list(files)),
        ("Content digest of images and inputs", _digests(runs)),
    ]


def _digests(runs: Sequence[RecordedRun]) -> list[str]:
    found: dict[str, list[str]] = {}
    for run in runs:
        found.setdefault(run.provenance["content_digest"], []).append(run.name)
    return [f"{digest}  ({listing(names, 4)})" for digest, names in found.items()]


def config_lines(config: Config, prefix: str = "") -> list[str]:
    """Return a config as the ``key=value`` lines that would set it."""
    lines = []
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            lines += config_lines(value, f"{prefix}{key}.")
        else:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            lines.append(f"{prefix}{key}={shown}")
    return lines


def references(sweep: RecordedSweep) -> list[str]:
    """Papers of the methods that were used."""
    tables = [run.scores for run in sweep.finished]

    def any_of(column: str) -> bool:
        return any(table[column].notna().any() for table in tables)

    metrics = {str(name) for table in tables for name in table["metric"].unique()}
    made = [run for run in sweep.finished if _has_patterns(run.settings["data"])]
    distances = {run.setting("data.distance") for run in made}
    noises = {run.setting("data.noise") for run in made}
    chosen = any(run.setting("data.min_reliability") is not None for run in made)
    dual = any(table["ci_method"].str.startswith("dual").any() for table in tables)
    used = {
        "Kriegeskorte, Mur & Bandettini 2008, Frontiers in Systems Neuroscience 2:4 "
        "(representational similarity analysis)": True,
        "Walther, Nili, Ejaz, Alink, Kriegeskorte & Diedrichsen 2016, NeuroImage 137:188 (noise "
        "normalisation, cross-validated distances)": bool({*WHITENED} & distances),
        "Schäfer & Strimmer 2005, Statistical Applications in Genetics and Molecular Biology 4:32 "
        "(shrinkage of the noise covariance to its diagonal)": "shrinkage_diag" in noises,
        "Ledoit & Wolf 2004, Journal of Multivariate Analysis 88:365 (shrinkage of the noise "
        "covariance)": "shrinkage_eye" in noises,
        "Tarhan & Konkle 2020, NeuroImage 207:116350 (voxels chosen by reliability)": chosen,
        "Schütt, Kipnis, Diedrichsen & Kriegeskorte 2023, eLife 12:e82566 (bootstrap"
        + (" over images and subjects at once" if dual else "")
        + (", ρ-a" if "rho-a" in metrics else "")
        + ")": any_of("se") or "rho-a" in metrics,
        "Nili, Wingfield, Walther, Su, Marslen-Wilson & Kriegeskorte 2014, PLoS Computational "
        "Biology 10:e1003553 (noise ceilings"
        + (", tau-a" if "tau-a" in metrics else "")
        + ")": any_of("ceiling_low") or "tau-a" in metrics,
        "Diedrichsen, Berlot, Mur, Schütt, Shahbazi & Kriegeskorte 2021, Neurons, Behavior, Data "
        "analysis, and Theory; arXiv 2020, 2007.02789 (whitened metrics)": bool(
            {"corr_cov", "cosine_cov"} & metrics
        ),
        "Shahbazi, Shirali, Aghajan & Nili 2021, NeuroImage 239:118271 (Riemannian distance)": (
            "neg_riem_dist" in metrics
        ),
        "Harvey, Lipshutz & Williams 2024, UniReps (Bures similarity)": bool(
            {"bures", "bures_metric"} & metrics
        ),
        "Benjamini & Hochberg 1995, Journal of the Royal Statistical Society B 57:289 (q)": (
            any_of("q")
        ),
        "Phipson & Smyth 2010, Statistical Applications in Genetics and Molecular Biology 9:39 "
        "(p values of permutation tests)": any_of("p_perm"),
    }
    return [text for text, applies in used.items() if applies] if tables else []
