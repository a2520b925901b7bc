from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nplight.neurons import path_masks, prune_order, pruned_masks, random_priority


@given(st.integers(1, 40), st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**31))
def test_pruned_neurons_are_nested_counted_and_outside_the_path(
    width: int, one: float, other: float, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    neurons = torch.randint(width, (3, 1, 4), generator=draw)
    (path,) = path_masks(neurons, [width])
    order = prune_order([path], [torch.rand(3, width, generator=draw)])
    small, large = sorted((one, other))
    (few,), (many,) = pruned_masks([path], small, order), pruned_masks([path], large, order)
    assert not (few & path).any()
    assert not (few & ~many).any()
    others = width - path.sum(1)
    assert few.sum(1).tolist() == (others * small + 0.5).floor().tolist()
    assert torch.equal(pruned_masks([path], 1.0)[0], pruned_masks([path], 1.0, order)[0])


def test_a_path_is_masked_where_it_is_and_a_repeated_neuron_counts_once() -> None:
    first, second = path_masks(torch.tensor([[[0, 2], [1, 1]], [[3, 0], [4, 2]]]), [4, 5])
    assert first.tolist() == [[True, False, True, False], [True, False, False, True]]
    assert second.nonzero().tolist() == [[0, 1], [1, 2], [1, 4]]


def test_a_fraction_without_an_order_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"`order` must be given .* got 0.5; take it from prune_order"):
        pruned_masks([torch.zeros(1, 4, dtype=torch.bool)], 0.5)


def test_priorities_follow_the_generator_alone() -> None:
    draws = [random_priority(2, [3, 5], torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert [layer.shape for layer in draws[0]] == [(2, 3), (2, 5)]
    assert all(torch.equal(*pair) for pair in zip(draws[0], draws[1]))
    assert not torch.equal(draws[0][0], draws[2][0])
