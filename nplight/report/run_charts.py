"""The charts of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from nplight.errors import ArgumentError, listed
from nplight.report.charts import MOST_SHOWN, Chart, Style, search_styles
from nplight.report.effect_charts import depth_chart, dose_chart, faithfulness_chart, normalised_chart, pruning_chart
from nplight.report.run_data import Run
from nplight.report.sanity_charts import sanity_chart, stability_chart

Draw = Callable[[Run, Mapping[str, Style]], "Chart | None"]

CHARTS: Mapping[str, Draw] = MappingProxyType(
    {
        "normalised": normalised_chart,
        "pruning": pruning_chart,
        "faithfulness": faithfulness_chart,
        "dose": dose_chart,
        "depth": depth_chart,
        "stability": stability_chart,
        "sanity": sanity_chart,
    }
)
"""Name -> chart of lines; the page and the exported figures have them in this order."""


def run_charts(run: Run, searches: Sequence[str] | None = None) -> dict[str, Chart]:
    """The charts of lines that a run has the values for, by name.

    Args:
        run: from `read_run`.
        searches: the searches and controls to draw, at most `MOST_SHOWN`; `None`: the first ones.

    Raises:
        ArgumentError: `searches` names an unknown search, or too many.
    """
    styles = run_styles(run, searches)
    charts = {name: draw(run, styles) for name, draw in CHARTS.items()}
    return {name: chart for name, chart in charts.items() if chart is not None}


def run_styles(run: Run, searches: Sequence[str] | None = None) -> dict[str, Style]:
    """The look of every search and control of a run; arguments and errors as of `run_charts`."""
    names = list(dict.fromkeys([*run.tested, *run.stability.get("searches", ()), *run.sanity.get("searches", ())]))
    if searches is not None:
        unknown = [name for name in searches if name not in names]
        if unknown or not 1 <= len(set(searches)) <= MOST_SHOWN:
            raise ArgumentError(
                f"`searches` must name 1 to {MOST_SHOWN} of {listed(names, limit=30)}, "
                f"got {listed(unknown or searches) or 'none'}"
            )
    return search_styles(names, searches)
