"""Settings of figures are refused by name before work starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nplight.errors import ArgumentError
from nplight.report import read_run
from nplight.report.figure_settings import FigureSettings, parsed_settings
from tests.report.samples import HOSTILE, write_run


def parsed(**given: Any) -> FigureSettings:
    return parsed_settings(**{"categories": None, "searches": None, "width": "85mm", "formats": "pdf", **given})


@pytest.mark.parametrize(
    ("text", "millimetres"), [("85mm", 85), ("8.5cm", 85), ("3.5in", 88.9), ("360pt", 127), (" 85MM ", 85)]
)
def test_a_width_has_a_unit(text: str, millimetres: float) -> None:
    assert parsed(width=text).width == pytest.approx(millimetres)


@pytest.mark.parametrize("text", ["85", "mm", "85px", "-85mm", "1e3mm", ""])
def test_a_width_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(
        ArgumentError, match=r"`--width` must be a number with its unit \(mm, cm, in, pt\), such as 85mm"
    ):
        parsed(width=text)


@pytest.mark.parametrize("text", ["39.9mm", "1001mm", "1in"])
def test_a_width_in_which_nothing_is_legible_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"`width` must be from 40 mm, below which nothing is legible, to 1000 mm"):
        parsed(width=text)


def test_formats_are_those_there_are() -> None:
    assert list(parsed(formats="svg, pdf,svg").formats) == ["pdf", "svg"]
    for text, got in (("pdf,jpg", "jpg"), ("", "''")):
        with pytest.raises(ArgumentError, match=f"`--format` must be among pdf, svg, png, got {got}"):
            parsed(formats=text)
    with pytest.raises(ArgumentError, match="`format` must be among pdf, svg, png, got none"):
        FigureSettings(formats=())
    with pytest.raises(ArgumentError, match="`width` must be a number of millimetres, got '85mm'"):
        FigureSettings(width="85mm")  # type: ignore[arg-type]


def test_categories_are_asked_for_by_number_or_name(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, categories=10, images=2, names=HOSTILE).path)
    assert parsed(categories="3,5, 3").category_numbers(run) == [3, 5]
    assert FigureSettings(categories=[HOSTILE[5], 0]).category_numbers(run) == [5, 0]
    assert parsed().category_numbers(run) == list(range(10))
    assert FigureSettings(categories=[]).category_numbers(run) == []
    for text, got in (
        ("10", "'10'"),
        ("-1", "'-1'"),
        ("duck", "'duck'"),
        ("crane", "'crane'; 'crane' is the name of 8, 9"),
    ):
        with pytest.raises(ArgumentError, match=rf"`category` must be a number in 0 … 9, or a name .* got {got}"):
            parsed(categories=text).check(run)


def test_many_categories_are_drawn_only_when_asked_for(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, categories=21, images=1).path)
    assert parsed().category_numbers(run) == []
    assert parsed(categories="20").category_numbers(run) == [20]


def test_searches_are_those_of_the_run(finished: Path) -> None:
    run = read_run(finished)
    parsed(searches="random,jas").check(run)
    with pytest.raises(ArgumentError, match="`searches` must name 1 to 8 of jas, random, got conductance"):
        parsed(searches="jas,conductance").check(run)
