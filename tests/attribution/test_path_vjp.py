from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nplight import open_vit
from nplight.attribution import NodeRows, clean_pass, target_probability
from nplight.attribution.path_vjp import PathVJP
from nplight.neurons import overwrite
from nplight.vit import undisturbed
from tests.attribution.problems import problem
from tests.conftest import make_vit
from tests.searching.test_search import EXACT

PATH = torch.tensor([[[5, 0], [1, 12]], [[3, 4], [7, 6]], [[9, 2], [0, 63]], [[8, 1], [30, 31]]])


@pytest.mark.parametrize("pool", ["token", "avg"])
@pytest.mark.parametrize("rows", [NodeRows(0, 8, 4), NodeRows(5, 8, 4)])
def test_the_gradient_of_the_offset_is_the_sum_over_the_path(
    images: Tensor, targets: Tensor, pool: str, rows: NodeRows
) -> None:
    """Layers 0 and 1 hold the path, all of layer 2 is scaled: as leaves of the whole model, one row at a time."""
    vit = open_vit(make_vit(global_pool=pool))
    with undisturbed(vit.model):
        search = problem(vit, clean_pass(vit, images), targets, rule="midpoint")
        path = PathVJP(search, PATH)
        runner, stream, offset = path.run(rows, 3)
        probability = runner.objective(3, stream, rows.each(targets))
        (path_gradient,) = torch.autograd.grad(probability.sum(), offset)
        clean = search.clean.values
        for row, position in enumerate(range(rows.start, rows.stop)):
            image, alpha = position // 4, search.nodes[position % 4]
            leaves = {layer: clean[layer][[image]].clone() for layer in range(3)}
            for layer in range(2):
                leaves[layer][..., PATH[image, layer]] *= alpha
            leaves[2] *= alpha
            with overwrite(vit, {layer: leaf.requires_grad_() for layer, leaf in leaves.items()}):
                expected = target_probability(vit.forward(images[[image]]), targets[[image]])
            torch.testing.assert_close(probability[[row]], expected, **EXACT)
            gradients = torch.autograd.grad(expected.sum(), [leaves[0], leaves[1]])
            sums = [gradient[0][:, PATH[image, layer]].sum(1) for layer, gradient in enumerate(gradients)]
            torch.testing.assert_close(path_gradient[row], sums[0] + sums[1], **EXACT)
            values = [clean[layer][image][:, PATH[image, layer]].sum(1) for layer in range(2)]
            torch.testing.assert_close(path.value[image], values[0] + values[1], **EXACT)
