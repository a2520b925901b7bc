"""The load of neurons, by the formula and by processes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight import open_vit, record
from nplight.errors import ArgumentError
from nplight.shrinking.neuron_load import NeuronLoad, neuron_loads
from tests.conftest import make_vit


@pytest.mark.parametrize("init_values", [None, 0.3])
def test_it_is_the_mean_size_times_the_norm_of_what_is_written(init_values: float | None, images: Tensor) -> None:
    model = make_vit(init_values=init_values)
    with record(model, tokens="all") as values, torch.no_grad():
        model(images)
    for layer, load in enumerate(neuron_loads(model, [images])):
        down = open_vit(model).down[layer]
        written = torch.stack([down.increment(one) for one in torch.eye(down.width, dtype=torch.float64)])
        expected = values[layer].abs().mean((0, 1)) * written.detach().norm(dim=1)
        torch.testing.assert_close(load, expected)


def test_it_depends_on_no_batches(images: Tensor) -> None:
    whole = neuron_loads(make_vit(), [images])
    apart = neuron_loads(make_vit(), list(images.split(1)))
    for first, second in zip(whole, apart):
        torch.testing.assert_close(first, second, rtol=1e-12, atol=0)


def test_without_images_and_with_broken_ones(images: Tensor) -> None:
    with pytest.raises(ArgumentError, match="at least one image, got none"):
        neuron_loads(make_vit(), [])
    load = NeuronLoad(make_vit())
    load.update(torch.full_like(images, torch.inf))
    with pytest.raises(ArgumentError, match="finite neurons, got NaN or infinite ones in layers 0, 1, 2"):
        load.compute()
