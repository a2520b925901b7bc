"""Smaller models beside the model itself: a table for the terminal, and a page that needs no script."""

from __future__ import annotations

import textwrap

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nplight.report.chart_captions import seen
from nplight.report.charts import Axis, Chart, Line, Panel, search_styles
from nplight.report.page import page_asset, page_template
from nplight.report.static_chart import static_chart
from nplight.report.static_style import as_data_uri, paper_style
from nplight.shrinking.comparison import RANDOM, ShrinkComparison

_WIDTH = 180.0
"""Of the chart, millimetres."""

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
    chart = shrink_chart(comparison)
    with paper_style(outlines=False):
        image = as_data_uri(static_chart(chart, _WIDTH))
    settings = comparison.settings
    of = "each layer's neurons" if settings.across == "layer" else "all neurons, numbers by layer as the ranking asks"
    return page_template("shrink.html").render(
        title=_title(comparison),
        introduction=f"{settings.keep:.0%} of {of} are kept at every token; the others are no longer computed.",
        columns=list(COLUMNS),
        rows=shrink_rows(comparison),
        legend=legend(comparison),
        image=image,
        caption=chart.caption,
        style=page_asset("page.css"),
    )


def shrink_chart(comparison: ShrinkComparison) -> Chart:
    """Top-1 accuracy (%) against the kept share of the neurons (%), a line per ranking; random ones are the control."""
    styles = search_styles(comparison.curves)
    lines = []
    for name, curve in comparison.curves.items():
        points = sorted(curve.items())
        ends = [[100 * getattr(point, end) for _, point in points] for end in ("value", "low", "high")]
        lines.append(Line(name, styles[name], [100 * share for share, _ in points], ends[0], ends[1], ends[2]))
    labels = {100 * share: f"{100 * share:g}" for curve in comparison.curves.values() for share in curve}
    axis = Axis("neurons kept, %", labels, noun="{}% kept")
    panel = Panel("", lines, axis, "top-1 accuracy of held-out images, %", "%", ".1f")
    return Chart("Accuracy against kept share", [panel], caption=seen(panel))


def _title(comparison: ShrinkComparison) -> str:
    return f"{comparison.settings.keep:.0%} of the neurons kept"
