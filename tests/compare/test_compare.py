from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nplight.compare import MethodResult, claims_to_markdown, compare, paper_claims, to_latex, to_markdown
from nplight.metrics import BootstrapMean, Condition, ConditionMetrics

CONDITIONS = (Condition("clean"), Condition("removed", 1), Condition("enhanced", 1), Condition("kept", 1, 1.0))
IMAGES = 200


def method(name: str, joint: float, removed: float, enhanced: float, lost: int, *, noise: float = 0.0) -> MethodResult:
    """A method whose images all have these figures, give or take `noise`; `lost` of 200 are wrong when pruned."""
    generator = torch.Generator().manual_seed(len(name))
    keys = torch.arange(IMAGES)
    metrics = ConditionMetrics(CONDITIONS, 2, method=name, replicates=300)

    def scores(probability: float, wrong: int = 0) -> Tensor:
        own = torch.full((IMAGES,), probability) + noise * torch.randn(IMAGES, generator=generator)
        own[:wrong] = 0.4
        return torch.stack([own, 1 - own], 1)

    labels = torch.zeros(IMAGES, dtype=torch.int64)
    metrics.update([scores(0.8), scores(removed), scores(enhanced), scores(0.7, lost)], labels, keys)
    score = BootstrapMean(replicates=300)
    score.update(joint + noise * torch.randn(IMAGES, generator=generator), keys)
    return MethodResult(name, score.compute(), metrics)


def verdicts(*results: MethodResult) -> list[str]:
    return [claim.verdict for claim in paper_claims(results, top_k=1)]


def test_the_best_of_each_measure_is_told_by_its_direction() -> None:
    comparison = compare([method("jas", 2.0, 0.6, 0.9, 0), method("random", 1.0, 0.8, 0.85, 10)])
    best = {measure.label: comparison.best(row) for row, measure in enumerate(comparison.measures)}
    assert best == {
        "joint score (JAS)": [True, False],
        "removed: Δ probability, %": [True, False],  # the larger loss
        "enhanced: Δ probability, %": [True, False],
        "removed: Δ top-1, points": [False, False],  # alike
        "enhanced: Δ top-1, points": [False, False],
        "1 kept, 100% pruned: top-1, %": [True, False],
    }
    texts = [[m.text(cell.value) for cell in row] for m, row in zip(comparison.measures, comparison.cells)]
    assert texts[:3] == [["+2", "+1"], ["-25.00", "+0.00"], ["+12.50", "+6.25"]]
    assert texts[5] == ["100.0", "95.0"]


def test_equal_values_as_written_are_best_alike_and_a_missing_one_never_is() -> None:
    comparison = compare([method("jas", 1.00001, 0.6, 0.9, 0), method("random", 1.0, 0.6, 0.9, 0)])
    assert comparison.best(0) == [False, False]
    third = method("activation", 0.5, 0.6, 0.9, 0)
    equal = compare([method("jas", 1.00001, 0.6, 0.9, 0), method("random", 1.0, 0.6, 0.9, 0), third])
    assert equal.best(0) == [True, True, False]
    without = MethodResult("jas", None, method("jas", 1.0, 0.6, 0.9, 0).metrics)
    assert compare([without, method("random", 1.0, 0.6, 0.9, 0)]).best(0) == [False, True]
    assert compare([without]).best(0) == [False]
    assert compare([without]).measures[0].text(math.nan) == "–"


def test_claims_hold_where_every_rival_is_behind_without_doubt() -> None:
    own, rival = method("jas", 2.0, 0.5, 0.95, 0), method("random", 1.0, 0.8, 0.85, 0)
    assert verdicts(own, rival) == ["held"] * 4
    assert verdicts(own, rival, method("activation", 3.0, 0.8, 0.85, 0)) == ["not held", "held", "held", "held"]


def test_claims_are_undecided_where_the_interval_holds_no_difference() -> None:
    own, rival = method("jas", 1.001, 0.5, 0.95, 0, noise=0.05), method("random", 1.0, 0.8, 0.85, 0, noise=0.05)
    assert verdicts(own, rival)[0] == "undecided"
    equal = method("jas", 1.0, 0.5, 0.95, 0)
    assert verdicts(equal, method("random", 1.0, 0.5, 0.95, 0))[:3] == ["undecided"] * 3


@pytest.mark.parametrize(("lost", "verdict"), [(0, "held"), (2, "undecided"), (40, "not held")])
def test_pruning_keeps_accuracy_within_a_point(lost: int, verdict: str) -> None:
    assert verdicts(method("jas", 1.0, 0.5, 0.95, lost)) == [verdict]


def test_a_variant_is_no_rival() -> None:
    own = method("jas", 1.0, 0.5, 0.95, 0)
    assert verdicts(own, method("random", 0.5, 0.8, 0.85, 0), method("finer", 2.0, 0.1, 1.0, 0)) == ["held"] * 4
    assert verdicts(own, method("finer", 2.0, 0.1, 1.0, 0)) == ["held"]


def test_without_jas_there_is_nothing_to_claim() -> None:
    assert paper_claims([method("random", 1.0, 0.5, 0.95, 0)], top_k=1) == []


def test_text_to_paste() -> None:
    results = [method("jas", 2.0, 0.6, 0.9, 0), method("gradient_activation", 1.0, 0.8, 0.85, 10)]
    comparison = compare(results)
    markdown = to_markdown(comparison).splitlines()
    assert markdown[0] == "|  | `jas` | `gradient_activation` |"
    assert markdown[2] == "| joint score (JAS) | **+2** [+2, +2] | +1 [+1, +1] |"
    assert all(line.count("|") == 4 for line in markdown)
    latex = to_latex(comparison)
    assert r"gradient\_activation" in latex
    assert r"removed: $\Delta$ probability, \% & \textbf{-25.00} & +0.00 \\" in latex
    assert r"\begin{tabular}{lrr}" in latex
    claims = claims_to_markdown(paper_claims(results, 1))
    assert (
        "| jas has the highest joint score | **held** | +1 [+1, +1] against gradient_activation, the closest |"
        in claims
    )
