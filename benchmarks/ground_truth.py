"""Write docs/ground_truth.md and its figures from what `train.py planted` measured.

    python train.py planted --seeds 3 --run_dir runs/planted
    for objective in log-probability logit margin; do
      python train.py planted --seeds 3 --run_dir runs/planted_$objective --objective $objective \
        --models '*-all' '*-all-p0.98' '*-all-saturated' --methods METHOD…
    done
    python -m benchmarks.ground_truth

The page names the methods. Copies every `planted.json`, without blanks, to `benchmarks/results/` first, so that the
page can be written again without the runs. The text is that of `benchmarks/ground_truth_page.md`; every table and
figure is made here and in `ground_truth_objectives`.
"""

from __future__ import annotations

import json
from pathlib import Path

from jsonargparse import auto_cli

from benchmarks import ground_truth_objectives
from benchmarks.ground_truth_objectives import by_objective, copy_results, objective_map, objective_tables
from benchmarks.structure_figures import draw_structure, draw_trigger
from nplight.planted import MODELS, STRUCTURES, Judgements
from nplight.planted.case_groups import CASE_TABLES, CaseTable
from nplight.report.heat_map import heat_map, with_interval
from nplight.report.page import page_template
from nplight.report.planted_tables import MEASURE_TITLES, judged_columns, percent

RESULTS = "benchmarks/results/planted.json"
_PAGE = Path(__file__).with_name("ground_truth_page.md")


def main(
    run: str | None = "runs/planted",
    results: str = RESULTS,
    objective_results: str = ground_truth_objectives.RESULTS,
    docs: str = "docs",
) -> None:
    """Write the page and its figures.

    Args:
        run: the run folder of the objective probability; those of the others are beside it, their objective at the end
            of their names. `null`: the results are used as they are.
        results: where the measurements are kept.
        objective_results: where those by other objectives are kept.
        docs: where `ground_truth.md` and `figures/` go.
    """
    if run is not None:
        content = json.loads((Path(run) / "planted.json").read_text())
        Path(results).write_text(json.dumps(content, separators=(",", ":")) + "\n")
        copy_results(run, objective_results)
    judgements = Judgements.from_dict(json.loads(Path(results).read_text()))
    of_objectives = by_objective(judgements, objective_results)
    (Path(docs) / "ground_truth.md").write_text(page(judgements, of_objectives), encoding="utf-8")
    figures = Path(docs) / "figures"
    for structure in STRUCTURES:
        (figures / f"planted_{structure}.svg").write_text(draw_structure(structure))
    (figures / "planted_trigger.svg").write_text(draw_trigger())
    svg = page_template("heat_map.svg").render(map=heat_map(judgements, "recall"))
    (figures / "planted_recall.svg").write_text(svg)
    (figures / "planted_objectives.svg").write_text(objective_map(of_objectives))


def page(judgements: Judgements, of_objectives: Judgements) -> str:
    """The text, from what the commands measured by the probability, and by every objective (`by_objective`)."""
    return _PAGE.read_text(encoding="utf-8").format(
        objective=judgements.objective,
        seeds=judgements.seeds,
        cases=len(judgements.cases),
        models=len(MODELS),
        tables="\n".join(recovery_table(judgements, groups, "recall") for groups in CASE_TABLES[:-1]),
        objective_methods=" ".join(dict.fromkeys(name.partition(",")[0] for name in of_objectives.methods)),
        objective_tables=objective_tables(of_objectives),
        trigger="\n".join(
            recovery_table(judgements, CASE_TABLES[-1], measure) for measure in ("removed", "recall", "kept")
        ),
    )


def recovery_table(judgements: Judgements, groups: CaseTable, measure: str) -> str:
    """Methods down, groups of cases across, as a Markdown table with its title; empty without a case."""
    columns = judged_columns(judgements, groups)
    if not columns:
        return ""
    rows = [[method, *_values(judgements, method, columns, measure)] for method in judgements.methods]
    lines = [["method", *columns], ["---"] + ["---:"] * len(columns), *rows]
    title = f"**{MEASURE_TITLES.get(measure, measure.capitalize())}, {groups.title}**"
    return "\n".join([title, "", *(f"| {' | '.join(line)} |" for line in lines), ""])


def _values(judgements: Judgements, method: str, columns: dict[str, tuple[str, ...]], measure: str) -> list[str]:
    """A mean in percent, or for a single case the value with its interval."""
    if all(len(cases) == 1 for cases in columns.values()):
        return [with_interval(judgements.estimates[case, method, measure]) for (case,) in columns.values()]
    return [percent(judgements.mean(cases, method, measure)) for cases in columns.values()]


if __name__ == "__main__":
    auto_cli(main)
