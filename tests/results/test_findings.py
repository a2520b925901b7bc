"""What a run found, as its files hold it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nplight.metrics import Condition, ConditionMetrics, all_conditions
from nplight.report.comparison_text import findings_to_markdown, to_latex
from nplight.results import Findings, findings
from nplight.store import RunFolder

STORED = Path(__file__).parent / "stored"


def metrics(name: str, seed: int) -> ConditionMetrics:
    """40 images of four of five categories, with drawn probabilities that alone differ between the methods."""
    draw, clean = torch.Generator().manual_seed(seed), torch.rand(40, 5, generator=torch.Generator().manual_seed(0))
    result = ConditionMetrics(all_conditions(1, (1, 4), (0.5, 1.0)), 5, method=name, replicates=20)
    probabilities = [
        clean if condition == Condition("clean") else torch.rand(40, 5, generator=draw)
        for condition in result.conditions
    ]
    result.update(probabilities, torch.arange(40) % 4, torch.arange(40))
    return result


def drawn_findings() -> Findings:
    return findings(
        {name: metrics(name, seed) for seed, name in enumerate(("jas", "random"), 1)},
        None,
        top_k=1,
        widths=[64, 64],
        num_classes=5,
        notes=["a note"],
    )


@pytest.mark.parametrize("name", ["metrics.json", "metrics.csv", "comparison.md", "comparison.tex"])
def test_files_hold_what_they_held(tmp_path: Path, name: str) -> None:
    found, folder = drawn_findings(), RunFolder(tmp_path)
    folder.write_metrics([result.to_dict() for result in found.results], found.to_dict())
    folder.write("comparison.md", findings_to_markdown(found))
    folder.write("comparison.tex", to_latex(found.comparison))
    assert (tmp_path / name).read_text() == (STORED / name).read_text()
