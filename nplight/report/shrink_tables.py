"""Smaller models beside the model itself: a table for the terminal, and a page that needs no script."""

from __future__ import annotations

import textwrap

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nplight.report.line_chart import Point, line_chart
from nplight.report.page import page_asset, page_template
from nplight.shrinking.comparison import RANDOM, ShrinkComparison

COLUMNS = ("kept by", "top-1 %", "95% interval", "10⁶ params", "GFLOPs", "MB", "ms", "speed")


def shrink_rows(comparison: ShrinkComparison) -> list[tuple[str, ...]]:
    """The cells of the table, one row per model."""
    rows: list[tuple[str, ...]] = []
    for model in comparison.models:
        share, cost = model.accuracy, model.cost
        rows.append(
            (
                model.name,
                f"{100 * share.value:.1f}",
                f"{100 * share.low:.1f} … {100 * share.high:.1f}",
                f"{cost.parameters / 1e6:.3f}",
                f"{cost.flops / 1e9:.4g}",
                f"{cost.size / 1e6:,.2f}",
                f"{model.milliseconds:.2f}",
                f"{model.speedup:.2f} ×",
            )
        )
    return rows


def shrink_table(comparison: ShrinkComparison) -> list[RenderableType]:
    """The table, at most 80 columns wide, and what its columns mean."""
    table = Table(title=_title(comparison), box=box.SIMPLE_HEAD, padding=0, title_justify="left", title_style="bold")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == COLUMNS[0] else "right")
    for row in shrink_rows(comparison):
        table.add_row(*row)
    return [table, Text(textwrap.fill(legend(comparison), 80), style="dim")]


def legend(comparison: ShrinkComparison) -> str:
    """What the columns mean."""
    settings, whole = comparison.settings, comparison.models[0]
    others = "" if comparison.fill == "zero" else f" The removed neurons hold their {comparison.fill}."
    return (
        f"Top-1 over {whole.accuracy.images:,} held-out images, with the exact interval; that of {RANDOM} covers "
        f"{settings.draws} draws. FLOPs of one image as torch counts them; MB of weights; ms of a batch of "
        f"{comparison.batch}, the median of {settings.rounds} rounds in which the models take turns; speed, the median "
        f"of the ratios within a round.{others}"
    )


def shrink_html(comparison: ShrinkComparison) -> str:
    """The page: the table, and accuracy against the kept share; the template escapes every value."""
    curves = {
        name: [Point(share, value.value, value.low, value.high) for share, value in points.items()]
        for name, points in comparison.curves.items()
    }
    settings = comparison.settings
    of = "each layer's neurons" if settings.across == "layer" else "all neurons, numbers by layer as the ranking asks"
    return page_template("shrink.html").render(
        title=_title(comparison),
        introduction=f"{settings.keep:.0%} of {of} are kept at every token; the others are no longer computed.",
        columns=list(COLUMNS),
        rows=shrink_rows(comparison),
        legend=legend(comparison),
        chart=line_chart(curves, across="neurons kept", up="top-1 accuracy, held-out images"),
        style=page_asset("page.css"),
    )


def _title(comparison: ShrinkComparison) -> str:
    return f"{comparison.settings.keep:.0%} of the neurons kept"
