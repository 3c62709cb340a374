"""One run as a straight line: load, align, score, infer, draw.

Reads files and writes none but the simulated study: what comes out is returned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from scipy.spatial.distance import squareform

from rsa_exp import figures
from rsa_exp.analysis.inference import Findings, infer
from rsa_exp.analysis.scoring import Scored, mean_similarity, score_study
from rsa_exp.analysis.stopwatch import Stopwatch
from rsa_exp.config.schema import Bold5000Data, Config, FilesData, SimulatedData
from rsa_exp.datasets.simulated import SUBJECTS, simulate_study
from rsa_exp.errors import InputError, listing
from rsa_exp.figures import FigureText, RdmPair
from rsa_exp.rdms.inputs import FileState, InputRecord
from rsa_exp.rdms.study import Study, choose_names
from rsa_exp.stats.condensed import count_pairs
from rsa_exp.stats.metrics.registry import METRICS, Metric
from rsa_exp.stats.metrics.similarity import Similarity
from rsa_exp.vocabulary import MIN_PAIRS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RunResult", "draw", "input_files", "open_study", "run"]


@dataclass(frozen=True)
class RunResult:
    """What a run found.

    Attributes
    ----------
    scores : DataFrame
        One row per ROI x layer: study, subject, roi, hemisphere, region, level, model, layer,
        depth, metric, score, n_images, n_pairs, and `rsa_exp.vocabulary.INFERENCE_COLUMNS`.
    subject_scores : DataFrame or None
        The same per subject, for ``subject=group``.
    inference : Findings
        Comparisons, ceilings, best layers, the null distribution and the draws.
    alignment : dict
        What ``alignment.json`` holds.
    images : list of str
        Names of the images used, in the order of all RDMs.
    inputs : list of InputRecord
        Files read, with content digests.
    files : list of FileState
        Files opened, as they were.
    notices : list of str
        What was done that the user may not expect.
    warnings : list of str
        What was lost or left empty.
    rdms : RdmPair or None
        The best-scoring pair of RDMs, thinned for drawing.
    text : FigureText
        Title, note and axis label of the figures.
    seconds : dict of str to float
        Time spent per stage.
    """

    scores: pd.DataFrame
    subject_scores: pd.DataFrame | None
    inference: Findings
    alignment: dict[str, Any]
    images: list[str]
    inputs: list[InputRecord]
    files: list[FileState]
    notices: list[str]
    warnings: list[str]
    rdms: RdmPair | None
    text: FigureText
    seconds: dict[str, float]


def run(config: Config) -> RunResult:
    """Score a model's layers against brain regions as a config says.

    Parameters
    ----------
    config : Config
        As `rsa_exp.config.compose.from_hydra` or `from_logged` give it.

    Returns
    -------
    RunResult
        Scores and everything needed to write, draw and defend them.

    Raises
    ------
    InputError
        If the input cannot be used, or no score is defined.
    """
    watch, metric = Stopwatch(), METRICS[config.metric]
    with watch("simulate"):
        brain, model = _files(config)
    with watch("align"):
        study = _open(config, brain, model)
    with study:
        _check_size(metric, study.n_images)
        subjects = config.scored_subjects()
        rois = study.rois(subjects, config.roi)
        layers = choose_names(config.layer, study.layers, "layer", model.name)
        with watch.shared(("read", "score")):
            scored = score_study(
                study, _groups(config), rois, layers, metric.name, config.precision, watch
            )
        similarities = scored.similarities
        if config.subject == "group":
            similarities = {**similarities, "group": mean_similarity([*similarities.values()])}
        tables = {
            name: _table(config, study, name, rois, layers, similarity)
            for name, similarity in similarities.items()
        }
        scores = tables.pop(config.subject)
        warnings = [*study.warnings, *_score_warnings(scores, tables, study.n_images, metric)]
        members = _groups(config)
        found = infer(study, config, members, scored.similarities, scores, tables, watch)
        return RunResult(
            scores=found.scores,
            subject_scores=found.subject_scores,
            inference=found,
            alignment=study.alignment.report | {"images": config.images},
            images=study.images,
            inputs=study.inputs(),
            files=[*study.states, *(FileState.of(path) for path in _listed(config))],
            notices=[*study.notices, *found.notices],
            warnings=[*warnings, *found.warnings],
            rdms=_best_pair(scores, scored, metric, study.n_images),
            text=_figure_text(config, metric, scores),
            seconds=watch.seconds,
        )


def draw(result: RunResult, names: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Make figures one after another.

    Parameters
    ----------
    result : RunResult
        Of `run`.
    names : sequence of str
        Figures to make.

    Yields
    ------
    tuple of str and Figure
        Name and figure; those that the run has no numbers for are left out.
    """
    found = result.inference
    tables = figures.Tables(
        result.scores,
        result.text,
        result.subject_scores,
        found.comparisons,
        found.best_layers,
        found.null,
        found.n_permuted,
        result.images,
        found.level,
        result.rdms,
    )
    return figures.draw(tables, names)


