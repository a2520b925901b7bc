from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics import pair_shares, path_shares, random_share, shares_in_common


def drawn(images: int, seed: int = 0, *, width: int = 12, top_k: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(images, 4, width, generator=draw).argsort(-1)[..., :top_k]


def in_common(first: Tensor, second: Tensor) -> float:
    layers = [len(set(a.tolist()) & set(b.tolist())) / min(len(a), len(b)) for a, b in zip(first, second)]
    return sum(layers) / len(layers)


def test_shares_are_those_of_sets() -> None:
    paths, others = drawn(7), drawn(7, seed=1)
    assert path_shares(paths, others).tolist() == pytest.approx([in_common(*pair) for pair in zip(paths, others)])
    wider = drawn(5, seed=2, top_k=5)
    expected = [[in_common(path, other) for other in wider] for path in paths]
    torch.testing.assert_close(shares_in_common(paths, wider), torch.tensor(expected, dtype=torch.float64))


def test_random_paths_have_the_expected_share_in_common() -> None:
    assert random_share(3, [12, 12, 12, 12]) == 0.25
    assert random_share(1, [2, 4]) == 0.375
    mean = path_shares(drawn(4000), drawn(4000, seed=1)).mean().item()
    assert mean == pytest.approx(0.25, abs=0.01)


def test_pairs_are_all_pairs_of_different_images() -> None:
    paths, labels = drawn(9), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3])
    same, other = [], []
    for first, second in itertools.combinations(range(9), 2):
        (same if labels[first] == labels[second] else other).append(in_common(paths[first], paths[second]))
    shares = pair_shares(paths, labels)
    assert (shares.within.value, shares.between.value) == pytest.approx((np.mean(same), np.mean(other)))
    assert (shares.within.images, shares.between.images) == (8, 9)


def test_the_interval_of_pairs_covers() -> None:
    """The paths of a category share a prototype with a rate that varies from image to image."""
    covered = 0
    for seed in range(150):
        draw = torch.Generator().manual_seed(seed)
        rate = torch.rand(30, 1, 1, generator=draw)
        own = torch.arange(30)[:, None, None] + 1  # a neuron of each image's own: no other image has it
        paths = torch.where(torch.rand(30, 4, 1, generator=draw) < rate, 0, own)
        estimate = pair_shares(paths, torch.zeros(30, dtype=torch.int64)).within
        covered += estimate.low <= 0.25 <= estimate.high  # the square of the mean rate
    assert covered >= 0.92 * 150


def test_no_pairs_no_share_and_one_pair_no_certainty() -> None:
    shares = pair_shares(drawn(3), torch.tensor([0, 1, 2]))
    assert math.isnan(shares.within.value)
    assert not math.isnan(shares.between.value)
    one = pair_shares(drawn(2), torch.tensor([0, 0]))
    assert (one.within.low, one.within.high) == (0, 1)
    assert math.isnan(one.between.value)
    alike = pair_shares(drawn(1).expand(10, -1, -1), torch.zeros(10, dtype=torch.int64)).within
    assert alike.value == 1
    assert alike.low < 0.8
    with pytest.raises(ArgumentError, match=r"`labels` must be an int64 tensor of shape \(3,\)"):
        pair_shares(drawn(3), torch.tensor([0, 1]))
