from __future__ import annotations

import json
import math
from pathlib import Path

from benchmarks.ground_truth_objectives import OTHERS, by_objective, copy_results, objective_map, objective_tables
from nplight import OBJECTIVES
from nplight.metrics import Estimate
from nplight.planted import Judgements

CASES = ("chain-all", "backup-all", "chain-all-p0.98", "chain-all-saturated")


def made_up(objective: str, recall: float) -> Judgements:
    """With half the recall in backups."""
    values = {case: recall / 2 if case.startswith("backup") else recall for case in CASES}
    estimates = {(case, "jas", "recall"): Estimate(value, math.nan, math.nan, 16) for case, value in values.items()}
    return Judgements(objective, 1, estimates)


def test_every_objective_is_a_column_and_a_value_the_mean_of_its_saturation(tmp_path: Path) -> None:
    recalls = dict(zip(OBJECTIVES, (0.2, 0.4, 0.6, 0.8)))
    assert set(OTHERS) == set(OBJECTIVES) - {"probability"}
    for objective in OTHERS:
        (tmp_path / f"run_{objective}").mkdir()
        content = made_up(objective, recalls[objective]).to_dict()
        (tmp_path / f"run_{objective}" / "planted.json").write_text(json.dumps(content))
    copy_results(str(tmp_path / "run"), str(tmp_path / "copy.json"))
    judgements = by_objective(made_up("probability", recalls["probability"]), str(tmp_path / "copy.json"))
    assert judgements.methods == [f"jas, {objective}" for objective in OBJECTIVES]
    lines = [line for line in objective_tables(judgements).splitlines() if "jas" in line]
    assert lines == ["| jas | 15 | 30 | 45 | 60 |", "| jas | 20 | 40 | 60 | 80 |", "| jas | 20 | 40 | 60 | 80 |"]
    assert objective_map(judgements).count("<rect") == len(CASES) * len(OBJECTIVES)
