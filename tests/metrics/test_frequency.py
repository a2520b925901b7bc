from __future__ import annotations

import pytest
import torch
from torch import Tensor

import nplight.metrics.frequency as module
from nplight.errors import ArgumentError
from nplight.metrics import NeuronCounts, NeuronFrequency, neuron_frequency

SIZES = {"num_classes": 4, "width": 9}


def drawn_paths(images: int = 30, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Paths of 2 of 9 neurons in 3 layers; category 3 has no image."""
    draw = torch.Generator().manual_seed(seed)
    neurons = torch.rand(images, 3, 9, generator=draw).argsort(-1)[..., :2]
    return neurons, torch.randint(3, (images,), generator=draw)


def counted(neurons: Tensor, labels: Tensor) -> Tensor:
    """One image after the other."""
    counts = torch.zeros(4, 3, 9, dtype=torch.int64)
    for path, label in zip(neurons.tolist(), labels.tolist()):
        for layer, chosen in enumerate(path):
            for neuron in set(chosen):
                counts[label, layer, neuron] += 1
    return counts


def assert_same(found: NeuronCounts, expected: NeuronCounts) -> None:
    assert found.counts.is_coalesced()
    assert torch.equal(found.counts.to_dense(), expected.counts.to_dense())
    assert torch.equal(found.images, expected.images)


def test_counts_are_those_of_one_image_after_the_other() -> None:
    neurons, labels = drawn_paths()
    found = neuron_frequency(neurons, labels, **SIZES)
    assert found.counts.dtype == torch.int64
    assert torch.equal(found.counts.to_dense(), counted(neurons, labels))
    assert found.images.tolist() == [*labels.bincount().tolist(), 0]


def test_a_neuron_that_stands_twice_in_a_layer_counts_once() -> None:
    neurons = torch.tensor([[[4, 4], [0, 8], [4, 0]], [[4, 5], [8, 0], [0, 0]]])
    found = neuron_frequency(neurons, torch.tensor([1, 1]), **SIZES)
    dense = found.counts.to_dense()
    assert torch.equal(dense, counted(neurons, torch.tensor([1, 1])))
    assert dense[1, 0, 4] == 2
    assert dense[1, 2, 0] == 2


@pytest.mark.parametrize("pending", [0, 7, 10_000])
def test_gathered_batch_by_batch_and_merged_they_are_the_same(pending: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PENDING", pending)
    neurons, labels = drawn_paths()
    first, second, idle = (NeuronFrequency(4, 3, 9) for _ in range(3))
    for part in (slice(0, 1), slice(1, 20), slice(20, 20), slice(20, 24)):
        first.update(neurons[part], labels[part])
    second.update(neurons[24:], labels[24:])
    second.merge_state(idle)
    first.merge_state(second)
    assert_same(first.compute(), neuron_frequency(neurons, labels, **SIZES))


def test_memory_is_bounded_by_the_neurons_not_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PENDING", 50)
    metric = NeuronFrequency(4, 3, 9)
    held = []
    for seed in range(60):
        metric.update(*drawn_paths(seed=seed))
        held.append(sum(map(len, metric.keys)))
    # At most two batches and one more, or all neurons there are, as much again and a batch.
    assert max(held) <= 3 * (30 * 3 * 2)
    assert metric.compute().images.sum() == 60 * 30


def test_a_result_is_left_alone_by_later_updates() -> None:
    neurons, labels = drawn_paths()
    metric = NeuronFrequency(4, 3, 9)
    metric.update(neurons, labels)
    found, expected = metric.compute(), neuron_frequency(neurons, labels, **SIZES)
    metric.update(neurons, labels)
    assert_same(found, expected)
    assert torch.equal(metric.compute().counts.to_dense(), 2 * expected.counts.to_dense())


def test_no_images_give_no_counts() -> None:
    metric = NeuronFrequency(4, 3, 9)
    metric.update(torch.empty(0, 3, 2, dtype=torch.int64), torch.empty(0, dtype=torch.int64))
    found = metric.compute()
    assert found.counts.shape == (4, 3, 9)
    assert found.counts._nnz() == 0
    assert found.images.tolist() == [0] * 4


def test_wrong_arguments_are_refused() -> None:
    neurons, labels = drawn_paths()
    with pytest.raises(ArgumentError, match="`depth` must be an integer of at least 1, got 0"):
        NeuronFrequency(4, 0, 9)
    with pytest.raises(ArgumentError, match=r"`neurons` of layer \d must be in 0 … 4"):
        neuron_frequency(neurons, labels, num_classes=4, width=5)
    with pytest.raises(ArgumentError, match=r"`labels` must be in 0 … 1, got 2"):
        neuron_frequency(neurons, labels.sort(descending=True).values, num_classes=2, width=9)
    with pytest.raises(ArgumentError, match=r"`labels` must be an int64 tensor of shape \(30,\), got torch.float32"):
        neuron_frequency(neurons, labels.float(), **SIZES)
    with pytest.raises(ArgumentError, match="layers = 2"):
        NeuronFrequency(4, 2, 9).update(neurons, labels)
