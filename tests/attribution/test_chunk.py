from __future__ import annotations

import pytest
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import open_vit, search
from nplight.attribution import chunk, clean_pass, progressive_search, quadrature, resolve_chunk_size
from nplight.vit import OpenViT, undisturbed


def test_the_users_choice_is_taken(vit: VisionTransformer, images: Tensor) -> None:
    assert resolve_chunk_size(open_vit(vit), images[:1], 37) == 37


def test_less_memory_means_fewer_rows_and_at_least_one(
    vit: VisionTransformer, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_vit(vit)
    row = chunk._graph_bytes(opened, images[:1])
    # Three blocks save at least their neurons, before and after the activation, for five tokens in float64.
    assert row > 3 * 5 * 2 * 64 * 8
    for rows, expected in ((20, 16), (16, 16), (1, 1), (0.01, 1)):
        monkeypatch.setattr(chunk, "_free_bytes", lambda device, rows=rows: int(2 * rows * row) + 2)
        assert resolve_chunk_size(opened, images[:1], None) == expected
    monkeypatch.setattr(chunk, "_free_bytes", lambda device: 1 << 50)
    much = resolve_chunk_size(opened, images[:1], None)
    assert chunk._CPU_BYTES / 2 < much * row <= chunk._CPU_BYTES


# Five nodes an image: as many whole images at a time as fit, or a part of one.
@pytest.mark.parametrize(("chunk_size", "rows"), [(1, 1), (3, 3), (8, 5), (12, 10), (99, 20)])
def test_no_differentiated_pass_holds_more_rows_than_the_chunk(
    vit: VisionTransformer, images: Tensor, targets: Tensor, chunk_size: int, rows: int
) -> None:
    seen = []
    vit.blocks[-1].register_forward_pre_hook(lambda module, arguments: seen.append(len(arguments[0])))
    search(vit, images, targets, steps=5, chunk_size=chunk_size)
    assert max(seen) == rows


def test_an_earlier_block_runs_once_a_step(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    """The cost that the engine promises: block b runs for the steps up to its own, plus once for the clean pass."""
    opened: OpenViT = open_vit(vit)
    counts = [0] * 3
    for layer, block in enumerate(vit.blocks):
        block.register_forward_hook(lambda *_, layer=layer: counts.__setitem__(layer, counts[layer] + 1))
    nodes, weights = quadrature(4)
    with undisturbed(vit):
        clean = clean_pass(opened, images)
        progressive_search(opened, clean, targets, nodes=nodes, weights=weights, top_k=1, ranked=1, chunk_size=1000)
    assert counts == [1, 3, 4]
