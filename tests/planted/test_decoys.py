"""What decoys are like, and that each kind is inert by itself."""

from __future__ import annotations

import pytest
import torch

from nplight import intervene, record
from nplight.planted import DECOYS, PlantedCase, build_planted
from nplight.planted.causal_shares import clean_probability
from tests.planted.edits import clean_logits


def decoy_values(decoy: str, top_k: int = 1) -> torch.Tensor:
    """(images, layers, decoys), at the class token."""
    planted = build_planted(PlantedCase(structure="parallel", decoys=(decoy,), top_k=top_k), dtype=torch.float64)
    with record(planted.model) as recorded:
        clean_logits(planted)
    return torch.stack([recorded[layer][:, 0, planted.decoys[layer]] for layer in range(4)], 1)


@pytest.mark.parametrize(("decoy", "value"), [("loud", 20), ("silent", 0), ("common", 3)])
def test_constant_decoys_have_their_value(decoy: str, value: float) -> None:
    values = decoy_values(decoy)
    torch.testing.assert_close(values, torch.full_like(values, value), atol=1e-12, rtol=0)


@pytest.mark.parametrize("top_k", [1, 3])
def test_correlated_decoys_fire_with_the_category(top_k: int) -> None:
    values = decoy_values("correlated", top_k)
    fired = values > 1
    assert values.shape[2] == 4 * top_k
    assert torch.equal(fired.sum(2), torch.full((16, 4), top_k))
    assert values[~fired].max() < 1e-9


@pytest.mark.parametrize("decoy", ["loud", "silent", "correlated"])
def test_most_decoys_change_no_logit(decoy: str) -> None:
    planted = build_planted(PlantedCase(structure="parallel", decoys=(decoy,)), dtype=torch.float64)
    clean = clean_logits(planted)
    with intervene(planted.model, planted.decoys, "remove"):
        torch.testing.assert_close(clean_logits(planted), clean, atol=1e-12, rtol=0)


def test_a_common_decoy_changes_every_logit_alike_and_less_than_a_planted_neuron() -> None:
    planted = build_planted(PlantedCase(structure="parallel", decoys=("common",)), dtype=torch.float64)
    clean = clean_logits(planted)
    with intervene(planted.model, planted.decoys, "remove"):
        change = clean_logits(planted) - clean
    torch.testing.assert_close(change, change[:, :1].expand(-1, 4), atol=1e-12, rtol=0)
    with intervene(planted.model, planted.paths, "remove"):
        fall = (clean_logits(planted) - clean).gather(1, planted.labels[:, None])[:, 0]
    assert (change[:, 0] > 0.5 * fall).all()
    assert (change[:, 0] < 0).all()


def test_every_kind_can_fill_a_path() -> None:
    for decoy in DECOYS:
        for top_k in (1, 3):
            assert len(DECOYS[decoy](4, top_k)) >= top_k
    planted = build_planted(PlantedCase(structure="chain", decoys=tuple(DECOYS), top_k=3))
    assert clean_probability(planted).min() > 0.5
