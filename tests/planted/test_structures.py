"""What the removal of single planted neurons does, as the structures define it."""

from __future__ import annotations

import pytest
import torch

from nplight.planted import STRUCTURES, PlantedCase, PlantedModel, build_planted
from nplight.planted.causal_shares import clean_probability
from tests.planted.edits import accuracy, clean_logits, without


def planted_model(structure: str, top_k: int) -> PlantedModel:
    return build_planted(PlantedCase(structure=structure, top_k=top_k), dtype=torch.float64)


def alone(planted: PlantedModel, layer: int, rank: int) -> torch.Tensor:
    """The logits without one planted neuron of each image."""
    return without(planted, {layer: planted.paths[:, layer, rank : rank + 1]})


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_the_removal_of_any_layer_breaks_a_chain(top_k: int) -> None:
    planted = planted_model("chain", top_k)
    for layer in range(4):
        assert accuracy(planted, without(planted, {layer: planted.paths[:, layer]})) == 0


@pytest.mark.parametrize("top_k", [1, 2, 3])
@pytest.mark.parametrize("structure", ["parallel", "inhibition"])
def test_every_neuron_of_a_parallel_structure_has_an_equal_share(structure: str, top_k: int) -> None:
    planted = planted_model(structure, top_k)
    clean = clean_logits(planted)
    whole = without(planted, dict(enumerate(planted.paths.unbind(1)))) - clean
    for layer in range(4):
        for rank in range(top_k):
            torch.testing.assert_close((alone(planted, layer, rank) - clean) * 4 * top_k, whole)
    of_label = whole.gather(1, planted.labels[:, None])
    assert of_label.abs().max() < 1e-12 if structure == "inhibition" else of_label.max() < -0.1


@pytest.mark.parametrize("top_k", [2, 3])
def test_every_neuron_of_a_conjunction_is_necessary(top_k: int) -> None:
    planted = planted_model("conjunction", top_k)
    for layer in range(4):
        for rank in range(top_k):
            assert accuracy(planted, alone(planted, layer, rank)) == 0


@pytest.mark.parametrize("top_k", [2, 3])
def test_no_neuron_of_a_redundancy_is_necessary(top_k: int) -> None:
    planted = planted_model("redundancy", top_k)
    clean = clean_logits(planted)
    for layer in range(3):
        for rank in range(top_k):
            torch.testing.assert_close(alone(planted, layer, rank), clean)
    for rank in range(top_k):
        assert accuracy(planted, alone(planted, 3, rank)) == 1
    only_the_first = {layer: planted.paths[:, layer, 1:] for layer in range(4)}
    assert accuracy(planted, without(planted, only_the_first)) == 1
    for layer in range(4):
        assert accuracy(planted, without(planted, {layer: planted.paths[:, layer]})) == 0


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_a_backup_replaces_the_neurons_before_it(top_k: int) -> None:
    planted = planted_model("backup", top_k)
    clean = clean_logits(planted)
    main, backup = ({layer: planted.paths[:, layer] for layer in range(start, 4, 2)} for start in (0, 1))
    torch.testing.assert_close(without(planted, backup), clean, atol=0, rtol=0)
    torch.testing.assert_close(without(planted, main), clean)
    assert accuracy(planted, without(planted, {**main, **backup})) == 0


def test_an_inhibition_moves_the_rival_alone() -> None:
    planted = planted_model("inhibition", 1)
    removed = without(planted, dict(enumerate(planted.paths.unbind(1))))
    rival = (planted.labels + 1) % 4
    assert torch.equal(removed.argmax(1), rival)
    change = (removed - clean_logits(planted)).scatter(1, rival[:, None], 0)
    assert change.abs().max() < 1e-12


@pytest.mark.parametrize("structure", STRUCTURES)
def test_paths_of_other_categories_do_not_matter(structure: str) -> None:
    planted = planted_model(structure, STRUCTURES[structure].smallest_top_k)
    others = planted.truth[(planted.labels + 2) % 4]
    torch.testing.assert_close(without(planted, dict(enumerate(others.unbind(1)))), clean_logits(planted))
    assert clean_probability(planted).mean() == pytest.approx(0.7, abs=0.01)
