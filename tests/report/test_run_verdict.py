from __future__ import annotations

import json
import re
from pathlib import Path

from nplight.report import read_run
from nplight.report.run_verdict import removal_tests, run_verdict
from tests.report.samples import write_run


def test_the_sentence_has_the_figures_of_the_run(finished: Path) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    rows = [row for row in metrics["conditions"] if row["condition"] == "removed" and row["tokens"] == "path"]
    row = next(row for row in rows if row["method"] == "jas" and row["layers"] is None)
    (test, *_) = removal_tests(read_run(finished))
    assert (test.search, test.control) == ("jas", "random")
    assert (test.path.value, test.path.low) == (row["probability_deviation"], row["probability_deviation_low"])
    assert test.difference.high == row["probability_deviation_vs_random_high"]
    sentence = run_verdict(read_run(finished))
    assert f"{abs(100 * row['probability_deviation']):.2f}% [" in sentence
    assert re.search(r"as many random neurons by .*\[", sentence)


def test_without_a_control_there_is_no_verdict(finished: Path, tmp_path: Path) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    metrics["conditions"] = [
        {name: value for name, value in row.items() if "_vs_" not in name} for row in metrics["conditions"]
    ]
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert run_verdict(read_run(tmp_path)) == ""
    write_run(tmp_path / "searched", categories=2, images=2)
    assert run_verdict(read_run(tmp_path / "searched")) == ""
