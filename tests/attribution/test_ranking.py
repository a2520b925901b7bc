from __future__ import annotations

import torch

from nplight.attribution import best_first


def test_the_best_come_first_and_of_equal_ones_the_lower_index() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.0, 3.0, 1.0], [0.0, 0.0, -1.0, 0.0, 5.0]])
    best = best_first(scores, 4)
    assert best.neurons.tolist() == [[1, 3, 2, 0], [4, 0, 1, 3]]
    assert torch.equal(best.scores, scores.gather(1, best.neurons))
    many = best_first(torch.zeros(2, 3, 5000), 5000)
    assert torch.equal(many.neurons, torch.arange(5000).expand(2, 3, -1))
