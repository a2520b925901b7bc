from __future__ import annotations

import torch

from nplight.metrics import RandomPaths, random_paths


def test_a_path_is_of_distinct_neurons_and_depends_on_seed_draw_and_number_alone() -> None:
    paths = RandomPaths([8, 32], 5, seed=3)
    numbers = torch.tensor([4, 9, 4])
    drawn = paths.of(numbers, 2)
    assert drawn.shape == (3, 2, 5)
    assert torch.equal(drawn[0], drawn[2])
    assert all(len(set(layer)) == 5 for image in drawn.tolist() for layer in image)
    assert drawn[:, 0].max() < 8 <= drawn[:, 1].max() < 32
    again = RandomPaths([8, 32], 5, seed=3)
    again.of(torch.tensor([100, 9]), 0)
    assert torch.equal(again.of(numbers[1:2], 2), drawn[1:2])
    others = [RandomPaths([8, 32], 5, seed=4).of(numbers, 2), paths.of(numbers, 1), paths.of(numbers + 1, 2)]
    assert not any(torch.equal(other, drawn) for other in others)


def test_smaller_paths_are_the_beginning_of_larger_ones() -> None:
    numbers = torch.arange(3)
    large, small = (RandomPaths([64], size).of(numbers, 0) for size in (16, 4))
    assert torch.equal(large[..., :4], small)


def test_every_neuron_is_as_likely_as_any_other() -> None:
    drawn = RandomPaths([16], 4).of(torch.arange(2000), 0)
    counts = drawn.flatten().bincount(minlength=16)
    # Binomial of 2,000 images and a quarter: 500 with a standard deviation of 19.
    assert (counts - 500).abs().max() < 5 * 19.4


def test_few_orders_are_remembered() -> None:
    paths = RandomPaths([4], 1)
    paths.of(torch.arange(random_paths._REMEMBERED + 10), 0)
    assert len(paths._orders) == random_paths._REMEMBERED
