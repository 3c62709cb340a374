"""Score tables of every size and kind that figures have to cope with."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from rsa_exp.figures import FIGURES, FigureText, Tables

OF_SCORES = ("heatmap", "bars", "profiles", "scatter", "radar", "surface")

BOLD5000_LAYERS = ("conv1", "layer1", "layer2", "layer3", "layer4")
BOLD5000_ROIS = tuple(
    f"{h}{r}" for h in ("LH", "RH") for r in ("EarlyVis", "LOC", "OPA", "PPA", "RSC")
)
LEVELS = {"EarlyVis": "early", "LOC": "mid", "OPA": "high", "PPA": "high", "RSC": "high"}

# published Pearson r of three subjects, subject x ROI x layer, in thousandths
PUBLISHED = np.array([
    [[19, 34, 42, 53, 37], [12, 16, 19, 37, 29], [11, 18, 22, 44, 32], [15, 14, 16, 30, 21],
     [4, 7, 8, 14, 10], [23, 39, 46, 57, 43], [19, 25, 30, 58, 44], [18, 15, 18, 37, 27],
     [28, 29, 33, 58, 41], [7, 11, 14, 26, 19]],
    [[6, 9, 11, 16, 13], [12, 12, 14, 25, 19], [4, 8, 8, 14, 9], [13, 16, 20, 37, 24],
     [3, 5, 5, 8, 4], [14, 22, 26, 28, 22], [14, 15, 18, 35, 27], [15, 24, 30, 57, 44],
     [13, 17, 20, 35, 23], [14, 23, 26, 48, 36]],
    [[17, 34, 43, 61, 47], [12, 17, 21, 42, 31], [9, 10, 12, 22, 17], [8, 12, 15, 27, 18],
     [6, 6, 6, 10, 6], [19, 29, 34, 42, 31], [15, 24, 28, 56, 44], [9, 9, 11, 19, 14],
     [10, 14, 16, 27, 18], [8, 7, 8, 14, 10]],
]) / 1000  # fmt: skip

PEARSON = FigureText(
    "Subject 1 vs ResNet-50, simulated BOLD5000",
    "simulated data; 1000 images, 499500 pairs; align=stem",
    "Pearson r",
)
RIEMANN = FigureText("Subject 1", "", "Negative Riemannian distance", signed=False)
BURES = FigureText("Subject 1", "", "Bures distance", greater_is_better=False, signed=False)


def score_table(
    scores: np.ndarray,
    rois: Sequence[str],
    layers: Sequence[str],
    subjects: Sequence[str] = ("1",),
    *,
    annotated: bool = False,
    metric: str = "pearson",
) -> pd.DataFrame:
    """Tidy table of scores of shape (n_subject, n_roi, n_layer)."""
    rows = []
    for (s, r, k), score in np.ndenumerate(scores):
        region = rois[r][2:] if annotated else ""
        rows.append(
            {
                "subject": subjects[s],
                "roi": rois[r],
                "hemisphere": rois[r][:2] if annotated else np.nan,
                "region": region or np.nan,
                "level": LEVELS.get(region, ""),
                "model": "resnet50",
                "layer": layers[k],
                "depth": k + 1,
                "metric": metric,
                "score": score,
                "n_images": 1000,
                "n_pairs": 499500,
            }
        )
    return pd.DataFrame(rows)


def bold5000(scores: np.ndarray = PUBLISHED[:1], subjects: Sequence[str] = ("1",)) -> pd.DataFrame:
    return score_table(scores, BOLD5000_ROIS, BOLD5000_LAYERS, subjects, annotated=True)


def _three_subjects() -> tuple[pd.DataFrame, FigureText]:
    return bold5000(PUBLISHED, ("1", "2", "3")), PEARSON


def _twelve_subjects() -> tuple[pd.DataFrame, FigureText]:
    noise = np.random.default_rng(3).normal(0, 0.01, (12, 10, 5))
    return bold5000(PUBLISHED[:1] + noise, [f"S{i:02d}" for i in range(12)]), PEARSON


def _many() -> tuple[pd.DataFrame, FigureText]:
    areas = "V1v V1d V2v V2d V3v V3d hV4 EBA FBA-1 FFA-1 OFA OPA PPA OWFA VWFA-1 pOTS_characters"
    rois = [f"{h}_{a}" for h in ("lh", "rh") for a in areas.split()]
    rois.append("a_very_long_name_of_a_region_in_an_atlas")
    layers = ["conv1", *(f"layer{s}.{b}" for s in (1, 2, 3, 4) for b in range(4)), "avgpool", "fc"]
    peak = np.random.default_rng(0).uniform(0.02, 0.3, (33, 1))
    where = (np.arange(19) - 9 - np.arange(33)[:, None] % 8) / 7
    return score_table((peak * np.exp(-(where**2)))[None], rois, layers), PEARSON


def _categories() -> tuple[pd.DataFrame, FigureText]:
    layers = "FaceBodyManmadeNatobj animacy monkeyIT silhouette GIST V1model HMAX convnet_fc7"
    scores = np.array([[[0.6, 0.45, 0.52, 0.3, 0.15, 0.1, 0.22, 0.37]]])
    return score_table(scores, ["IT"], layers.split()), PEARSON


def _some_undefined() -> tuple[pd.DataFrame, FigureText]:
    table = bold5000()
    table.loc[[3, 7, 8, 21], "score"] = np.nan
    table.loc[table["roi"] == "RHRSC", "score"] = np.nan
    return table, PEARSON


def _some_undefined_of_three() -> tuple[pd.DataFrame, FigureText]:
    table = bold5000(PUBLISHED, ("1", "2", "3"))
    table.loc[[3, 7, 8, 21, 53, 103], "score"] = np.nan
    table.loc[table["roi"] == "RHRSC", "score"] = np.nan
    return table, PEARSON


def _specials() -> tuple[pd.DataFrame, FigureText]:
    rois = ["$a_b$", "_hidden", "50%<&>", "\\alpha $x", "rh\ntab\t\x00", "x" * 60]
    layers = ["$l$", "_l2", "a very long layer name of forty letters"]
    scores = np.random.default_rng(0).uniform(-0.1, 0.3, (2, 6, 3))
    text = FigureText(
        "A title with $ and _ and % < & that is far too long to stand on one line of a figure "
        "and so has to be wrapped",
        f"a note $x$ of /a/path/{'p' * 150}",
        "Pearson $r$ of 50% <RDM>",
    )
    return score_table(scores, rois, layers, ("s$1", "_2")), text


CASES: dict[str, Callable[[], tuple[pd.DataFrame, FigureText]]] = {
    "bold5000": lambda: (bold5000(), PEARSON),
    "one": lambda: (score_table(np.array([[[0.053]]]), ["V1"], ["conv1"]), PEARSON),
    "two_sides": lambda: (
        score_table(np.array([[[0.1], [0.0]]]), ["LHV1", "RHV1"], ["conv1"], annotated=True),
        PEARSON,
    ),
    "many": _many,
    "categories": _categories,
    "three_subjects": _three_subjects,
    "twelve_subjects": _twelve_subjects,
    "some_undefined": _some_undefined,
    "some_undefined_of_three": _some_undefined_of_three,
    "all_undefined": lambda: (bold5000(np.full((1, 10, 5), np.nan)), PEARSON),
    "mixed_signs": lambda: (bold5000(PUBLISHED[:1] - 0.025, ["joint"]), PEARSON),
    "all_negative": lambda: (bold5000(-PUBLISHED[:1]), PEARSON),
    "riemann": lambda: (bold5000(-42 + 60 * PUBLISHED[:1]), RIEMANN),
    "bures": lambda: (bold5000(1.2 - 4 * PUBLISHED[:1]), BURES),
    "tiny": lambda: (bold5000(PUBLISHED[:1] * 1e-6), PEARSON),
    "constant": lambda: (bold5000(np.zeros((1, 10, 5))), PEARSON),
    "specials": _specials,
}


@pytest.fixture(params=list(CASES))
def case(request):
    """Table and text of every case."""
    return CASES[request.param]()


@pytest.fixture(params=OF_SCORES)
def plot(request):
    """Every figure of a score table."""
    return lambda table, text, **onto: FIGURES[request.param](Tables(table, text), **onto)


@pytest.fixture
def published():
    """Scores of three subjects, array of shape (3, 10, 5)."""
    return PUBLISHED.copy()


@pytest.fixture
def make_case():
    """Table and text of a case by its name."""
    return lambda name: CASES[name]()


@pytest.fixture
def make_bold5000():
    """Table of scores of BOLD5000's ROIs, shape (n_subject, 10, 5)."""
    return bold5000
