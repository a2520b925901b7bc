"""The table and the page of smaller models."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from nplight.report.shrink_tables import COLUMNS, legend, shrink_chart, shrink_html, shrink_rows, shrink_table
from nplight.shrinking.comparison import WHOLE, ComparedModel, ShrinkComparison, ShrinkSettings
from nplight.shrinking.measurements import Accuracy, ModelCost


def comparison() -> ShrinkComparison:
    settings = ShrinkSettings(keep=0.25, by="<magnitude>", shares=(0.5,))
    cost, share = ModelCost(86_567_656, 35_127_656_448, 346_270_624), Accuracy.of(99, 100)
    names = (WHOLE, "<magnitude>", "random")
    models = [ComparedModel(name, share, cost, 1234.5, 1.25, (64, 32)) for name in names]
    curves = {name: {0.25: share, 0.5: share, 1.0: share} for name in names[1:]}
    return ShrinkComparison(settings, "mean", 64, models, curves)


def test_the_table_fits_a_terminal() -> None:
    text = StringIO()
    Console(width=80, file=text).print(*shrink_table(comparison()), sep="\n")
    shown = text.getvalue()
    assert "25% of the neurons kept" in shown
    assert "…" in shown
    for text in ("86.568", "35.13", "346.27", "1234.50", "1.25 ×", WHOLE):
        assert text in shown
    assert all(len(row) == len(COLUMNS) for row in shrink_rows(comparison()))


def test_the_legend_says_what_the_numbers_are_of() -> None:
    text = legend(comparison())
    for part in ("100 held-out images", "5 draws", "batch of 64", "median of 15 rounds", "hold their mean"):
        assert part in text


def test_the_page_escapes_names_and_needs_nothing_else() -> None:
    page = shrink_html(comparison())
    assert "&lt;magnitude&gt;" in page
    assert "<magnitude>" not in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count('<img class="static" src="data:image/svg+xml;base64,') == 1


def test_the_chart_has_every_ranking_against_random_neurons() -> None:
    chart = shrink_chart(comparison())
    (panel,) = chart.panels
    assert [(line.name, line.style.main, line.style.control) for line in panel.lines] == [
        ("<magnitude>", True, False),
        ("random", False, True),
    ]
    for line in panel.lines:
        assert list(line.x) == [25, 50, 100]
        assert list(line.y) == pytest.approx([99.0] * 3)
        assert all(low < 99 < high for low, high in zip(line.low, line.high))
    assert chart.caption == "no search is told from random: their 95% intervals overlap everywhere."
