"""Brain RDM beside model RDM: ranks, order, and what the note says."""

import numpy as np
import pytest
from scipy.stats import rankdata

from rsa_exp.figures import FigureText, RdmPair, Tables, rdms, save
from rsa_exp.figures.of_result.rdms import cluster_order, percentiles

TEXT = FigureText("Subject 1", "simulated data", "Pearson r")


def _rdm(n, seed=0):
    return 1 - np.corrcoef(np.random.default_rng(seed).normal(size=(n, 20)))


def _symmetric(rdm):
    rdm = (rdm + rdm.T) / 2
    np.fill_diagonal(rdm, 0)
    return rdm


def _pair(n=40, n_total=100, **changes):
    parts = {"brain": _symmetric(_rdm(n, 1)), "model": _symmetric(_rdm(n, 2))}
    parts |= {"brain_name": "RHLOC", "model_name": "layer3", "n_total": n_total}
    return RdmPair(**(parts | changes))


def _plot(pair):
    return rdms(Tables(None, TEXT, rdms=pair))


def _note(figure):
    return next(t.get_text() for t in figure.texts if t.get_gid() == "note").replace("\n", " ")


def test_percentiles_are_midranks():
    rdm = _symmetric(np.round(_rdm(12), 1))  # rounded: there are ties
    shown = percentiles(rdm)
    upper = np.triu_indices(12, 1)
    np.testing.assert_allclose(shown[upper], 100 * (rankdata(rdm[upper]) - 0.5) / 66)
    np.testing.assert_array_equal(shown, shown.T)
    assert not np.diag(shown).any()


def test_undefined_pairs_have_no_rank():
    rdm = _symmetric(_rdm(8))
    rdm[2, 5] = rdm[5, 2] = np.nan
    shown = percentiles(rdm)
    assert np.isnan(shown[[2, 5], [5, 2]]).all()
    assert np.isnan(shown).sum() == 2
    assert np.nanmax(shown) == pytest.approx(100 * 26.5 / 27)


def test_images_are_ordered_by_clusters_of_the_model():
    groups = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], 5))
    rdm = (groups[:, None] != groups).astype(float)
    ordered = groups[cluster_order(rdm)]
    assert (np.diff(ordered) != 0).sum() == 2


def test_both_rdms_are_shown_in_the_same_order():
    pair = _pair()
    figure = _plot(pair)
    order = cluster_order(pair.model)
    for ax, rdm in zip(figure.axes, (pair.brain, pair.model), strict=False):
        expected = percentiles(rdm)[np.ix_(order, order)]
        np.testing.assert_array_equal(ax.images[0].get_array(), expected)
        assert ax.images[0].get_clim() == (0, 100)


def test_the_note_says_what_is_shown():
    note = _note(_plot(_pair()))
    assert note.startswith("40 of 100 images shown; images ordered by hierarchical clustering")
    assert "of the model RDM" in note
    assert "images shown" not in _note(_plot(_pair(n_total=40)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [1, 2, 3, 300])
@pytest.mark.parametrize("undefined", ["none", "some", "all"])
def test_every_size_is_drawn_and_saved(tmp_path, n, undefined):
    brain = _symmetric(np.random.default_rng(0).random((n, n)))
    model = _symmetric(np.random.default_rng(1).random((n, n)))
    if undefined == "all":
        brain[:], model[:] = np.nan, np.nan
    if undefined == "some":
        brain[0], brain[:, 0], model[-1], model[:, -1] = (np.nan,) * 4
    before = brain.copy(), model.copy()
    pair = RdmPair(brain, model, "b_$x$" * 20, "_m", 300)
    png, svg = save(_plot(pair), tmp_path, "rdms")
    assert png.stat().st_size
    assert svg.stat().st_size
    np.testing.assert_array_equal(brain, before[0])
    np.testing.assert_array_equal(model, before[1])


def test_the_same_rdms_give_the_same_bytes(tmp_path):
    first = [path.read_bytes() for path in save(_plot(_pair()), tmp_path, "a")]
    again = [path.read_bytes() for path in save(_plot(_pair()), tmp_path, "a")]
    assert first == again


def test_bad_rdms_are_refused():
    square = _symmetric(_rdm(4))
    with pytest.raises(ValueError, match=r"brain RDM has shape \(6,\)"):
        _pair(brain=np.zeros(6))
    with pytest.raises(ValueError, match="40 images, the model RDM of 4"):
        _pair(model=square)
    with pytest.raises(ValueError, match="not symmetric"):
        _pair(4, brain=np.triu(square))
    with pytest.raises(ValueError, match="more than the 3"):
        _pair(4, n_total=3)
