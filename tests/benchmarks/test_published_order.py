"""The yardstick of the benchmarks computes what the published program computes."""

from __future__ import annotations

import torch

from benchmarks.published_order import published_search
from nplight import open_vit
from nplight.vit import undisturbed
from tests.conftest import Reference


def test_it_finds_the_published_programs_paths_and_scores(reference: Reference) -> None:
    some = slice(0, 80, 10)
    with undisturbed(reference.model):
        neurons, candidates, scores = published_search(
            open_vit(reference.model), reference.images[some], reference.labels[some], steps=20
        )
    assert torch.equal(neurons, reference.neurons[some].squeeze(2))
    torch.testing.assert_close(scores, reference.expected["jas_score"][some], rtol=1e-9, atol=1e-12)
    # The candidate's score at the last layer is taken with all of that layer scaled, not the neuron alone.
    assert candidates.shape == neurons.shape
    assert not torch.allclose(candidates[:, -1], scores)
