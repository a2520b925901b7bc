from __future__ import annotations

import torch
from torch import Tensor

from nplight import search
from tests.conftest import make_vit
from tests.methods.test_table import POOLS, all_scores
from tests.searching.test_search import EXACT


def test_the_chain_starts_as_the_influence_pattern_and_follows_the_best_neuron(images: Tensor, targets: Tensor) -> None:
    for pool in POOLS:
        vit = make_vit(global_pool=pool)
        chain = search(vit, images, targets, method="influence_pattern_chain", steps=5, ranked=64)
        plain = search(vit, images, targets, method="influence_pattern", steps=5, ranked=64)
        torch.testing.assert_close(all_scores(chain)[:, 0], all_scores(plain)[:, 0], **EXACT)
        assert not torch.allclose(all_scores(chain)[:, 2], all_scores(plain)[:, 2])
        # However many are asked for.
        more = search(vit, images, targets, method="influence_pattern_chain", steps=5, top_k=3)
        assert torch.equal(more.neurons, chain.ranking[..., :3])
