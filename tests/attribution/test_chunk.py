from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import METHODS, open_vit, search
from nplight.attribution import NodeRows, chunk, clean_pass, progressive_search, resolve_chunk_size
from nplight.attribution.chunk import in_chunks
from nplight.vit import OpenViT, undisturbed
from tests.attribution.problems import problem
from tests.conftest import make_vit
from tests.searching.test_search import assert_same


def test_the_users_choice_is_taken(vit: VisionTransformer, images: Tensor) -> None:
    assert resolve_chunk_size(open_vit(vit), images[:1], 37) == 37


def test_less_memory_means_fewer_rows_and_at_least_one(
    vit: VisionTransformer, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_vit(vit)
    row, tokens = chunk._graph_bytes(opened, images[:1])
    assert tokens == 5
    # Three blocks save at least their neurons, before and after the activation, for five tokens in float64.
    assert row > 3 * 5 * 2 * 64 * 8
    for rows, expected in ((20, 16), (16, 16), (1, 1), (0.01, 1)):
        monkeypatch.setattr(chunk, "_free_bytes", lambda device, rows=rows: int(2 * rows * row) + 2)
        assert resolve_chunk_size(opened, images[:1], None) == expected
    monkeypatch.setattr(chunk, "_free_bytes", lambda device: 1 << 50)
    much = resolve_chunk_size(opened, images[:1], None)
    assert much * row <= chunk._CPU_BYTES < (much + 1) * row


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
        block.register_forward_pre_hook(lambda *_, layer=layer: counts.__setitem__(layer, counts[layer] + 1))
    with undisturbed(vit):
        progressive_search(problem(opened, clean_pass(opened, images), targets, steps=4, chunk_size=1000))
    assert counts == [1, 3, 4]


def rows_seen(vit: OpenViT, shape: tuple[int, int], chunk_size: int, fits: int = 1 << 30) -> list[range]:
    """The chunks that run, where more than `fits` rows run out of memory."""

    def run(rows: NodeRows) -> range:
        if len(rows) > fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return range(rows.start, rows.stop)

    return [result for _, result in in_chunks(vit, shape, chunk_size, run)]


@pytest.mark.parametrize("nodes", [1, 4, 5])
@pytest.mark.parametrize("chunk_size", [1, 3, 4, 7, 10, 99])
def test_every_row_runs_once_in_whole_images_or_parts_of_one(
    vit: VisionTransformer, nodes: int, chunk_size: int
) -> None:
    seen = rows_seen(open_vit(vit), (6, nodes), chunk_size)
    assert [row for rows in seen for row in rows] == list(range(6 * nodes))
    for rows in seen:
        assert len(rows) <= chunk_size
        assert (rows.start % nodes == rows.stop % nodes == 0) or rows.start // nodes == (rows.stop - 1) // nodes


def test_a_part_of_an_image_is_as_large_as_the_next(vit: VisionTransformer) -> None:
    assert [len(rows) for rows in rows_seen(open_vit(vit), (2, 20), 16)] == [10, 10, 10, 10]
    assert [len(rows) for rows in rows_seen(open_vit(vit), (1, 20), 7)] == [7, 7, 6]


def test_chunks_are_halved_until_they_fit_and_stay_so(vit: VisionTransformer) -> None:
    opened = open_vit(vit)
    with pytest.warns(RuntimeWarning, match=r"rows at a time do not fit in memory; continuing with \d+") as said:
        seen = rows_seen(opened, (3, 8), 16, fits=5)
    assert [row for rows in seen for row in rows] == list(range(24))
    assert {len(rows) for rows in seen} == {4}
    assert len(said) == 2
    # Known from now on, for this model alone, without another word.
    assert {len(rows) for rows in rows_seen(opened, (3, 8), 16, fits=5)} == {4}
    assert {len(rows) for rows in rows_seen(open_vit(make_vit()), (3, 8), 16)} == {16, 8}


def test_one_row_that_does_not_fit_is_the_callers_error(vit: VisionTransformer) -> None:
    with pytest.raises(torch.cuda.OutOfMemoryError):
        rows_seen(open_vit(vit), (2, 2), 1, fits=0)


def test_another_error_is_not_taken_for_want_of_memory(vit: VisionTransformer) -> None:
    def run(rows: NodeRows) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(in_chunks(open_vit(vit), (2, 2), 4, run))


@pytest.mark.parametrize(
    ("pool", "special"),
    [
        ("token", {"patch_stream": "frozen"}),
        *(
            (pool, special)
            for pool in ("token", "avg")
            for special in (*({"method": method} for method in METHODS), {"granularity": "category"})
        ),
    ],
)
def test_a_search_that_runs_out_of_memory_ends_as_if_it_had_not(
    images: Tensor, targets: Tensor, monkeypatch: pytest.MonkeyPatch, pool: str, special: dict[str, str]
) -> None:
    options: dict[str, Any] = {"steps": 4, "top_k": 2, **special}
    expected = search(make_vit(global_pool=pool), images, targets, **options)
    model = make_vit(global_pool=pool)
    grad = torch.autograd.grad

    def limited(outputs: Tensor, inputs: tuple[Tensor, ...] | Tensor, **arguments: bool) -> tuple[Tensor, ...]:
        rows = len(inputs if isinstance(inputs, Tensor) else inputs[0])
        if rows > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return grad(outputs, inputs, **arguments)

    monkeypatch.setattr(torch.autograd, "grad", limited)
    with pytest.warns(RuntimeWarning, match="do not fit in memory"):
        actual = search(model, images, targets, chunk_size=16, **options)
    assert_same(actual, expected)


def test_many_more_rows_fit_of_a_frozen_stream(vit: VisionTransformer, images: Tensor) -> None:
    large = make_vit(img_size=32)
    image = torch.nn.functional.interpolate(images[:1], size=32)
    exact, frozen = (resolve_chunk_size(open_vit(large), image, None, stream) for stream in ("exact", "frozen"))
    assert frozen >= 8 * exact
