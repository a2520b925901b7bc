from __future__ import annotations

import torch
from torch import Tensor

from nplight import open_vit
from nplight.attribution import NodeRows, clean_pass
from nplight.attribution.engine_rows import EngineRows
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.conftest import make_vit
from tests.searching.test_search import EXACT


class Rows(EngineRows):
    """The base class alone."""

    def correct(self, change: Tensor, direction: Tensor) -> None:
        raise NotImplementedError

    def advance(self, layer: int, value: Tensor | None = None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


def make_rows(images: Tensor, targets: Tensor, *, chunk_size: int = 99) -> Rows:
    vit = open_vit(make_vit())
    with undisturbed(vit.model):
        search = problem(vit, clean_pass(vit, images), targets, steps=3, chunk_size=chunk_size)
        edited = (search.nodes[:, None, None] - 1) * vit.down[0].increment(search.clean.values[0])[:, None]
        return Rows(search, edited)


def test_they_start_with_the_output_of_block_0_at_each_node(images: Tensor, targets: Tensor) -> None:
    rows = make_rows(images, targets)
    vit = rows.problem.vit
    assert rows.targets.tolist() == targets.repeat_interleave(3).tolist()
    with torch.no_grad():
        for row, stream in enumerate(rows.stream):
            image, alpha = images[[row // 3]], rows.nodes[row % 3]
            parts = vit.parts(0)
            assert parts is not None
            attended = parts.attend(vit.embed(image))
            value = rows.problem.clean.values[0][[row // 3]] * alpha
            torch.testing.assert_close(stream[:1], vit.down[0].add(attended[:, :1], value)[0], **EXACT)
            torch.testing.assert_close(stream[1:], rows.problem.clean.first[row // 3, 1:], **EXACT)


def test_results_of_chunks_are_put_together_by_image(images: Tensor, targets: Tensor) -> None:
    rows = make_rows(images, targets, chunk_size=2)

    def run(chunk: NodeRows) -> tuple[Tensor, Tensor]:
        positions = torch.arange(12)[chunk.positions]
        return positions, positions.bfloat16()

    first, second = rows.in_chunks(run)
    assert first.tolist() == torch.arange(12).view(4, 3).tolist()
    assert second.dtype == torch.float32
