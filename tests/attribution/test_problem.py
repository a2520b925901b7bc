from __future__ import annotations

from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import open_vit
from nplight.attribution import NodeRows, clean_pass
from nplight.vit import undisturbed
from tests.attribution.problems import problem


def test_every_node_of_every_image_is_run_within_the_chunk(
    vit: VisionTransformer, images: Tensor, targets: Tensor
) -> None:
    with undisturbed(vit):
        search = problem(open_vit(vit), clean_pass(open_vit(vit), images), targets, steps=5, chunk_size=7)

    def run(rows: NodeRows) -> range:
        assert len(rows) <= 7
        return range(rows.start, rows.stop)

    assert [row for _, positions in search.in_chunks(run) for row in positions] == list(range(20))
    assert [(rows.images, rows.nodes) for rows, _ in search.in_chunks(run, nodes=1)] == [(slice(0, 4), slice(0, 1))]
    assert [rows.per_image for rows, _ in search.in_chunks(run, nodes=6)] == [6] * 4
