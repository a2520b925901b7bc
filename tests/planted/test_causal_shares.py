"""What found paths do, as shares of what planted ones do."""

from __future__ import annotations

import pytest
import torch

from nplight.planted import STRUCTURES, PlantedCase, build_planted, causal_shares
from nplight.planted.causal_shares import clean_probability, edited_probability


@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_planted_path_does_all_and_inert_neurons_nothing(structure: str) -> None:
    case = PlantedCase(structure=structure, top_k=STRUCTURES[structure].smallest_top_k, decoys=("loud", "silent"))
    planted = build_planted(case, dtype=torch.float64)
    shares = causal_shares(planted, planted.paths)
    for found, wanted in zip(shares.found, shares.planted):
        torch.testing.assert_close(found, wanted, atol=0, rtol=0)
        assert found.min() > 0.05
    assert (shares.removed.item(), shares.kept.item()) == (1, 1)
    inert = planted.decoys[:, : case.top_k].expand(16, -1, -1)
    for effects in causal_shares(planted, inert).found:
        assert effects.abs().max() < 1e-9


def test_a_part_of_the_path_does_a_part() -> None:
    planted = build_planted(PlantedCase(structure="parallel", decoys=("loud",)), dtype=torch.float64)
    half = torch.cat([planted.paths[:, :2], planted.decoys[2:].expand(16, -1, -1)], 1)
    shares = causal_shares(planted, half)
    clean, removed = clean_probability(planted), edited_probability(planted, half, "remove")
    all_removed = edited_probability(planted, planted.paths, "remove")
    torch.testing.assert_close(shares.found.removed, clean - removed)
    torch.testing.assert_close(shares.planted.removed, clean - all_removed)
    for share in (shares.removed, shares.kept):
        assert 0.2 < share < 0.8
