"""Training appended neurons, in a few steps."""

from __future__ import annotations

import torch

from nplight.planted import TriggerCase
from nplight.planted.appended_neurons import append_neurons
from nplight.planted.trigger_case import TARGET
from nplight.planted.trigger_training import digits_model, train_trigger
from nplight.planted.triggered_digits import triggered, unseen_digits


def test_a_few_steps_of_training_raise_the_target_and_follow_from_the_seed() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    case = TriggerCase(top_k=3)
    start, first, again, other = (
        train_trigger(case, seed=seed, steps=steps) for seed, steps in ((0, 0), (0, 20), (0, 20), (1, 20))
    )
    assert torch.equal(torch.rand(3), wanted)
    for values, repeated, others in zip(first, again, other):
        assert torch.equal(values, repeated)
        assert not torch.equal(values, others)
    images = triggered(unseen_digits().images[:100])
    probabilities = []
    for appended in (start, first):
        model = digits_model()
        append_neurons(model, appended, class_token=False)
        with torch.no_grad():
            probabilities.append(model(images).softmax(1)[:, TARGET].mean().item())
    assert probabilities[1] > probabilities[0] + 0.1
