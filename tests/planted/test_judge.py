"""Methods judged by known paths."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nplight import METHODS, search
from nplight.errors import ArgumentError
from nplight.paths import PathBatch
from nplight.planted import PLANTED, STRUCTURES, PlantedCase, PlantedModel, build_planted, judge

MODERATE = [
    name for name, case in PLANTED.items() if case.structure in ("chain", "parallel") and case.probability <= 0.98
]


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_method_that_knows_the_path_has_all_of_it(structure: str) -> None:
    case = PLANTED[f"{structure}-all"]
    truth = build_planted(case).paths

    def oracle(model: nn.Module, images: Tensor, targets: Tensor, *, top_k: int, ranked: int) -> PathBatch:
        assert (top_k, ranked) == (case.top_k, 256)
        scores = torch.ones(truth.shape)
        per_image = torch.ones(len(images))
        return PathBatch(truth, scores, per_image, targets, per_image, targets, truth, scores, per_image)

    (judgement,) = judge({"oracle": oracle}, case.name)
    assert (judgement.case, judgement.method, judgement.images, judgement.seeds) == (case.name, "oracle", 16, 1)
    for measure in (judgement.recall, judgement.precision, judgement.auroc, judgement.removed, judgement.kept):
        assert measure.value == pytest.approx(1, abs=1e-3)
    # That all of 16 images have it does not show that all images do.
    for measure in (judgement.recall, judgement.precision, judgement.auroc):
        assert 0.8 < measure.low < measure.high == 1


def test_random_neurons_are_at_chance() -> None:
    judgements = judge("random", [f"{structure}-all" for structure in STRUCTURES], seeds=(0, 1, 2))
    for judgement in judgements:
        assert judgement.recall.value < 0.05
        assert judgement.auroc.value == pytest.approx(0.5, abs=0.08)
        assert judgement.seeds == 3
        assert judgement.images == 48


def test_integrated_gradients_find_chains_and_parallel_neurons_beside_every_decoy() -> None:
    judgements = judge("integrated_gradients", MODERATE)
    assert len(judgements) == 2 * (2 * 6 + 5)
    for judgement in judgements:
        assert judgement.recall.value == 1, judgement.case
        assert judgement.removed.value == pytest.approx(1, abs=1e-3)


def test_the_papers_score_pays_loud_and_silent_neurons() -> None:
    """Its product of sums pays an inert neuron what the path's own neurons contribute."""
    names = ["chain", "chain-loud", "chain-silent", "parallel", "parallel-loud", "parallel-silent", "parallel-all"]
    recalls = [judgement.recall.value for judgement in judge("jas", names)]
    assert recalls == [1, 1, 0.5, 1, 0.5, 0.5, 0.25]


def test_gradients_fail_where_the_probability_is_saturated() -> None:
    parallel, saturated = judge("gradient_activation", ["parallel", "parallel-saturated"])
    assert parallel.recall.value == 1
    assert saturated.recall.value < 0.5


def test_settings_reach_every_method() -> None:
    calls: list[dict[str, Any]] = []

    def find(model: nn.Module, images: Tensor, targets: Tensor, **settings: Any) -> PathBatch:
        calls.append(settings)
        return search(model, images, targets, method="activation", top_k=settings["top_k"], ranked=settings["ranked"])

    (judgement,) = judge({"mine": find}, "chain", objective="logit", steps=3)
    assert calls == [{"objective": "logit", "steps": 3, "top_k": 1, "ranked": 256}]
    assert judgement.objective == "logit"


def test_a_name_is_short_for_a_search_by_that_method() -> None:
    named = judge("jas", "parallel-loud", steps=4)
    function = partial(search, method="jas", steps=4)
    assert judge({"jas": function}, {"parallel-loud": PLANTED["parallel-loud"]}) == named
    assert judge(["jas", "activation"], "parallel-loud", steps=4)[0] == named[0]


def test_cases_of_ones_own_are_judged_in_order() -> None:
    cases = {"own": PlantedCase(structure="parallel", decoys=("loud", "silent", "common")), "chain": PlantedCase()}
    judgements = judge(None, cases, replicates=0, steps=2)
    assert [(judgement.case, judgement.method) for judgement in judgements] == [
        (case, method) for case in cases for method in METHODS
    ]


def test_another_model_of_known_paths_is_judged_by_its_own_function() -> None:
    """In float64: `dtype` is for planted cases alone."""
    seeds: list[int] = []

    def build(*, seed: int) -> PlantedModel:
        seeds.append(seed)
        return build_planted(PlantedCase(structure="parallel", top_k=2, depth=5), seed=seed, dtype=torch.float64)

    (judgement,) = judge("integrated_gradients", {"mine": build}, seeds=(4, 7), steps=2)
    assert seeds == [4, 7]
    assert (judgement.case, judgement.images, judgement.recall.value) == ("mine", 32, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": "jass"}, "`methods` must be one of 'jas', .* got 'jass'"),
        ({"cases": ["chain", "chains"]}, "`cases` must be one of 'chain', .* got 'chains'"),
        ({"seeds": ()}, r"`seeds` must be at least one, none of them twice, got \[\]"),
        ({"seeds": (1, 1)}, r"`seeds` must be at least one, none of them twice, got \[1, 1\]"),
    ],
)
def test_bad_arguments_are_refused_before_work(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        judge(**{"methods": "jas", "cases": "chain", **arguments})
