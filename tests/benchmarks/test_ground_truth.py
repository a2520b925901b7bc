"""docs/ground_truth.md holds what `train.py planted` measured, and no other number."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.ground_truth import RESULTS, main, page
from nplight.planted import STRUCTURES, Judgements

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_its_command_writes() -> None:
    judgements = Judgements.from_dict(json.loads((ROOT / RESULTS).read_text()))
    assert (ROOT / "docs" / "ground_truth.md").read_text(encoding="utf-8") == page(judgements)


def test_the_command_writes_page_figures_and_a_copy_of_the_results(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "planted.json").write_text((ROOT / RESULTS).read_text())
    main(run=str(tmp_path), results=str(tmp_path / "copy.json"), docs=str(tmp_path))
    assert (tmp_path / "copy.json").read_text() == (ROOT / RESULTS).read_text()
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    assert figures == {f"planted_{name}.svg" for name in (*STRUCTURES, "trigger", "recall")}
    for name in figures:
        assert f"figures/{name}" in (tmp_path / "ground_truth.md").read_text()
        # The drawn digits may differ by rounding between machines.
        if name != "planted_trigger.svg":
            assert (tmp_path / "figures" / name).read_text() == (ROOT / "docs" / "figures" / name).read_text()
