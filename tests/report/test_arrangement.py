from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from nplight.report import clustered, image_plane


def test_like_categories_stand_together() -> None:
    group = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])
    similarity = torch.where(group[:, None] == group, 0.9, 0.1).double().fill_diagonal_(1)
    similarity[4], similarity[:, 4] = torch.nan, torch.nan
    order = clustered(similarity)
    assert sorted(order) == list(range(9))
    assert order[-1] == 4
    groups = group[order[:-1]].tolist()
    assert sum(one != other for one, other in pairwise(groups)) == 2


@pytest.mark.parametrize("categories", [1, 2])
def test_one_or_two_categories_have_an_order(categories: int) -> None:
    assert clustered(torch.eye(categories)) == list(range(categories))


def test_images_with_neurons_in_common_are_near() -> None:
    draw = np.random.default_rng(0)
    group = np.arange(90) % 3
    own = draw.integers(0, 50, (3, 6))
    neurons = np.where(draw.random((90, 6)) < 0.7, own[group], draw.integers(0, 50, (90, 6)))
    plane = image_plane(neurons, 50)
    distance = np.linalg.norm(plane[:, None] - plane, axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert (group[distance.argmin(1)] == group).mean() > 0.8
    assert np.array_equal(plane, image_plane(neurons, 50))


@pytest.mark.parametrize(("images", "distinct"), [(1, 1), (3, 3), (30, 1), (6, 6)])
def test_few_images_or_equal_paths_have_a_plane(images: int, distinct: int) -> None:
    neurons = (np.arange(images) % distinct)[:, None].repeat(2, 1)
    plane = image_plane(neurons, 10)
    assert plane.shape == (images, 2)
    assert np.isfinite(plane).all()
