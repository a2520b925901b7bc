from __future__ import annotations

import torch

from nplight.metrics import neuron_frequency
from nplight.report import neuron_use, particular_neurons, shared_neurons

WIDTH, LAYERS, CATEGORIES = 12, 3, 4


def made() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(CATEGORIES).repeat_interleave(10)
    # Nothing of category 3 in layer 0 but neuron 11, which no other category has.
    neurons = torch.randint(WIDTH - 1, (40, LAYERS, 2), generator=draw)
    neurons[labels == 3, 0] = 11
    return neurons, labels


def test_tables_equal_a_look_at_every_neuron() -> None:
    neurons, labels = made()
    counts = neuron_frequency(neurons, labels, num_classes=CATEGORIES, width=WIDTH)
    share = counts.counts.to_dense().double() / counts.images[:, None, None]
    for one in shared_neurons(counts, 200):
        own = share[:, one.layer, one.neuron]
        assert one.share == own.mean().item()
        assert one.categories == (own > 0).sum()
    means = [one.share for one in shared_neurons(counts, 5)]
    assert means == sorted(share.mean(0).flatten().tolist(), reverse=True)[:5]

    top = share.topk(2, dim=0).values
    for one in particular_neurons(counts, 200):
        assert [one.share, one.elsewhere] == top[:, one.layer, one.neuron].tolist()
        assert share[one.category, one.layer, one.neuron] == one.share
    leads = [one.share - one.elsewhere for one in particular_neurons(counts, 5)]
    assert leads == sorted((top[0] - top[1]).flatten().tolist(), reverse=True)[:5]


def test_a_neuron_of_one_category_alone_is_the_most_particular() -> None:
    neurons, labels = made()
    counts = neuron_frequency(neurons, labels, num_classes=CATEGORIES, width=WIDTH)
    assert particular_neurons(counts, 1)[0] == (0, 11, 3, 1.0, 0.0)


def test_the_most_used_neurons_of_each_category_are_kept() -> None:
    neurons, labels = made()
    counts = neuron_frequency(neurons, labels, num_classes=CATEGORIES, width=WIDTH)
    share = counts.counts.to_dense().double() / counts.images[:, None, None]
    everything = neuron_use(counts, limit=1000)
    some = neuron_use(counts, limit=3)
    for category in range(CATEGORIES):
        assert torch.equal(everything.dense(category, (WIDTH,) * LAYERS), share[category])
        kept = some.dense(category, (WIDTH,) * LAYERS)
        assert (kept > 0).sum() <= 3
        assert kept[kept > 0].min() >= share[category][kept == 0].max()