def input_files(config: Config) -> list[Path]:
    """Return every file that a config reads; the simulated study is made if need be."""
    brain, model = _files(config)
    return [*brain.values(), model, *_listed(config)]


def open_study(config: Config) -> Study:
    """Open a config's files and align their images.

    Raises
    ------
    InputError
        As `run`.
    """
    return _open(config, *_files(config))


def _listed(config: Config) -> list[Path]:
    """Return the file that names the images, if there is one."""
    return [Path(config.images)] if Path(config.images).is_absolute() else []


def _files(config: Config) -> tuple[dict[str, Path], Path]:
    """Brain file of every subject, and the model file; the simulated study is made if need be."""
    data, root = config.data, Path(config.data.root)
    if isinstance(data, SimulatedData):
        if config.model.name != "ResNet-50":
            raise InputError(
                f"the simulated study has model=resnet50 only, not {config.model.name}"
            )
        strangers = [subject for subject in data.subjects if subject not in SUBJECTS]
        if strangers:
            raise InputError(
                f"the simulated study has subjects {listing(SUBJECTS)}, not {listing(strangers)}"
            )
        root = simulate_study(root, data.n_images, data.seed)
    pattern = data.brain
    if isinstance(data, Bold5000Data):
        pattern = pattern.replace("{atlas}", data.atlas)
    brain = {subject: root / pattern.replace("{subject}", subject) for subject in data.subjects}
    model = Path(data.model) if isinstance(data, FilesData) else root / config.model.file
    return brain, model


def _open(config: Config, brain: dict[str, Path], model: Path) -> Study:
    data = config.data
    return Study(
        brain,
        model,
        how=config.align,
        images=config.images,
        sources=data.sources,
        image_key=data.image_key,
        roi_key=data.roi_key,
        layer_key=data.layer_key,
        layers=data.layers if isinstance(data, FilesData) else config.model.layers,
        hint=data.hint,
    )


def _groups(config: Config) -> dict[str, list[str]]:
    """Return what is scored: each subject, or the mean RDM of all as ``joint``."""
    subjects = config.scored_subjects()
    return {"joint": subjects} if config.subject == "joint" else {s: [s] for s in subjects}


def _table(
    config: Config,
    study: Study,
    subject: str,
    rois: list[str],
    layers: list[str],
    similarity: Similarity,
) -> pd.DataFrame:
    facts = config.data.rois
    depth = {layer: i + 1 for i, layer in enumerate(study.layers)}
    return pd.DataFrame(
        [
            {
                "study": config.study_name,
                "subject": subject,
                "roi": roi,
                "hemisphere": facts.get(roi, {}).get("hemisphere", ""),
                "region": facts.get(roi, {}).get("region", ""),
                "level": facts.get(roi, {}).get("level", ""),
                "model": config.model_name,
                "layer": layer,
                "depth": depth[layer],
                "metric": config.metric,
                "score": similarity.scores[i, j],
                "n_images": int(similarity.n_images[i, j]),
                "n_pairs": int(similarity.n_pairs[i, j]),
            }
            for i, roi in enumerate(rois)
            for j, layer in enumerate(layers)
        ]
    )


