"""The section of docs/ground_truth.md on objectives: recall by objective over the saturation of the probability."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nplight.attribution import OBJECTIVES
from nplight.planted import Judgements
from nplight.report.heat_map import heat_map
from nplight.report.page import page_template
from nplight.report.planted_tables import percent

RESULTS = "benchmarks/results/planted_objectives.json"
OTHERS = tuple(objective for objective in OBJECTIVES if objective != "probability")
"""The objectives that have a run of their own."""

_SATURATIONS = {"0.7": "-all", "0.98": "-all-p0.98", "1 − 1e-9": "-all-saturated"}
"""The label's probability -> how the names of its cases end."""


def copy_results(run: str, results: str) -> None:
    """Put the measurements of the runs of the other objectives, `RUN_logit` say, into one file."""
    contents = [json.loads((Path(f"{run}_{objective}") / "planted.json").read_text()) for objective in OTHERS]
    Path(results).write_text(json.dumps(contents, separators=(",", ":")) + "\n")


def by_objective(judgements: Judgements, results: str) -> Judgements:
    """The measurements of every objective as those of methods called `jas, logit` say, method by method.

    Args:
        judgements: those of the objective probability.
        results: the file of `copy_results`, which says which methods and cases are taken.
    """
    others = [Judgements.from_dict(content) for content in json.loads(Path(results).read_text())]
    estimates = {
        (case, f"{method}, {each.objective}", "recall"): each.estimates[case, method, "recall"]
        for method in others[0].methods
        for each in (judgements, *others)
        for case in others[0].cases
    }
    return Judgements("each", judgements.seeds, estimates)


def objective_tables(judgements: Judgements) -> str:
    """One table per saturation: methods down, objectives across; means over the structures.

    Args:
        judgements: from `by_objective`.
    """
    return "\n".join(_table(judgements, probability) for probability in _SATURATIONS)


def objective_map(judgements: Judgements) -> str:
    """The recall of every method, objective and case as SVG."""
    return page_template("heat_map.svg").render(map=heat_map(judgements, "recall"))


def _table(judgements: Judgements, probability: str) -> str:
    cases = [name for name in judgements.cases if name.endswith(_SATURATIONS[probability])]
    methods = list(dict.fromkeys(name.partition(",")[0] for name in judgements.methods))
    rows = [[method, *_means(judgements, method, cases)] for method in methods]
    lines = [["method", *OBJECTIVES], ["---"] + ["---:"] * len(OBJECTIVES), *rows]
    title = f"**Found, all decoys, all structures, a probability of {probability}**"
    return "\n".join([title, "", *(f"| {' | '.join(line)} |" for line in lines), ""])


def _means(judgements: Judgements, method: str, cases: Sequence[str]) -> list[str]:
    return [percent(judgements.mean(cases, f"{method}, {objective}", "recall")) for objective in OBJECTIVES]
