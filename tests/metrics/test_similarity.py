from __future__ import annotations

import math

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.metrics import category_similarity, neuron_frequency, pair_similarity, poisson_weights, similar_pairs
from tests.metrics.test_frequency import SIZES, drawn_paths


def mean_product(first: torch.Tensor, second: torch.Tensor, *, same: bool) -> float:
    """Neurons in common of two images, mean over pairs of different images."""
    products = [
        len(set(a.tolist()) & set(b.tolist()))
        for i, one in enumerate(first)
        for j, other in enumerate(second)
        if not (same and i == j)
        for a, b in ((a, b) for a, b in zip(one, other))
    ]
    return sum(products) / (len(products) / len(first[0])) if products else math.nan


def cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    norms = mean_product(first, first, same=True) * mean_product(second, second, same=True)
    return min(1.0, mean_product(first, second, same=False) / math.sqrt(norms)) if norms > 0 else math.nan


def test_similarity_is_the_cosine_of_the_frequency_maps_over_pairs_of_different_images() -> None:
    neurons, labels = drawn_paths()
    found = neuron_frequency(neurons, labels, **SIZES)
    similarity = category_similarity(found)
    for a in range(3):
        for b in range(a):
            expected = cosine(neurons[labels == a], neurons[labels == b])
            assert similarity[a, b].item() == similarity[b, a].item() == pytest.approx(expected, nan_ok=True)
    assert similarity[3].isnan().all()
    assert similarity[:, 3].isnan().all()


def test_equal_paths_are_1_disjoint_ones_0_and_one_image_has_none() -> None:
    neurons = torch.tensor([0, 0, 0, 0, 5, 5, 0])[:, None, None].expand(7, 3, 1)
    similarity = category_similarity(neuron_frequency(neurons, torch.tensor([0, 0, 1, 1, 2, 2, 3]), **SIZES))
    assert similarity[:3, :3].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert similarity[3].isnan().all()


def test_categories_of_few_images_are_as_similar_as_those_of_many() -> None:
    generator = torch.Generator().manual_seed(0)
    cosines = []
    for _ in range(300):
        # Both categories draw from the same four neurons, so that their maps are the same.
        neurons = torch.randint(4, (16, 5, 1), generator=generator)
        counts = neuron_frequency(neurons, torch.arange(16) % 2, num_classes=2, width=9)
        cosines.append(category_similarity(counts)[0, 1].item())
    # With pairs of an image and itself it is 0.74.
    assert sum(cosines) / len(cosines) > 0.9


def test_pairs_come_in_order_ties_by_category_and_without_the_undefined() -> None:
    similarity = torch.full((5, 5), 0.5, dtype=torch.float64)
    similarity[0, 3], similarity[1, 2], similarity[4] = 0.9, 0.1, torch.nan
    similarity[:, 4] = torch.nan
    most, least = similar_pairs(similarity, 3)
    assert most == [(0, 3, 0.9), (0, 1, 0.5), (0, 2, 0.5)]
    assert least == [(1, 2, 0.1), (0, 1, 0.5), (0, 2, 0.5)]
    most, least = similar_pairs(similarity, 100)
    assert len(most) == len(least) == 6
    assert similar_pairs(torch.full((3, 3), torch.nan), 2) == ([], [])
    most, least = similar_pairs(torch.ones(40, 40), 50)
    assert most == least == sorted(most)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"`similarity` must be \(categories, categories\), got \(2, 3\)"):
        similar_pairs(torch.zeros(2, 3), 1)
    with pytest.raises(ArgumentError, match="`count` must be an integer of at least 1, got 0"):
        similar_pairs(torch.zeros(2, 2), 0)


def test_the_cosine_of_a_pair_is_that_of_the_matrix_and_its_replicates_those_of_repeated_images() -> None:
    generator = torch.Generator().manual_seed(4)
    neurons = torch.rand(30, 3, 6, generator=generator).argsort(-1)[..., :2]
    labels, keys = torch.arange(30) % 2, torch.arange(30) * 7
    own = [labels == category for category in (0, 1)]
    pairs = tuple(neurons[one] for one in own), tuple(keys[one] for one in own)
    found = pair_similarity(*pairs, replicates=20)  # type: ignore[arg-type]
    matrix = category_similarity(neuron_frequency(neurons, labels, num_classes=2, width=6))
    assert found.values[0].item() == pytest.approx(matrix[0, 1].item())
    assert int(found.images) == 30
    weights = poisson_weights(keys, replicates=20).double()
    shared = torch.tensor([[len(common(a, b)) for b in neurons] for a in neurons], dtype=torch.float64)
    for replicate in range(20):
        pairs = weights[:, replicate].outer(weights[:, replicate]).fill_diagonal_(0)
        within = [[(labels == a).outer(labels == b).double() * pairs for b in (0, 1)] for a in (0, 1)]
        (first, both), (_, second) = [[(part * shared).sum() / part.sum() for part in row] for row in within]
        expected = min(1.0, (both / (first * second).sqrt()).item())
        assert found.values[1 + replicate].item() == pytest.approx(expected)


def common(first: torch.Tensor, second: torch.Tensor) -> list[int]:
    """The neurons that two images have in common, of all layers."""
    return [neuron for a, b in zip(first.tolist(), second.tolist()) for neuron in set(a) & set(b)]
