"""`rsa_exp.similarity`: what goes in, what is refused, and matching by name."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs, compare
from scipy.spatial.distance import squareform
from studies import random_rdms

import rsa_exp
from rsa_exp.errors import InputError

BRAIN, MODEL = random_rdms(2, 12, seed=1), random_rdms(3, 12, seed=2)
NAMES = [f"image{i:02d}.jpg" for i in range(12)]


def squares(rdms: np.ndarray) -> np.ndarray:
    return np.stack([squareform(rdm) for rdm in rdms])


def named(rdms: np.ndarray, names: list[str]) -> RDMs:
    return RDMs(rdms.copy(), pattern_descriptors={"image": names})


@pytest.mark.parametrize("metric", ["corr", "spearman", "tau-b", "cosine_cov", "bures_metric"])
def test_all_forms_equal_rsatoolbox(metric: str) -> None:
    expected = compare(RDMs(BRAIN), RDMs(MODEL), metric)
    close = 1e-4 if metric == "bures_metric" else 1e-9  # rsatoolbox's two formulas differ
    for brain in (BRAIN, BRAIN.tolist(), squares(BRAIN), RDMs(BRAIN.copy())):
        before = np.array(brain) if isinstance(brain, np.ndarray) else None
        found = rsa_exp.similarity(brain, squares(MODEL), metric)
        np.testing.assert_allclose(found.scores, expected, rtol=close, atol=close)
        assert before is None or (before == brain).all()
    one = rsa_exp.similarity(BRAIN[0], squareform(MODEL[0]), metric)
    np.testing.assert_allclose(one.scores, expected[:1, :1], rtol=close, atol=close)
    assert (one.n_pairs.item(), one.n_images.item()) == (66, 12)


def test_rounding_does_not_make_a_square_asymmetric() -> None:
    patterns = np.random.default_rng(0).random((3, 12, 20))
    rdms = 1 - np.stack([np.corrcoef(each) for each in patterns])
    rows, columns = np.triu_indices(12, 1)
    found = rsa_exp.similarity(rdms[0], rdms.astype(np.float32))
    expected = rsa_exp.similarity(rdms[:1, rows, columns], rdms[:, rows, columns])
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)


def test_rsatoolbox_objects_are_matched_by_name() -> None:
    order = np.random.default_rng(0).permutation(12)
    shuffled = np.stack([squareform(squareform(rdm)[np.ix_(order, order)]) for rdm in MODEL])
    expected = rsa_exp.similarity(BRAIN, MODEL).scores
    for extension in (".jpg", ".JPEG"):
        names = [NAMES[i].replace(".jpg", extension) for i in order]
        found = rsa_exp.similarity(named(BRAIN, NAMES), named(shuffled, names))
        np.testing.assert_array_equal(found.scores, expected)
    assert abs(rsa_exp.similarity(BRAIN, shuffled).scores - expected).max() > 0.01


@pytest.mark.parametrize(
    ("brain", "model", "message"),
    [
        (named(BRAIN, NAMES), RDMs(MODEL), "model_rdms have no pattern descriptor 'image'"),
        (named(BRAIN, NAMES), named(MODEL, [*NAMES[1:], "x"]), "2 are in one of them alone"),
        (
            named(BRAIN, NAMES),
            named(MODEL, ["image01.jpg", *NAMES[1:]]),
            "model_rdms: 'image01' names 2 images",
        ),
        (
            named(BRAIN, ["a.jpg", "a.png", *NAMES[2:]]),
            named(MODEL, [*NAMES[2:], "a.jpg", "b.png"]),
            "brain_rdms: 'a' names 2 images",
        ),
        (BRAIN, random_rdms(1, 10), "brain_rdms are of 12 images, model_rdms of 10"),
        (BRAIN[:, :-1], MODEL, "65 is not a number of pairs"),
        (squares(BRAIN) + np.triu(np.ones((12, 12)), 1), MODEL, "is not symmetric"),
        (1 - squares(BRAIN), MODEL, "has a diagonal that is not 0"),
        (squares(BRAIN)[:, :5], MODEL, r"\(2, 5, 12\)"),
        (np.full((1, 66), np.inf), MODEL, "infinite"),
        (["a", "b"], MODEL, "no array of real numbers"),
        ([[1, 2], [3]], MODEL, "no array of real numbers"),
        ([], MODEL, "no array of real numbers|has shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(brain: object, model: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rsa_exp.similarity(brain, model)


def test_unknown_metrics_and_precisions_are_refused() -> None:
    with pytest.raises(InputError, match=r"metric=spearmann is not one of .*mean 'spearman'"):
        rsa_exp.similarity(BRAIN, MODEL, "spearmann")
    with pytest.raises(InputError, match="precision=float16"):
        rsa_exp.similarity(BRAIN, MODEL, precision="float16")
    with pytest.raises(InputError, match="spearman is computed in float64"):
        rsa_exp.similarity(BRAIN, MODEL, "spearman", "float32")
