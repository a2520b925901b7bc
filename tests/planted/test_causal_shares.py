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
    for shares in causal_shares(planted, planted.paths):
        torch.testing.assert_close(shares, torch.ones(16, dtype=torch.float64))
    inert = planted.decoys[:, : case.top_k].expand(16, -1, -1)
    for shares in causal_shares(planted, inert):
        assert shares.abs().max() < 1e-9


def test_a_part_of_the_path_does_a_part() -> None:
    planted = build_planted(PlantedCase(structure="parallel", decoys=("loud",)), dtype=torch.float64)
    half = torch.cat([planted.paths[:, :2], planted.decoys[2:].expand(16, -1, -1)], 1)
    shares = causal_shares(planted, half)
    clean, removed = clean_probability(planted), edited_probability(planted, half, "remove")
    all_removed = edited_probability(planted, planted.paths, "remove")
    torch.testing.assert_close(shares.removed, (clean - removed) / (clean - all_removed))
    for values in shares:
        assert ((values > 0.2) & (values < 0.8)).all()
