"""Greedy search over the chain of partial derivatives.

Lu et al., "Influence Patterns for Explaining Information Flow in BERT", NeurIPS 2021. The influence of a path is the
product of ∂z_{l+1,p_{l+1}}/∂z_{l,p_l} along it times ∂F/∂z_L, averaged over the line from the zero image to the image:
the flow from its first neuron to the output through the neurons of the path only. All connections from a neuron to one
of the next layer (attention, residual stream) are part of the partial derivative.

Choices of this implementation:

- Direction: from the input to the output.
- Criterion at layer l: the influence of the path chosen so far, extended by neuron i, over all continuations:
  Σ_k ω_k (product so far) · ∂z_{l,i}/∂z_{l-1,p_{l-1}} · ∂F/∂z_{l,i}, with the total derivative of F. At the last layer
  this is the influence of the path itself; at layer 0 it is Σ_k ω_k ∂F/∂z_{0,i}, as in `influence_pattern`.
- The largest signed value is chosen, not the largest magnitude.
- Several path tokens: a path contains a neuron at all of them. The products are summed over all pairs of tokens, and
  averaged over the token at which the path starts.
- `top_k` > 1 and `ranked` list more neurons per layer; the chain follows the best one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from nplight.attribution import (
    NodeRows,
    Problem,
    Settled,
    at_least_float32,
    best_first,
    many_counts,
    settle,
    streams_on_line,
    token_gradients,
)
from nplight.attribution.jvp import block_jvp
from nplight.neurons import at_sites, replace_tokens


def influence_pattern_chain(problem: Problem) -> Settled:
    """Score of a neuron: the influence of the chain so far, extended by it; see the module."""

    def evaluate(part: Problem, images: Tensor) -> list[Tensor]:
        chains = _Chains(part)
        sums = [chains.start()]
        for layer in range(1, part.vit.depth):
            sums.append(chains.extend(layer, best_first(sums[-1][:, 0], 1).neurons.squeeze(1)))
        return sums

    # The chain follows the best neuron of a layer: it must be clear of the others even where more are chosen.
    return settle(problem, evaluate, many_counts(problem), leader=True)


class _Chains:
    """The chains of all node rows; every `extend` runs the next block."""

    def __init__(self, problem: Problem) -> None:
        self._problem, self._vit = problem, problem.vit

        def run(rows: NodeRows) -> tuple[Tensor, list[Tensor]]:
            stream = streams_on_line(problem, problem.nodes, rows)
            return stream, token_gradients(problem, 0, stream, rows)

        streams, gradients = zip(*(result for _, result in problem.in_chunks(run)))
        self._stream = torch.cat(streams)
        # Per layer (rows, path tokens, features): ∂F/∂(stream that leaves the block).
        self._gradients = [torch.cat(parts) for parts in zip(*gradients)]
        # (rows, path tokens, width): the product so far, extended by each neuron of the current layer.
        gradient = self._vit.down[0].pull_back(self._gradients[0])
        self._products = torch.full_like(gradient, 1 / gradient.shape[1])

    def start(self) -> Tensor:
        """`Problem.sums` of the influence of each neuron of layer 0, (images, sums, width)."""
        return self._influence(0)

    def extend(self, layer: int, path: Tensor) -> Tensor:
        """As `start` for `layer`, after `path`, (images,), of the layer before."""
        vit = self._vit

        def run(rows: NodeRows) -> tuple[Tensor, Tensor]:
            products, stream = self._products[rows.positions], self._stream[rows.positions]
            chosen = rows.each(path)[:, None, None].expand(-1, products.shape[1], 1)
            direction = torch.zeros_like(products).scatter(2, chosen, products.gather(2, chosen))
            entering = vit.down[layer - 1].increment(direction).to(stream.dtype)
            tangent = replace_tokens(torch.zeros_like(stream), vit.path_tokens, entering)
            extended: list[Tensor] = []

            def read(neurons: Tensor) -> Tensor:
                # A constant has no tangent: its derivative is zero.
                product = forward_ad.unpack_dual(neurons).tangent
                extended.append(at_least_float32(torch.zeros_like(neurons) if product is None else product.clone()))
                return neurons

            with at_sites(vit, {layer: read}):
                leaving, _ = block_jvp(vit, layer, stream, tangent)
            return leaving, extended[0]

        streams, products = zip(*(result for _, result in self._problem.in_chunks(run)))
        self._stream, self._products = torch.cat(streams), torch.cat(products)
        return self._influence(layer)

    def _influence(self, layer: int) -> Tensor:
        """`Problem.sums` of product · ∂F/∂z, summed over the path tokens, (images, sums, width)."""
        gradient = self._vit.down[layer].pull_back(self._gradients[layer])
        influence = (self._products * gradient).sum(1).unflatten(0, (-1, len(self._problem.nodes)))
        return self._problem.sums(influence)
