from __future__ import annotations

import pytest
import torch

from nplight import CategoryPaths
from nplight.errors import ArgumentError
from nplight.metrics import CONTROLS, ControlSetting

WIDTHS, CATEGORIES, SIZES = (64, 64), 6, (1, 4)


@pytest.fixture
def paths() -> dict[int, CategoryPaths]:
    order = torch.rand(CATEGORIES, 2, 64, generator=torch.Generator().manual_seed(0)).argsort(-1)
    ones = torch.ones(CATEGORIES, dtype=torch.int64)
    return {
        size: CategoryPaths(order[..., :size], torch.ones(CATEGORIES, 2, size), ones, "frequency") for size in SIZES
    }


def setting(**changes: object) -> ControlSetting:
    draw = torch.Generator().manual_seed(1)
    activations = [torch.randn(width, generator=draw) for width in WIDTHS]
    values = {"widths": WIDTHS, "sizes": SIZES, "num_classes": CATEGORIES, "seed": 0, "activations": activations}
    return ControlSetting(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_has_paths_of_the_same_size_whatever_the_batch(name: str, paths: dict[int, CategoryPaths]) -> None:
    control, labels = CONTROLS[name].make(setting()), torch.tensor([3, 0, 3])
    found = control.of(paths, labels, 1)
    for size, neurons in found.items():
        assert neurons.shape == (3, 2, size)
        assert all(len(set(layer)) == size for image in neurons.tolist() for layer in image)
        assert torch.equal(neurons[0], neurons[2])
        assert torch.equal(CONTROLS[name].make(setting()).of(paths, labels[1:2], 1)[size], neurons[1:2])
        assert not torch.equal(control.of(paths, labels, 0)[size], neurons)
        assert not torch.equal(CONTROLS[name].make(setting(seed=5)).of(paths, labels, 1)[size], neurons)


def test_random_paths_are_nested_and_the_same_for_every_search(paths: dict[int, CategoryPaths]) -> None:
    control, labels = CONTROLS["random"].make(setting()), torch.arange(CATEGORIES)
    found = control.of(paths, labels, 0)
    assert torch.equal(found[4][..., :1], found[1])
    assert CONTROLS["random"].drawn


def test_every_category_has_the_path_of_another_one(paths: dict[int, CategoryPaths]) -> None:
    control, labels = CONTROLS["other-category"].make(setting()), torch.arange(CATEGORIES)
    for draw in range(20):
        neurons = control.of(paths, labels, draw)[4]
        owners = [[torch.equal(path, own) for own in paths[4].neurons].index(True) for path in neurons]
        assert sorted(owners) == list(range(CATEGORIES))
        assert all(owner != category for category, owner in enumerate(owners))
    with pytest.raises(ArgumentError, match="needs at least two categories"):
        CONTROLS["other-category"].make(setting(num_classes=1))


def test_like_neurons_are_of_the_same_bins_and_not_on_the_path(paths: dict[int, CategoryPaths]) -> None:
    control, activations = CONTROLS["like-activation"].make(setting()), setting().activations
    found = control.of(paths, torch.arange(CATEGORIES), 0)
    for category in range(CATEGORIES):
        for layer, means in enumerate(activations):
            bins = means.abs().argsort().argsort() // 16
            path, like = paths[4].neurons[category, layer], found[4][category, layer]
            assert bins[path].sort().values.tolist() == bins[like].sort().values.tolist()
            assert not set(path.tolist()) & set(like.tolist())
    with pytest.raises(ArgumentError, match="at most half of a layer's 64 neurons, got 40 per layer"):
        CONTROLS["like-activation"].make(setting(sizes=(40,)))


def test_bins_grow_where_a_path_takes_most_of_one_and_repeated_neurons_count_once() -> None:
    means = torch.arange(64.0)
    crowded = torch.arange(12)[None, None]
    paths = {12: CategoryPaths(crowded, torch.ones(1, 1, 12), torch.ones(1).long(), "frequency")}
    control = CONTROLS["like-activation"].make(setting(widths=(64,), sizes=(12,), activations=[means]))
    like = control.of(paths, torch.tensor([0]), 0)[12][0, 0].tolist()
    assert set(like) <= set(range(12, 32))
    assert len(set(like)) == 12
    repeated = CategoryPaths(torch.tensor([[[5, 5, 5]]]), torch.ones(1, 1, 3), torch.ones(1).long(), "rank-mode")
    drawn = control.of({3: repeated}, torch.tensor([0]), 0)[3]
    assert drawn.shape == (1, 1, 3)
    assert len(set(drawn.flatten().tolist())) == 1
