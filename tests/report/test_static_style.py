"""One style, the same bytes again, and nothing left behind in matplotlib's settings."""

from __future__ import annotations

import base64
import io
from typing import get_args

import matplotlib as mpl
import pytest
from PIL import Image

from nplight.report.static_style import DASHES, FORMATS, SYMBOLS, Format, as_data_uri, new_figure, paper_style, saved
from nplight.report.theme import DASHES as PLOTLY_DASHES
from nplight.report.theme import SYMBOLS as PLOTLY_SYMBOLS


def drawn(form: Format, text: str = "loops") -> bytes:
    with paper_style():
        figure = new_figure(60, 40)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1])
        axes.set_xlabel(text)
        return saved(figure, form)


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_figure_gives_the_same_bytes(form: Format) -> None:
    assert drawn(form) == drawn(form)
    assert drawn(form) != drawn(form, "ink")


def test_fonts_are_in_the_file() -> None:
    assert b"/FontFile2" in drawn("pdf")
    assert b"/Type3" not in drawn("pdf")
    assert b"<text" not in drawn("svg")
    with paper_style(outlines=False):
        source = as_data_uri(figure := new_figure(60, 40))
        figure.text(0, 0, "loops")
        source = as_data_uri(figure)
    assert b">loops</text>" in base64.b64decode(source.removeprefix("data:image/svg+xml;base64,"))


def test_the_size_is_what_was_asked_for_on_white() -> None:
    picture = Image.open(io.BytesIO(drawn("png"))).convert("RGB")
    assert picture.size == pytest.approx((60 / 25.4 * 300, 40 / 25.4 * 300), abs=1)
    assert picture.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("text", ["$\\frac$ $x$", "☃ 🦆 鶴", "a & <b>", ""])
def test_any_name_is_drawn_letter_by_letter(text: str) -> None:
    assert drawn("svg", text)


def test_the_settings_of_the_caller_are_put_back() -> None:
    before = dict(mpl.rcParams)
    with paper_style():
        assert mpl.rcParams["svg.fonttype"] == "path"
    assert dict(mpl.rcParams) == before
    with pytest.raises(ZeroDivisionError), paper_style():
        _ = 1 / 0
    assert dict(mpl.rcParams) == before


def test_every_dash_and_symbol_has_its_counterpart() -> None:
    assert set(DASHES) == set(PLOTLY_DASHES)
    assert set(SYMBOLS) == set(PLOTLY_SYMBOLS)
    assert set(FORMATS) == set(get_args(Format))
