from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from sklearn.naive_bayes import CategoricalNB
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics import PathReadOut


def paths(images: int, top_k: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Neurons around a prototype of each of five categories, the third without images."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.tensor([0, 1, 3, 4])[torch.randint(4, (images,), generator=draw)]
    ranks = torch.rand(images, 3, 8, generator=draw)
    ranks[torch.arange(images), :, labels] += 0.3
    return ranks.argsort(-1, descending=True)[..., :top_k], labels


def fitted(neurons: Tensor, labels: Tensor, batch: int = 1000) -> PathReadOut:
    model = PathReadOut(5, [8, 8, 8])
    for part in torch.arange(len(labels)).split(batch):
        model.update(neurons[part], labels[part])
    return model


def test_one_neuron_per_layer_is_read_as_by_scikit_learn() -> None:
    neurons, labels = paths(200, 1)
    others, _ = paths(300, 1, seed=1)
    oracle = CategoricalNB(min_categories=8).fit(neurons[:, :, 0].numpy(), labels.numpy())
    assert fitted(neurons, labels).guess(others).tolist() == oracle.predict(others[:, :, 0].numpy()).tolist()


def test_several_neurons_are_independent_draws() -> None:
    neurons, labels = paths(60, 3)
    others, _ = paths(40, 3, seed=1)
    guesses = []
    for path in others:
        scores = []
        for category in range(5):
            members = neurons[labels == category]
            score = math.log(len(members) / 60) if len(members) else -math.inf
            for layer, rank in product(range(3), range(3)):
                having = int((members[:, layer] == path[layer, rank]).sum())
                score += math.log((having + 1) / (3 * len(members) + 8))
            scores.append(score)
        guesses.append(int(np.argmax(scores)))
    assert fitted(neurons, labels).guess(others).tolist() == guesses
    assert len(set(guesses)) == 4


def test_batches_do_not_matter_and_further_ones_are_learned() -> None:
    neurons, labels = paths(90, 2)
    others, _ = paths(50, 2, seed=1)
    whole, in_batches = fitted(neurons, labels), fitted(neurons[:40], labels[:40], batch=7)
    assert in_batches.guess(others).shape == (50,)
    in_batches.update(neurons[40:], labels[40:])
    assert torch.equal(whole.guess(others), in_batches.guess(others))
    assert torch.equal(whole.guess(others[:9]), whole.guess(others)[:9])


def test_a_thousand_categories_of_wide_layers_take_little_memory() -> None:
    labels = torch.arange(4000) % 1000
    neurons = (labels[:, None, None] * 3 + torch.arange(12)[:, None]) % 3072
    model = PathReadOut(1000, [3072] * 12)
    model.update(neurons, labels)
    assert torch.equal(model.guess(neurons[:1000]), labels[:1000])
    assert model._fitted is not None
    assert model._fitted[0].nnz == 12_000


def test_bad_paths_are_refused() -> None:
    model = PathReadOut(5, [8, 8, 8])
    with pytest.raises(ArgumentError, match="`labels` must be in 0 … 4"):
        model.update(torch.zeros(1, 3, 1, dtype=torch.int64), torch.tensor([5]))
    with pytest.raises(ArgumentError, match="`num_classes` must be an integer of at least 1"):
        PathReadOut(0, [8])
