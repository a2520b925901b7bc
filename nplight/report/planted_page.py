"""How well methods recover known paths, as a page that needs no script."""

from __future__ import annotations

from nplight.planted import MEASURES, Judgements
from nplight.planted.case_groups import CASE_TABLES
from nplight.report.heat_map import heat_map, scale, with_interval
from nplight.report.page import page_asset, page_template
from nplight.report.planted_tables import MEASURE_TITLES, judged_columns, percent

_HEAT_MAPS = {
    "recall": "Share of the planted neurons that are on the found path.",
    "removed": "What removing the found path does to the label's probability, of what the known path's does.",
    "kept": "What keeping the found path alone does, as such a share.",
}


def planted_html(judgements: Judgements) -> str:
    """The page of a comparison; the template escapes every value."""
    tables = [
        (f"{MEASURE_TITLES[measure]}, {groups.title}", list(columns), _rows(judgements, columns, measure))
        for groups in CASE_TABLES
        if (columns := judged_columns(judgements, groups))
        for measure in groups.measures
    ]
    return page_template("planted.html").render(
        judgements=judgements,
        heat_maps=[(heat_map(judgements, measure), text) for measure, text in _HEAT_MAPS.items()],
        scale=scale(),
        tables=tables,
        measures=MEASURES,
        style=page_asset("page.css"),
    )


def _rows(judgements: Judgements, columns: dict[str, tuple[str, ...]], measure: str) -> list[tuple[str, list[str]]]:
    """Each method with one value per column: a mean in percent, or for one case the value with its interval."""

    def value(method: str, cases: tuple[str, ...]) -> str:
        if len(cases) == 1:
            return with_interval(judgements.estimates[cases[0], method, measure])
        return percent(judgements.mean(cases, method, measure))

    return [(method, [value(method, cases) for cases in columns.values()]) for method in judgements.methods]
