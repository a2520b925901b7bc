from __future__ import annotations

import pytest
import torch

from nplight import category_paths
from nplight.metrics import neuron_frequency
from nplight.searching.neuron_counts import merged, neuron_keys

DRAW = torch.Generator().manual_seed(0)
NEURONS = torch.rand(40, 3, 20, generator=DRAW).argsort(-1)[..., :4]
LABELS = torch.arange(40) % 3


def test_sums_by_key_are_those_of_a_loop() -> None:
    keys = torch.tensor([7, 2, 7, 9, 2, 7])
    values = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    distinct, counts, sums = merged(keys, torch.ones_like(keys), values)
    assert distinct.tolist() == [2, 7, 9]
    assert (counts.tolist(), sums.tolist()) == ([2, 3, 1], [18, 37, 8])


@pytest.mark.parametrize("ranks", [None, torch.arange(4)])
def test_a_key_is_of_one_neuron_of_one_category_and_layer(ranks: torch.Tensor | None) -> None:
    keys = neuron_keys(LABELS, NEURONS, 20, ranks)
    parts = torch.stack(
        [
            LABELS[:, None, None].expand_as(NEURONS),
            torch.arange(3)[None, :, None].expand_as(NEURONS),
            (torch.zeros(4, dtype=torch.int64) if ranks is None else ranks).expand_as(NEURONS),
            NEURONS,
        ],
        -1,
    )
    assert len(keys.unique()) == len(parts.flatten(0, 2).unique(dim=0))
    assert torch.equal(keys.flatten().argsort(stable=True), _in_order(parts.flatten(0, 2)))


def test_the_votes_for_category_paths_are_the_frequencies_of_their_neurons() -> None:
    paths = category_paths(NEURONS, LABELS, num_classes=3, top_k=4)
    counts = neuron_frequency(NEURONS, LABELS, num_classes=3, width=20).counts.to_dense()
    assert torch.equal(paths.votes.long(), counts.gather(2, paths.neurons))
    assert torch.equal(paths.votes.long(), counts.sort(descending=True).values[..., :4])


def _in_order(parts: torch.Tensor) -> torch.Tensor:
    """The positions of rows of numbers in their order, as of one number written with them as digits."""
    return torch.tensor(sorted(range(len(parts)), key=lambda row: parts[row].tolist()))
