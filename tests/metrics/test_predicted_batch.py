from __future__ import annotations

import torch

from nplight.metrics import PredictedBatch


def test_it_holds_what_each_condition_gives_the_label() -> None:
    clean, edited = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]]), torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.9, 0.0]])
    batch = PredictedBatch.of([clean, edited], torch.tensor([0, 1]), clean=0)
    assert batch.correct.tolist() == [[1, 0], [1, 1]]
    torch.testing.assert_close(batch.probability, torch.tensor([[0.7, 0.2], [0.6, 0.9]]).double())
    assert batch.correct.dtype == batch.probability.dtype == torch.float64
    assert batch.clean == 0
    assert batch.logits is None


def test_logits_give_the_probabilities_when_they_are_asked_for() -> None:
    logits, labels = (
        [torch.randn(3, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)],
        torch.arange(3),
    )
    batch = PredictedBatch.of_logits(logits, labels, clean=1)
    given = PredictedBatch.of([scores.softmax(1) for scores in logits], labels, clean=1)
    assert torch.equal(batch.probability, given.probability)
    assert torch.equal(batch.correct, given.correct)
    assert batch.logits is logits
    assert len(batch.probabilities) == 2
    for one, other in zip(batch.probabilities, given.probabilities):
        assert torch.equal(one, other)
    (last,) = batch.probabilities[1:]
    assert torch.equal(last, given.probabilities[1])
