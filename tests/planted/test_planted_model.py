"""Planted models follow from case and seed."""

from __future__ import annotations

import pytest
import torch

from nplight.errors import ArgumentError
from nplight.planted import PlantedCase, build_planted
from nplight.planted.causal_shares import clean_probability


def test_a_model_follows_from_case_and_seed() -> None:
    case = PlantedCase(decoys=("loud", "silent"), top_k=2)
    first, again, other = (build_planted(case, seed=seed) for seed in (3, 3, 4))
    for name, values in first.model.state_dict().items():
        assert torch.equal(values, again.model.state_dict()[name]), name
    for name in ("images", "truth", "decoys"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


def test_the_global_random_state_is_not_touched() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    build_planted(PlantedCase())
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("probability", [0.7, 0.98, 1 - 1e-9])
def test_the_label_has_the_probability_of_the_case(probability: float) -> None:
    planted = build_planted(PlantedCase(probability=probability), dtype=torch.float64)
    found = clean_probability(planted)
    odds = (found / (1 - found)).log().mean()
    assert odds.sigmoid().item() == pytest.approx(probability, rel=1e-6)


def test_planted_neurons_and_decoys_are_distinct() -> None:
    planted = build_planted(PlantedCase(decoys=("loud", "silent", "common", "correlated"), top_k=3))
    for layer in range(4):
        indices = torch.cat([planted.truth[:, layer].flatten(), planted.decoys[layer]])
        assert len(indices.unique()) == len(indices) == 12 + 3 + 12 + 3 + 12
        assert indices.min() >= 0
        assert indices.max() < planted.width
    assert planted.paths.shape == (16, 4, 3)
    assert torch.equal(planted.paths[5], planted.truth[planted.labels[5]])


def test_dtype_is_that_of_model_and_images() -> None:
    planted = build_planted(PlantedCase(), dtype=torch.float64)
    assert planted.images.dtype == planted.model.head.weight.dtype == torch.float64


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ArgumentError, match="`seed` must be an integer of at least 0, got -1"):
        build_planted(PlantedCase(), seed=-1)
