"""Figures in layouts of the caller's: into an Axes or a SubFigure, with all that they show."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from test_inference_figures import full_result

from rsa_exp.figures import FIGURES
from rsa_exp.vocabulary import FIGURE_NAMES

RECTANGULAR = [name for name in FIGURE_NAMES if name not in {"radar", "surface"}]
NEEDED = 1.5  # times the figure's own size: room enough for nothing to be squeezed


def _texts(part):
    return sorted(t.get_text() for t in part.findobj(Text) if t.get_text().strip())


def _canvas(width, height):
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def _data(ax):
    """Numbers of all lines, images and patches of axes."""
    lines = [line.get_xydata() for line in ax.lines if line.get_gid() != "leader"]
    images = [np.ma.filled(image.get_array(), np.nan) for image in ax.images]
    patches = [patch.get_path().vertices for patch in ax.patches]
    return [*lines, *images, *patches, ax.get_xlim(), ax.get_ylim()]


@pytest.mark.parametrize("name", RECTANGULAR)
def test_the_axes_are_the_first_panel_and_nothing_leaves_their_area(make_case, name):
    result = full_result(*make_case("bold5000"))
    alone = FIGURES[name](result)
    width, height = NEEDED * alone.get_size_inches()
    figure = _canvas(2 * width, height)
    other, ax = figure.subplots(1, 2, gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": 1})
    ax.plot([1, 2, 3])
    area = ax.get_window_extent().frozen()
    settings = dict(mpl.rcParams)

    assert FIGURES[name](result, ax=ax) is figure

    assert dict(mpl.rcParams) == settings
    assert figure.axes[:2] == [other, ax]
    assert len(figure.axes) == len(alone.axes) + 1
    for mine, expected in zip(_data(ax), _data(alone.axes[0]), strict=True):
        np.testing.assert_allclose(mine, expected)
    assert not ax.spines["top"].get_visible() or name in {"rdms", "comparisons"}
    figure.draw_without_rendering()
    boxes = [part.get_tightbbox() for part in (*figure.axes[1:], *figure.texts, *figure.legends)]
    seen = Bbox.union([box for box in boxes if box is not None])
    assert (seen.min >= area.min - 1).all()
    assert (seen.max <= area.max + 1).all()


@pytest.mark.parametrize("name", FIGURE_NAMES)
def test_a_subfigure_has_all_of_the_figure(make_case, name):
    result = full_result(*make_case("bold5000"))
    alone = FIGURES[name](result)
    width, height = NEEDED * alone.get_size_inches()
    figure = _canvas(2 * width, height)
    left, right = figure.subfigures(1, 2)
    assert FIGURES[name](result, figure=right) is figure
    assert not left.axes
    assert not left.texts
    assert len(right.axes) == len(alone.axes)
    unbroken = [" ".join(_texts(part)).replace("\n", " ").split() for part in (right, alone)]
    assert sorted(unbroken[0]) == sorted(unbroken[1])


def test_layouts_keep_to_the_width_they_are_given(make_case):
    result = full_result(*make_case("bold5000"))
    for name, most in (("profiles", 3), ("intervals", 10), ("comparisons", 10)):
        figure = _canvas(3.6, 8.0)
        FIGURES[name](result, figure=figure)
        columns = {round(ax.get_position().x0, 6) for ax in figure.axes[:most]}
        alone = {round(ax.get_position().x0, 6) for ax in FIGURES[name](result).axes[:most]}
        assert len(columns) < len(alone)


def test_circles_stay_round_where_an_area_is_wide(make_case):
    figure = _canvas(16.0, 5.0)
    FIGURES["radar"](full_result(*make_case("bold5000")), figure=figure)
    box = figure.axes[0].get_position()
    assert 16.0 * box.width == pytest.approx(5.0 * box.height)


def test_an_area_without_room_and_two_areas_are_refused(make_case):
    result = full_result(*make_case("bold5000"))
    with pytest.raises(ValueError, match=r"2\.0 x 0\.5 inches to plot in, title"):
        FIGURES["heatmap"](result, figure=_canvas(2.0, 0.5))
    figure = _canvas(5.0, 5.0)
    with pytest.raises(ValueError, match="ax and figure are both given"):
        FIGURES["bars"](result, ax=figure.subplots(), figure=figure)
