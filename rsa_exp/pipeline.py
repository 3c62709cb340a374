"""One run as a straight line: load, align, score, draw.

Reads files and writes none but the simulated study: what comes out is returned.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import squareform
from tqdm import tqdm

from rsa_exp import interrupts
from rsa_exp.config import Bold5000Data, Config, FilesData, SimulatedData
from rsa_exp.data.alignment import PairGather
from rsa_exp.data.simulated import SUBJECTS, simulate_study
from rsa_exp.data.study import InputRecord, Study, choose_names
from rsa_exp.errors import InputError, listing
from rsa_exp.figures import FIGURES, FigureText, RdmPair, rdm_figure
from rsa_exp.stats.condensed import FloatArray
from rsa_exp.stats.metrics import METRICS, Metric
from rsa_exp.stats.similarity import MIN_PAIRS, ModelRDMs, Similarity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RunResult", "draw", "run"]

# Images shown in the figure of RDMs: more cannot be told apart in print.
_SHOWN_IMAGES = 200


@dataclass(frozen=True)
class RunResult:
    """What a run found.

    Attributes
    ----------
    scores : DataFrame
        One row per ROI x layer: study, subject, roi, hemisphere, region, level, model, layer,
        depth, metric, score, n_images, n_pairs.
    subject_scores : DataFrame or None
        The same per subject, for ``subject=group``.
    alignment : dict
        What ``alignment.json`` holds.
    inputs : list of InputRecord
        Files read, with content digests.
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
    alignment: dict[str, Any]
    inputs: list[InputRecord]
    notices: list[str]
    warnings: list[str]
    rdms: RdmPair | None
    text: FigureText
    seconds: dict[str, float]


class _Clock:
    """Seconds spent per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent


def run(config: Config) -> RunResult:
    """Score a model's layers against brain regions as a config says.

    Parameters
    ----------
    config : Config
        As `rsa_exp.config.from_hydra` or `from_logged` give it.

    Returns
    -------
    RunResult
        Scores and everything needed to write, draw and defend them.

    Raises
    ------
    InputError
        If the input cannot be used, or no score is defined.
    """
    clock, metric = _Clock(), METRICS[config.metric]
    with clock("simulate"):
        brain, model = _files(config)
    with clock("align"):
        study = _open(config, brain, model)
    with study:
        _check_size(metric, study.n_images)
        subjects = config.scored_subjects()
        rois = study.rois(subjects, config.roi)
        layers = choose_names(config.layer, study.layers, "layer", model.name)
        with clock("read"):
            model_rdms = study.model_rdms(layers)
        scored = _score(config, study, rois, ModelRDMs(model_rdms, metric.name), clock)
        tables = {
            name: _table(config, study, name, rois, layers, similarity)
            for name, similarity in scored.similarities.items()
        }
        scores = tables.pop(config.subject)
        warnings = [*study.warnings, *_score_warnings(scores, tables, study.n_images, metric)]
        return RunResult(
            scores=scores,
            subject_scores=pd.concat(tables.values(), ignore_index=True) if tables else None,
            alignment=study.alignment.report,
            inputs=study.inputs(),
            notices=study.notices,
            warnings=warnings,
            rdms=_best_pair(scores, scored.thumbnails, model_rdms, layers, metric, study.n_images),
            text=_figure_text(config, metric, scores),
            seconds=clock.seconds,
        )


def draw(result: RunResult, names: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Draw figures one after another.

    Parameters
    ----------
    result : RunResult
        Of `run`.
    names : sequence of str
        Figures to draw.

    Yields
    ------
    tuple of str and Figure
        Name and figure; ``rdms`` is left out when no score is defined.
    """
    table = result.scores if result.subject_scores is None else result.subject_scores
    for name in names:
        if name in FIGURES:
            yield name, FIGURES[name](table, result.text)
        elif result.rdms is not None:
            yield name, rdm_figure(result.rdms, result.text)


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


@dataclass(frozen=True)
class _Scored:
    """Scores per subject (or ``joint``), and each ROI's RDM thinned for drawing."""

    similarities: dict[str, Similarity]
    thumbnails: list[FloatArray]


def _score(
    config: Config, study: Study, rois: list[str], model: ModelRDMs, clock: _Clock
) -> _Scored:
    """Stream brain RDMs past the model's: one at a time is held, whatever the atlas."""
    subjects = config.scored_subjects()
    rows: dict[str, list[Similarity]] = {}
    thumbnails: list[FloatArray] = []
    thin = PairGather(_shown(study.n_images), study.n_images)
    per_roi: list[tuple[str, list[str]]] = (
        [("joint", subjects)] if config.subject == "joint" else [(s, [s]) for s in subjects]
    )
    with tqdm(
        total=len(rois) * len(per_roi), desc="scoring", unit="ROI", disable=None, leave=False
    ) as bar:
        for roi in rois:
            shown = []
            for name, members in per_roi:
                interrupts.checkpoint()
                with clock("read"):
                    rdm = study.mean_rdm(members, roi)
                with clock("score"):
                    rows.setdefault(name, []).append(model.compare(rdm[None]))
                shown.append(thin(rdm))
                bar.update()
            thumbnails.append(np.asarray(np.mean(shown, axis=0)))
    similarities = {
        name: Similarity(
            np.vstack([row.scores for row in roi_rows]),
            np.vstack([row.n_pairs for row in roi_rows]),
            np.vstack([row.n_images for row in roi_rows]),
        )
        for name, roi_rows in rows.items()
    }
    if config.subject == "group":
        parts = list(similarities.values())
        similarities["group"] = Similarity(
            np.asarray(np.mean([part.scores for part in parts], axis=0)),
            np.asarray(np.min([part.n_pairs for part in parts], axis=0)),
            np.asarray(np.min([part.n_images for part in parts], axis=0)),
        )
    return _Scored(similarities, thumbnails)


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
    table = pd.concat([*tables.values()]) if tables else scores
    undefined = table[table["score"].isna()]
    warnings = []
    if len(undefined):
        few = bool((undefined["n_pairs"] < MIN_PAIRS).any())
        why = "too few pairs are left" if few else metric.undefined
        cells = [f"{row.roi} x {row.layer}" for row in undefined.itertuples()]
        if len(undefined) == len(table):
            raise InputError(
                f"no {metric.name} score is defined: in all {len(table)} of them {why}; "
                "check the RDM files"
            )
        warnings.append(
            f"{len(undefined)} of {len(table)} scores are undefined and left empty, because {why}: "
            f"{listing(cells, 4)}"
        )
    all_pairs = n_images * (n_images - 1) // 2
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


def _shown(n_images: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return evenly spaced images to show."""
    count = min(n_images, _SHOWN_IMAGES)
    return np.linspace(0, n_images - 1, count).round().astype(np.intp)


def _best_pair(
    scores: pd.DataFrame,
    thumbnails: list[FloatArray],
    model_rdms: FloatArray,
    layers: list[str],
    metric: Metric,
    n_images: int,
) -> RdmPair | None:
    """Return the ROI and layer with the best score."""
    if scores["score"].isna().all():
        return None
    at = scores["score"].idxmax() if metric.greater_is_better else scores["score"].idxmin()
    best = scores.loc[at]
    rois = list(dict.fromkeys(scores["roi"]))
    thin = PairGather(_shown(n_images), n_images)
    return RdmPair(
        brain=squareform(thumbnails[rois.index(best["roi"])], checks=False),
        model=squareform(thin(model_rdms[layers.index(best["layer"])]), checks=False),
        brain_name=best["roi"],
        model_name=best["layer"],
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
