"""What holds of every figure of every table: it is drawn, legible, and saved whole."""

import subprocess
import sys
from itertools import combinations
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from rsa_exp.figures import FigureText, save

# the kinds of tables whose figures are drawn with different artists
SAVED = ["bold5000", "one", "many", "three_subjects", "some_undefined", "specials"]


def _corners(text, renderer):
    """Corners of a text's (possibly turned) box, in pixels; empty ones have none."""
    around = text.get_window_extent(renderer)
    rotation, mode = text.get_rotation(), text.get_rotation_mode()
    text.set(rotation=0, rotation_mode="default")
    upright = text.get_window_extent(renderer)
    text.set(rotation=rotation, rotation_mode=mode)
    half = np.array([upright.width, upright.height]) / 2 - 1.0  # a pixel of tolerance
    angle = np.radians(rotation)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([around.x0 + around.x1, around.y0 + around.y1]) / 2
    return centre + (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half) @ turn.T


def _overlap(a, b):
    """Whether two turned boxes overlap: no edge of either separates them."""
    for box in (a, b):
        for i in range(2):
            normal = np.array([-1, 1]) * (box[i + 1] - box[i])[::-1]
            one, other = a @ normal, b @ normal
            if one.max() <= other.min() or other.max() <= one.min():
                return False
    return True


def _texts(figure):
    """Every text that is seen, with the corners of its box."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    seen = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    return [(text, _corners(text, renderer)) for text in seen]


@pytest.mark.filterwarnings("error")
def test_every_table_is_drawn_legibly(plot, case):
    table, text = case
    before = table.copy(deep=True)

    figure = plot(table, text)

    assert isinstance(figure, Figure)
    pd.testing.assert_frame_equal(table, before)
    texts = _texts(figure)
    width, height = figure.canvas.get_width_height()
    for shown, corners in texts:
        low, high = corners.min(axis=0), corners.max(axis=0)
        assert (low >= -0.5).all(), f"{shown.get_text()!r} leaves the canvas: {low}"
        assert high[0] <= width + 0.5, f"{shown.get_text()!r} leaves the canvas on the right"
        assert high[1] <= height + 0.5, f"{shown.get_text()!r} leaves the canvas at the top"
        assert shown.get_fontsize() >= 7
    for (one, a), (other, b) in combinations(texts, 2):
        if (a.max(axis=0) <= b.min(axis=0)).any() or (b.max(axis=0) <= a.min(axis=0)).any():
            continue
        assert not _overlap(a, b), f"{one.get_text()!r} overlaps {other.get_text()!r}"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", SAVED)
def test_every_figure_is_saved_whole(plot, make_case, name, tmp_path):
    paths = save(plot(*make_case(name)), tmp_path / "new" / "folder", "figure")

    assert [path.name for path in paths] == ["figure.png", "figure.svg"]
    assert sorted(paths[0].parent.iterdir()) == sorted(paths)
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    ElementTree.parse(paths[1])


def test_overlapping_texts_are_found():
    figure = Figure()
    FigureCanvasAgg(figure)
    figure.text(0.5, 0.5, "a long text", rotation=45)
    figure.text(0.52, 0.55, "another")
    figure.text(0.58, 0.5, "a third")
    (_, a), (_, b), (_, c) = _texts(figure)
    assert _overlap(a, b)
    assert not _overlap(a, c)


def test_title_and_note_are_shown(plot, make_case):
    figure = plot(*make_case("bold5000"))
    shown = {text.get_gid(): text.get_text() for text in figure.texts}
    assert shown["title"] == "Subject 1 vs ResNet-50, simulated BOLD5000"
    assert shown["note"].endswith("simulated data; 1000 images, 499500 pairs; align=stem")


def test_several_subjects_are_counted_in_the_note(plot, make_case):
    note = _note(plot(*make_case("three_subjects")))
    assert "3 subjects" in note


def test_error_bars_are_only_of_subjects(plot, make_case):
    note = _note(plot(*make_case("bold5000")))
    assert "SEM" not in note


def test_what_is_undefined_is_said(plot, make_case):
    assert "n/a" in _note(plot(*make_case("some_undefined")))
    assert "n/a" not in _note(plot(*make_case("bold5000")))


def _note(figure):
    notes = [text.get_text() for text in figure.texts if text.get_gid() == "note"]
    return notes[0].replace("\n", " ")


def test_names_are_literal(plot, make_case):
    figure = plot(*make_case("specials"))
    _texts(figure)
    title = next(text for text in figure.texts if text.get_gid() == "title")
    assert title._preprocess_math(title.get_text()) == (title.get_text().replace(r"\$", "$"), False)


def test_the_same_table_gives_the_same_bytes(plot, make_case, tmp_path):
    first = [path.read_bytes() for path in save(plot(*make_case("bold5000")), tmp_path, "a")]
    with mpl.rc_context({"font.size": 20, "svg.hashsalt": "other", "axes.facecolor": "red"}):
        again = [path.read_bytes() for path in save(plot(*make_case("bold5000")), tmp_path, "a")]
    assert first == again


def test_drawing_leaves_the_settings_as_they_were(plot, make_case, tmp_path):
    before = dict(mpl.rcParams)
    save(plot(*make_case("one")), tmp_path, "figure")
    assert dict(mpl.rcParams) == before


def test_importing_changes_no_setting_and_needs_no_display():
    code = (
        "import matplotlib as mpl; before = mpl.rcParams.copy(); import rsa_exp.figures; "
        "after = mpl.rcParams.copy(); "
        "assert {k: after[k] for k in after if k != 'backend'} == "
        "{k: before[k] for k in before if k != 'backend'}; "
        "import matplotlib.pyplot as plt; assert not plt.get_fignums()"
    )
    environment = {"MPLBACKEND": "TkAgg", "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize("text", [FigureText("", "", ""), FigureText("T", "", "Score")])
def test_title_and_note_may_be_empty(plot, make_case, text):
    table, _ = make_case("one")
    _texts(plot(table, text))
