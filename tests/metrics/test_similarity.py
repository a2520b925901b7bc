from __future__ import annotations

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.metrics import category_similarity, neuron_frequency, pair_similarity, poisson_weights, similar_pairs
from tests.metrics.test_frequency import SIZES, drawn_paths


def test_similarity_is_the_cosine_of_the_flattened_frequency_maps() -> None:
    found = neuron_frequency(*drawn_paths(), **SIZES)
    similarity = category_similarity(found)
    maps = (found.counts.to_dense() / found.images[:, None, None]).flatten(1)
    for a in range(3):
        for b in range(3):
            expected = torch.nn.functional.cosine_similarity(maps[a], maps[b], dim=0).item()
            assert similarity[a, b].item() == pytest.approx(expected, abs=1e-6)
    assert similarity[3].isnan().all()
    assert similarity[:, 3].isnan().all()


def test_equal_paths_are_1_and_disjoint_ones_0() -> None:
    neurons = torch.tensor([0, 0, 0, 5])[:, None, None].expand(4, 3, 1)
    similarity = category_similarity(neuron_frequency(neurons, torch.tensor([0, 0, 1, 2]), **SIZES))
    assert similarity[:3, :3].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


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
    for replicate, times in enumerate(poisson_weights(keys, replicates=20).T):
        counts = neuron_frequency(
            neurons.repeat_interleave(times.long(), 0), labels.repeat_interleave(times.long()), num_classes=2, width=6
        )
        assert found.values[1 + replicate].item() == pytest.approx(category_similarity(counts)[0, 1].item())
