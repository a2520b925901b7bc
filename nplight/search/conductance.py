"""Search by conductance (Dhamdhere, Sundararajan and Yan, "How Important Is a Neuron?", 2018), as captum computes it.

`C_i = Σ_{j<m} ∂F/∂z_i(x_j) · (z_i(x_{j+1}) − z_i(x_j))`, m = `steps`, over the m + 1 nodes x_j = α_j x of the rule on
the straight line from the zero image to the image. The differences of z are the weights, those of the rule are not
used; so the ends of the line that a rule leaves out are left out here too, as they are by captum.

What `captum.attr.LayerConductance.attribute(n_steps=steps, method=…, attribute_to_layer_input=True)` gives for the down
projection and the softmax probability, summed over the path tokens:

| rule | method of captum |
|---|---|
| `riemann-left` | `riemann_left` |
| `riemann-right` | `riemann_right` |
| `midpoint` | `riemann_middle` |
| `trapezoid` | `riemann_trapezoid` |
| `gauss-legendre` | `gausslegendre` |

Not complete: the residual stream and the other tokens pass the neurons by.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import CleanPass, PathScores, at_least_float32, quadrature
from nplight.neurons import record
from nplight.search.derivatives import token_gradients
from nplight.search.line import cells, zero_scores
from nplight.search.options import SearchOptions
from nplight.search.ranking import ranked
from nplight.vit import OpenViT


def conductance(vit: OpenViT, clean: CleanPass, targets: Tensor, options: SearchOptions, chunk_size: int) -> PathScores:
    """Score of a neuron: its conductance, signed, summed over the path tokens; see the module."""
    nodes = quadrature(options.steps + 1, options.rule)[0].to(clean.values[0])
    scores = [zero_scores(clean.values[layer]) for layer in range(vit.depth)]
    ends: list[tuple[Tensor, Tensor]] = []  # for each layer z and ∂F/∂z at the last node before the cell

    for cell in cells(len(targets), len(nodes), chunk_size):
        with record(vit) as values:
            with torch.no_grad():
                first = vit.block(0, vit.embed(cell.points(clean.images, nodes)))
            gradients = token_gradients(vit, 0, first, cell.rows(targets))
        before, ends = ends, []
        for layer, score in enumerate(scores):
            value = cell.unflatten(at_least_float32(values[layer]))  # (images, nodes, path tokens, width)
            gradient = cell.unflatten(vit.down[layer].pull_back(gradients[layer]))
            ends.append((value[:, -1:], gradient[:, -1:]))
            if cell.nodes.start > 0:
                value = torch.cat([before[layer][0], value], 1)
                gradient = torch.cat([before[layer][1], gradient], 1)
            score[cell.images] += (gradient[:, :-1] * value.diff(dim=1)).sum((1, 2))
    return ranked(vit, clean, targets, scores, options, chunk_size)
