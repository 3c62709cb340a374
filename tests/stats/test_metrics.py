"""Every metric against rsatoolbox, on RDMs with ties, negatives, missing pairs and constants."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.rdm import compare
from scipy.spatial.distance import pdist, squareform

from rsa_exp.stats import parallel
from rsa_exp.stats.metrics import inner_products as linear
from rsa_exp.stats.metrics.registry import METRICS
from rsa_exp.stats.metrics.similarity import similarity
from rsa_exp.vocabulary import METRIC_NAMES as NAMES

# rsatoolbox computes these two by formulas that lose digits (design: 1e-6 and 1e-4 relative).
RELATIVE = {"bures": 1e-6, "bures_metric": 1e-4, "neg_riem_dist": 1e-6}
VECTOR = [name for name, metric in METRICS.items() if metric.missing == "pairs"]


def rdms(kind: str, n_rdm: int, n_cond: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "euclidean":  # positive definite, as the Riemannian distance needs
        return np.stack(
            [pdist(rng.standard_normal((n_cond, 2 * n_cond))) ** 2 for _ in range(n_rdm)]
        )
    values = rng.standard_normal((n_rdm, n_cond * (n_cond - 1) // 2))
    return {"negative": values, "positive": values + 3, "tied": np.round(values + 3)}[kind]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("kind", ["positive", "tied", "negative", "euclidean"])
@pytest.mark.parametrize("n_cond", [7, 24])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # rsatoolbox takes roots of negative traces
def test_equals_rsatoolbox(name: str, kind: str, n_cond: int) -> None:
    if name == "neg_riem_dist" and kind != "euclidean":
        pytest.skip("defined for positive definite RDMs only")
    brain, model = rdms(kind, 3, n_cond, 0), rdms(kind, 4, n_cond, 1)
    expected = compare(brain, model, name)
    found = similarity(brain, model, name)
    defined = np.isfinite(found.scores)
    assert defined.all() or kind == "negative"  # a negative trace has no Bures similarity
    np.testing.assert_allclose(
        found.scores[defined], expected[defined], rtol=RELATIVE.get(name, 1e-9), atol=1e-9
    )
    assert (found.n_pairs == brain.shape[1]).all()


@pytest.mark.parametrize("name", VECTOR)
def test_missing_pairs_are_left_out_as_rsatoolbox_does(name: str) -> None:
    brain, model = rdms("tied", 2, 14, 2), rdms("positive", 3, 14, 3)
    missing = np.random.default_rng(4).random(brain.shape[1]) < 0.15
    brain_missing, model_missing = brain.copy(), model.copy()
    brain_missing[:, missing] = model_missing[:, missing] = np.nan
    expected = compare(brain_missing, model_missing, name)
    for b, m in ((brain_missing, model), (brain, model_missing), (brain_missing, model_missing)):
        found = similarity(b, m, name)
        np.testing.assert_allclose(found.scores, expected, atol=1e-9)
        assert (found.n_pairs == (~missing).sum()).all()


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7])
@pytest.mark.parametrize("name", ["corr_cov", "cosine_cov", "spearman", "tau-b"])
def test_any_share_of_missing_pairs(name: str, share: float) -> None:
    brain, model = rdms("tied", 1, 40, 22), rdms("positive", 2, 40, 23)
    missing = np.random.default_rng(24).random(brain.shape[1]) < share
    missing[:39] |= share > 0.5  # the first image is left without a pair
    brain[:, missing] = np.nan
    expected = compare(brain[:, ~missing], model[:, ~missing], name) if "cov" not in name else None
    if expected is None:
        shared = model.copy()
        shared[:, missing] = np.nan
        expected = compare(brain, shared, name)
    found = similarity(brain, model, name)
    np.testing.assert_allclose(found.scores, expected, atol=1e-9)
    assert found.n_images[0, 0] == (39 if share > 0.5 else 40)


def test_gaps_of_one_roi_or_layer_leave_the_others_alone() -> None:
    brain, model = rdms("positive", 2, 10, 5), rdms("positive", 2, 10, 6)
    whole = similarity(brain, model, "spearman").scores
    brain[0, 3] = model[1, 7] = np.nan
    found = similarity(brain, model, "spearman")
    assert found.n_pairs.tolist() == [[44, 43], [45, 44]]
    assert found.scores[1, 0] == whole[1, 0]
    keep = np.setdiff1d(np.arange(45), [3, 7])
    expected = compare(brain[:1, keep], model[1:, keep], "spearman")[0, 0]
    assert found.scores[0, 1] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["bures", "bures_metric"])
def test_matrix_metrics_leave_images_out(name: str) -> None:
    brain, model = rdms("euclidean", 1, 9, 7), rdms("euclidean", 2, 9, 8)
    keep = np.delete(np.arange(9), 4)
    expected = [
        np.stack([squareform(squareform(r)[np.ix_(keep, keep)]) for r in x]) for x in (brain, model)
    ]
    square = squareform(brain[0])
    square[4, :] = square[:, 4] = np.nan
    square[4, 4] = 0
    found = similarity(squareform(square, checks=False)[None], model, name)
    assert (found.n_images == 8).all()
    np.testing.assert_allclose(found.scores, similarity(*expected, name).scores, rtol=1e-12)


@pytest.mark.parametrize("name", VECTOR)
def test_constant_rdms_are_undefined_not_zero(name: str) -> None:
    brain = rdms("positive", 2, 8, 9)
    brain[1] = 0.3 if METRICS[name].undefined.endswith("constant") else 0.0
    found = similarity(brain, rdms("positive", 3, 8, 10), name).scores
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_all_missing_and_too_few_pairs_are_undefined() -> None:
    brain = rdms("positive", 2, 6, 11)
    brain[0] = np.nan
    brain[1, 2:] = np.nan
    found = similarity(brain, rdms("positive", 1, 6, 12), "corr")
    assert np.isnan(found.scores).all()
    assert found.n_pairs.tolist() == [[0], [2]]


@pytest.mark.parametrize("name", METRICS)
def test_a_common_permutation_changes_nothing_and_input_is_left_alone(name: str) -> None:
    brain, model = rdms("euclidean", 2, 8, 13), rdms("euclidean", 2, 8, 14)
    order = np.random.default_rng(15).permutation(8)
    shuffled = [
        np.stack([squareform(squareform(r)[np.ix_(order, order)]) for r in x])
        for x in (brain, model)
    ]
    before = brain.copy(), model.copy()
    scores = similarity(brain, model, name).scores
    np.testing.assert_allclose(similarity(*shuffled, name).scores, scores, rtol=1e-5)
    np.testing.assert_array_equal((brain, model), before)


@pytest.mark.parametrize("name", METRICS)
def test_an_rdm_is_nearest_to_itself(name: str) -> None:
    model = rdms("euclidean", 4, 8, 16)
    scores = similarity(model, model, name).scores
    assert [METRICS[name].best([np.nan, *row]) for row in scores] == [1, 2, 3, 4]
    assert METRICS[name].best([np.nan, np.nan]) is None


@pytest.mark.parametrize("name", ["corr", "corr_cov", "spearman"])
def test_same_bits_for_any_number_of_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    n_cond = 700  # more than one block of pairs
    brain, model = rdms("positive", 3, n_cond, 17), rdms("positive", 2, n_cond, 18)
    assert brain.shape[1] > linear.BLOCK
    scores = []
    for workers in (1, 2, 5):
        monkeypatch.setattr(parallel, "n_workers", lambda n=workers: n)
        scores.append(similarity(brain, model, name).scores)
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])
    np.testing.assert_allclose(scores[0], compare(brain, model, name), atol=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_a_score_depends_on_its_two_rdms_alone(name: str) -> None:
    brain, model = rdms("euclidean", 3, 30, 19), rdms("euclidean", 4, 30, 20)
    whole = similarity(brain, model, name).scores
    for i, j in ((0, 0), (2, 3)):
        assert similarity(brain[i : i + 1], model[j : j + 1], name).scores[0, 0] == whole[i, j]


@pytest.mark.parametrize("name", [n for n, m in METRICS.items() if m.single_precision])
def test_single_precision_is_off_by_less_than_1e_6(name: str) -> None:
    rng = np.random.default_rng(21)
    patterns = rng.standard_normal((500, 40))
    model = np.stack([1 - squareform(np.corrcoef(patterns), checks=False)] * 2)
    brain = model + 3 * rng.standard_normal(model.shape)
    scores = similarity(brain, model, name).scores
    single = similarity(brain, model, name, "float32").scores
    np.testing.assert_allclose(single, scores, atol=1e-6)
    assert (single != scores).any()


def test_registry_is_what_the_config_offers() -> None:
    assert tuple(METRICS) == NAMES
    assert all(name == metric.name for name, metric in METRICS.items())


def test_sizes_must_fit() -> None:
    with pytest.raises(ValueError, match="10 pairs"):
        similarity(np.ones((1, 10)), np.ones((1, 15)), "corr")
    with pytest.raises(ValueError, match="11 is not a number of pairs"):
        similarity(np.ones((1, 11)), np.ones((1, 11)), "corr")
    with pytest.raises(ValueError, match="float64 only"):
        similarity(np.ones((1, 10)), np.ones((1, 10)), "spearman", "float32")
    with pytest.raises(ValueError, match="at most 200 images"):
        similarity(np.ones((1, 20301)), np.ones((1, 20301)), "neg_riem_dist")


def test_what_is_best_is_one_rule() -> None:
    nan = np.nan
    assert METRICS["corr"].best([nan, 0.1, 0.3, 0.3 + 1e-13]) == 2  # the first of equals
    assert METRICS["bures_metric"].best([nan, 0.3, 0.1, 0.1 - 1e-13]) == 2
    assert METRICS["corr"].best([nan, nan]) is None
    assert METRICS["corr"].best([]) is None
    marked = METRICS["corr"].is_best([[0.1, 0.3], [0.3, nan], [nan, nan]])
    assert marked.tolist() == [[False, True], [True, False], [False, False]]
    assert METRICS["corr"].is_best([[0.1, 0.3], [0.3, nan]], axis=0).tolist() == [
        [False, True],
        [True, False],
    ]
