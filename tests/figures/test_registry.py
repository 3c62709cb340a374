"""The public functions: named as the vocabulary has them, made of a result, imported when used."""

import inspect
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from test_inference_figures import full_result

from rsa_exp import figures
from rsa_exp.figures import FIGURES, NothingToPlot, Tables, draw
from rsa_exp.vocabulary import FIGURE_NAMES


def test_figures_are_the_vocabularys_and_public():
    assert tuple(FIGURES) == FIGURE_NAMES
    for name, function in FIGURES.items():
        assert getattr(figures, name) is function
        assert f"figures.{name}(result" in function.__doc__
        described = [key for key in ("result", "ax", "figure") if f"\n{key} : " in function.__doc__]
        assert described == list(inspect.signature(function).parameters)
    assert set(FIGURE_NAMES) < set(figures.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'violin'"):
        figures.violin  # noqa: B018


def test_a_figure_is_not_its_module_however_that_is_imported():
    code = (
        "import rsa_exp.figures.of_result.heatmap, rsa_exp.figures.registry; "
        "from rsa_exp import figures; assert all(callable(getattr(figures, n)) for n in "
        "(*figures.FIGURES, 'agreement', 'difference', 'multiples', 'save'))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_the_package_is_imported_without_matplotlib():
    code = (
        "import sys; from rsa_exp import figures; figures.FigureText, figures.Tables; "
        "assert not {'matplotlib', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_figures_without_numbers_are_left_out(make_case):
    table, text = make_case("bold5000")
    result = full_result(table, text)
    made = dict(draw(result, FIGURE_NAMES))
    assert tuple(made) == FIGURE_NAMES
    assert all(isinstance(figure, Figure) for figure in made.values())

    scores = Tables(result.scores.assign(se=np.nan), text)
    assert [name for name, _ in draw(scores, FIGURE_NAMES)] == list(FIGURE_NAMES[:6])
    for name in FIGURE_NAMES[6:]:
        with pytest.raises(NothingToPlot):
            FIGURES[name](scores)


def test_a_group_is_shown_as_its_subjects_and_undefined_where_it_is(make_case):
    subjects, text = make_case("three_subjects")
    group = subjects.iloc[:50].assign(subject="group")
    group.loc[3, "score"] = np.nan
    figure = figures.heatmap(Tables(group, text, subjects))
    cells = {t.get_gid(): t.get_text() for t in figure.axes[0].texts}
    assert cells["cell-0-3"] == "n/a"
    assert "±" in cells["cell-0-2"]


def test_scores_are_shown_on_the_images_of_the_permutation_test(make_case):
    table, text = make_case("bold5000")
    result = replace(full_result(table, text), n_permuted=900, images=["i"] * 1000)
    moved = replace(result, scores=result.scores.assign(score=9.0))
    figure = figures.permutation(moved)
    observed = next(x for x in figure.axes[1].lines if x.get_gid() == "observed")
    assert observed.get_xdata()[0] == 0.058
    note = next(t.get_text() for t in figure.texts if t.get_gid() == "note").replace("\n", " ")
    assert note.endswith("permutation test: the 900 images without missing pairs")
