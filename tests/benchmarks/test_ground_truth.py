"""docs/ground_truth.md holds what `train.py planted` measured, and no other number."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import ground_truth_objectives
from benchmarks.ground_truth import RESULTS, main, page
from benchmarks.ground_truth_objectives import by_objective
from nplight.planted import STRUCTURES, Judgements

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_its_command_writes() -> None:
    judgements = Judgements.from_dict(json.loads((ROOT / RESULTS).read_text()))
    of_objectives = by_objective(judgements, str(ROOT / ground_truth_objectives.RESULTS))
    assert (ROOT / "docs" / "ground_truth.md").read_text(encoding="utf-8") == page(judgements, of_objectives)


def test_the_command_writes_page_figures_and_a_copy_of_the_results(tmp_path: Path) -> None:
    kept = {name: (ROOT / name).read_text() for name in (RESULTS, ground_truth_objectives.RESULTS)}
    runs = {"run": kept[RESULTS]}
    for content in json.loads(kept[ground_truth_objectives.RESULTS]):
        runs[f"run_{content['objective']}"] = json.dumps(content)
    for name, text in runs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "planted.json").write_text(text)
    (tmp_path / "figures").mkdir()
    copies = [str(tmp_path / name) for name in ("copy.json", "objectives.json")]
    main(str(tmp_path / "run"), *copies, docs=str(tmp_path))
    assert [Path(copy).read_text() for copy in copies] == list(kept.values())
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    assert figures == {f"planted_{name}.svg" for name in (*STRUCTURES, "trigger", "recall", "objectives")}
    for name in figures:
        assert f"figures/{name}" in (tmp_path / "ground_truth.md").read_text()
        # The drawn digits may differ by rounding between machines.
        if name != "planted_trigger.svg":
            assert (tmp_path / "figures" / name).read_text() == (ROOT / "docs" / "figures" / name).read_text()
