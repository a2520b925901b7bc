from __future__ import annotations

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.metrics import PathAgreement, estimate, path_agreement

KEYS = torch.arange(12)


def drawn_paths(top_k: int, seed: int) -> torch.Tensor:
    return torch.rand(12, 3, 6, generator=torch.Generator().manual_seed(seed)).argsort(-1)[..., :top_k]


@pytest.mark.parametrize(("top_k", "other_k"), [(1, 1), (3, 3), (2, 5), (5, 2)])
def test_agreement_is_the_share_of_the_smaller_path_in_the_larger(top_k: int, other_k: int) -> None:
    neurons, other = drawn_paths(top_k, 0), drawn_paths(other_k, 1)
    found = path_agreement(neurons, other)
    for i in range(12):
        for layer in range(3):
            common = set(neurons[i, layer].tolist()) & set(other[i, layer].tolist())
            assert found[i, layer] == len(common) / min(top_k, other_k)
    assert torch.equal(found, path_agreement(other, neurons))
    assert torch.equal(path_agreement(neurons, neurons.flip(-1)), torch.ones(12, 3, dtype=torch.float64))


def test_a_repeated_neuron_counts_once() -> None:
    twice, once = torch.tensor([[[4, 4]]]), torch.tensor([[[4, 5]]])
    assert path_agreement(twice, once).item() == path_agreement(once, twice).item() == 0.5


def test_the_metric_averages_over_images_in_unequal_batches_and_processes() -> None:
    neurons, other = drawn_paths(2, 0), drawn_paths(2, 1)
    other[::4] = neurons[::4].flip(-1)
    first, second = PathAgreement(3, replicates=100), PathAgreement(3, replicates=100)
    first.update(neurons[:1], other[:1], KEYS[:1])
    second.update(neurons[1:], other[1:], KEYS[1:])
    first.merge_state(second)
    found, by_hand = first.compute(), path_agreement(neurons, other)
    assert estimate(found.neurons).value == pytest.approx(by_hand.mean().item())
    assert estimate(found.whole).value == pytest.approx(3 / 12)
    for layer in range(3):
        one = estimate(found.layers.of(layer))
        assert one.value == pytest.approx(by_hand[:, layer].mean().item())
        assert one.low < one.value < one.high
        assert one.images == 12
    # The mean of the layers is the mean in every replicate.
    torch.testing.assert_close(found.layers.values.mean(0), found.neurons.values)


def test_no_images_have_no_agreement() -> None:
    metric = PathAgreement(3, replicates=5)
    empty = drawn_paths(2, 0)[:0]
    metric.update(empty, empty, KEYS[:0])
    assert metric.compute().whole.values.isnan().all()


def test_paths_of_other_images_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"must be .* of the same images and layers.*\(12, 3, 2\) and \(11, 3, 2\)"):
        path_agreement(drawn_paths(2, 0), drawn_paths(2, 0)[1:])
    with pytest.raises(ArgumentError, match="K and M >= 1"):
        path_agreement(drawn_paths(2, 0), drawn_paths(0, 0))
    with pytest.raises(ArgumentError, match="`depth` must be an integer of at least 1, got 0"):
        PathAgreement(0)
