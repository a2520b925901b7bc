from __future__ import annotations

from torch import Tensor

from nplight import search
from tests.conftest import make_vit


def test_a_prefix_whose_graph_fits_the_chunk_runs_once(images: Tensor) -> None:
    vit = make_vit(global_pool="avg")
    counts = [0] * 3
    for layer, block in enumerate(vit.blocks):
        block.register_forward_pre_hook(lambda *_, layer=layer: counts.__setitem__(layer, counts[layer] + 1))
    search(vit, images[:1], steps=4, chunk_size=4)
    # One each for the clean pass and the effect; then block b once per step before its own, and once as a prefix.
    assert counts == [1, 4, 5]
    search(vit, images[:1], steps=4, chunk_size=2)
    # Two chunks, each of which runs its prefix again: in steps b … 3 as well.
    assert counts == [1 + 1, 4 + 2 + 2 * 4, 5 + 2 + 2 * 4]
