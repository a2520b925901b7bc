from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import open_vit
from nplight.attribution import NodeRows, clean_pass, streams_on_line
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.searching.test_search import EXACT


def test_a_row_is_what_leaves_block_0_for_its_image_times_its_node(
    vit: VisionTransformer, images: Tensor, targets: Tensor
) -> None:
    opened, nodes = open_vit(vit), torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    with undisturbed(vit), torch.no_grad():
        search = problem(opened, clean_pass(opened, images), targets)
        for rows in (NodeRows(0, 6, 3), NodeRows(4, 6, 3)):
            streams = streams_on_line(search, nodes, rows)
            points = [nodes[row % 3] * images[row // 3] for row in range(rows.start, rows.stop)]
            torch.testing.assert_close(streams, opened.block(0, opened.embed(torch.stack(points))), **EXACT)
        torch.testing.assert_close(streams[-1], search.clean.first[1], **EXACT)
