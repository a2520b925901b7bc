"""Layer 0 with as many nodes as a guess from frozen patch tokens says."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nplight import open_vit, search
from nplight.attribution import Evaluate, Problem, Settled, clean_pass, first_counts, settle, settle_first_layer
from nplight.attribution.layer_scores import layer_sums
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.conftest import Reference, make_vit

first_layer = importlib.import_module("nplight.attribution.first_layer")
STEPS = 20
FEW = 12


@pytest.fixture
def sharp(reference: Reference) -> Reference:
    """The head's weights times 8: the probability of many images is a step in α."""
    with torch.no_grad():
        reference.model.head.weight.mul_(8)
    return reference


def settled(reference: Reference, how: Callable[[Problem, Evaluate], Settled]) -> Settled:
    vit = open_vit(reference.model)
    images, labels = reference.images[::4], reference.labels[::4]

    def evaluate(part: Problem, positions: Tensor) -> list[Tensor]:
        assert torch.equal(part.targets, labels[positions])
        return [layer_sums(part, labels.new_zeros(len(positions), 0, 1))]

    with undisturbed(vit.model):
        return how(problem(vit, clean_pass(vit, images), labels, steps=STEPS, tolerance=1e-6), evaluate)


def plain(whole: Problem, evaluate: Evaluate) -> Settled:
    return settle(whole, evaluate, first_counts(whole), at=Problem.with_mapped_nodes)


def every(whole: Problem, evaluate: Evaluate) -> Settled:
    return settle(whole, evaluate, (STEPS,))


def test_the_guess_saves_evaluations_and_changes_no_score(sharp: Reference) -> None:
    guessed, known, full = (settled(sharp, how) for how in (settle_first_layer, plain, every))
    largest = full.scores[0].amax(1)
    assert ((guessed.scores[0].amax(1) - largest).abs() <= 1e-6 * largest).all()
    assert torch.equal(guessed.scores[0].argmax(1), full.scores[0].argmax(1))
    assert set(known.evaluations.tolist()) == {FEW, FEW + STEPS}
    assert STEPS in guessed.evaluations.tolist()
    # Nearly always right.
    right = torch.where(known.evaluations == FEW, FEW, STEPS)
    assert (guessed.evaluations == right).double().mean() >= 0.9
    assert guessed.evaluations.sum() < known.evaluations.sum()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_wrong_guess_costs_time_alone(sharp: Reference, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def guess(whole: Problem, evaluate: Evaluate, count: int) -> Tensor:
        return torch.rand(len(whole.targets), generator=torch.Generator().manual_seed(0)) < share

    monkeypatch.setattr(first_layer, "_looks_sharp", guess)
    found, full = settled(sharp, settle_first_layer), settled(sharp, every)
    assert torch.equal(found.scores[0].argmax(1), full.scores[0].argmax(1))
    largest = full.scores[0].amax(1)
    assert ((found.scores[0].amax(1) - largest).abs() <= 1e-6 * largest).all()


def test_what_cannot_be_frozen_is_not_guessed(images: Tensor, targets: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_layer, "frozen_pass", None)  # must not be called
    for vit, options in ((make_vit(global_pool="avg"), {}), (make_vit(), {"patch_stream": "frozen"})):
        fast, full = (search(vit, images, targets, steps=40, tolerance=tolerance, **options) for tolerance in (1e-6, 0))
        assert torch.equal(fast.neurons, full.neurons)
        assert (fast.evaluations < full.evaluations).any()