def _check_size(metric: Metric, n_images: int) -> None:
    if metric.max_images is not None and n_images > metric.max_images:
        raise InputError(
            f"metric={metric.name} can be computed for at most {metric.max_images} images, not "
            f"{n_images}; choose fewer with images=FILE (one name a line)"
        )


def _score_warnings(
    scores: pd.DataFrame, tables: dict[str, pd.DataFrame], n_images: int, metric: Metric
) -> list[str]:
    """Say which scores are undefined or rest on fewer pairs; none defined is an error."""
    table = pd.concat([*tables.values()], ignore_index=True) if tables else scores
    undefined = table[table["score"].isna()]
    reasons = {
        "too few pairs are left": undefined[undefined["n_pairs"] < MIN_PAIRS],
        metric.undefined: undefined[undefined["n_pairs"] >= MIN_PAIRS],
    }
    warnings = []
    for why, rows in reasons.items():
        if len(rows) == len(table):
            raise InputError(
                f"no {metric.name} score is defined: in all {len(table)} of them {why}; "
                "check the RDM files"
            )
        cells = [
            f"{row.roi} x {row.layer}" + (f" of subject {row.subject}" if tables else "")
            for row in rows.itertuples()
        ]
        if cells:
            warnings.append(
                f"{len(cells)} of {len(table)} scores are undefined and left empty, because "
                f"{why}: {listing(cells, 4)}"
            )
    if len(undefined) == len(table):
        raise InputError(f"no {metric.name} score is defined: {'; '.join(warnings)}")
    all_pairs = count_pairs(n_images)
    partial = table[table["n_pairs"] < all_pairs]
    if len(partial):
        fewest = partial.loc[partial["n_pairs"].idxmin()]
        rois = partial["roi"].drop_duplicates()
        warnings.append(
            f"missing (NaN) dissimilarities were left out in {listing(rois, 4)}: "
            f"{fewest['n_pairs']} of {all_pairs} pairs remain in {fewest['roi']} x "
            f"{fewest['layer']}, the fewest"
        )
    return warnings


def _best_pair(
    scores: pd.DataFrame, scored: Scored, metric: Metric, n_images: int
) -> RdmPair | None:
    """Return the ROI and layer with the best score."""
    at = metric.best(scores["score"])
    if at is None:
        return None
    roi, layer = scores["roi"].iloc[at], scores["layer"].iloc[at]
    return RdmPair(
        brain=squareform(scored.rois[roi], checks=False),
        model=squareform(scored.layers[layer], checks=False),
        brain_name=roi,
        model_name=layer,
        n_total=n_images,
    )


def _figure_text(config: Config, metric: Metric, scores: pd.DataFrame) -> FigureText:
    who = {
        "joint": f"mean RDM of subjects {', '.join(config.data.subjects)}",
        "group": f"subjects {', '.join(config.data.subjects)}",
    }.get(config.subject, f"subject {config.subject}")
    n_images, n_pairs = scores["n_images"].max(), scores["n_pairs"].max()
    parts = [
        "simulated data" if config.simulated else config.study_name,
        f"{n_images:,} images, {n_pairs:,} pairs",
        f"align={config.align}",
    ]
    if config.images != "all":
        parts.append(f"images={Path(config.images).name}")
    return FigureText(
        title=f"{config.model_name} vs {config.study_name}, {who}",
        note="; ".join(parts),
        score_label=metric.label,
        greater_is_better=metric.greater_is_better,
        signed=metric.zero_is_null,
    )
