"""Saving: whole or not at all."""

import pytest
from matplotlib.figure import Figure

from rsa_exp.figures import save


def _figure():
    figure = Figure(figsize=(1, 1))
    figure.add_subplot().plot([0, 1])
    return figure


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    old = [path.read_bytes() for path in save(_figure(), tmp_path, "figure")]
    figure = _figure()
    savefig = figure.savefig

    def fail_at_the_second(path, *, format, **options):
        savefig(path, format=format, **options)
        if format == "svg":
            raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail_at_the_second)
    with pytest.raises(OSError, match="disk full"):
        save(figure, tmp_path, "figure")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.png", "figure.svg"]
    assert [(tmp_path / f"figure.{s}").read_bytes() for s in ("png", "svg")] == old


def test_the_figure_is_closed(tmp_path):
    figure = _figure()
    save(figure, tmp_path, "figure")
    assert not figure.axes


def test_no_date_and_no_version_is_written(tmp_path):
    png, svg = save(_figure(), tmp_path, "figure")
    assert b"Software" not in png.read_bytes()
    assert "<dc:date>" not in svg.read_text()
    assert "Matplotlib v" not in svg.read_text()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a\\b"])
def test_only_plain_file_names(tmp_path, name):
    with pytest.raises(ValueError, match="not a plain file name"):
        save(_figure(), tmp_path, name)
