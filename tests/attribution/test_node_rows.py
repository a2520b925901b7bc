from __future__ import annotations

import pytest
import torch

from nplight.attribution import NodeRows

NODES = torch.tensor([0.0, 0.25, 0.5, 0.75])
VALUES = torch.arange(6.0).view(3, 2)


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (0, 12), (4, 12), (5, 7), (8, 9), (10, 12)])
def test_each_row_has_its_image_and_its_node(start: int, stop: int) -> None:
    rows = NodeRows(start, stop, 4)
    pairs = [(row // 4, row % 4) for row in range(start, stop)]
    assert len(rows) == stop - start
    assert rows.alpha(NODES).tolist() == [NODES[node].item() for _, node in pairs]
    assert rows.each(VALUES).tolist() == [VALUES[image].tolist() for image, _ in pairs]
    assert torch.arange(12)[rows.positions].tolist() == list(range(start, stop))
    # As (images, nodes): every row once, where its image and its node are.
    by_image = rows.unflatten(torch.arange(start, stop))
    at = [[4 * image + node for node in range(4)[rows.nodes]] for image in range(3)[rows.images]]
    assert by_image.tolist() == at
