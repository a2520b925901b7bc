"""Search by conductance (Dhamdhere, Sundararajan and Yan, "How Important Is a Neuron?", 2018), as captum computes it.

`C_i = Σ_{j<m} ∂F/∂z_i(x_j) · (z_i(x_{j+1}) − z_i(x_j))`, m = `steps`, over the m + 1 nodes x_j = α_j x of the rule on
the straight line from the zero image to the image. The differences of z take the place of the rule's weights. A rule
without an end of the line leaves that end out here too, as captum does.

The result equals that of `captum.attr.LayerConductance.attribute(n_steps=steps, method=…,
attribute_to_layer_input=True)` for the down projection and the softmax probability, summed over the path tokens:

| rule | method of captum |
|---|---|
| `riemann-left` | `riemann_left` |
| `riemann-right` | `riemann_right` |
| `midpoint` | `riemann_middle` |
| `trapezoid` | `riemann_trapezoid` |
| `gauss-legendre` | `gausslegendre` |

It evaluates every node: its summands have differences of z between nodes in them, and are not values of one function.
The scores are not complete: the residual stream and the other tokens bypass the neurons.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import NodeRows, Problem, at_least_float32, quadrature, streams_on_line, token_gradients
from nplight.neurons import record

Trace = tuple[Tensor, Tensor]  # z and ∂F/∂z of a layer along the line, (images, nodes, path tokens, width) each


def conductance(problem: Problem) -> list[Tensor]:
    """Score of a neuron: its conductance, signed, summed over the path tokens; see the module."""
    vit, values = problem.vit, problem.clean.values
    nodes = quadrature(len(problem.nodes) + 1, problem.rule)[0].to(problem.nodes)
    scores = [torch.zeros_like(values[layer][:, 0]) for layer in range(vit.depth)]

    def run(rows: NodeRows) -> list[Trace]:
        with record(vit) as recorded:
            gradients = token_gradients(problem, 0, streams_on_line(problem, nodes, rows), rows)
        return [
            (rows.unflatten(at_least_float32(recorded[layer])), rows.unflatten(down.pull_back(gradients[layer])))
            for layer, down in enumerate(vit.down)
        ]

    ends: list[Trace] = []  # per layer, the last node before the chunk
    for rows, traces in problem.in_chunks(run, nodes=len(nodes)):
        before, ends = ends, []
        for layer, (value, gradient) in enumerate(traces):
            ends.append((value[:, -1:], gradient[:, -1:]))
            if rows.nodes.start > 0:
                value = torch.cat([before[layer][0], value], 1)
                gradient = torch.cat([before[layer][1], gradient], 1)
            scores[layer][rows.images] += (gradient[:, :-1] * value.diff(dim=1)).sum((1, 2))
    return scores
