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
