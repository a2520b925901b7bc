"""Greedy search over the chain of partial derivatives.

Lu et al., "Influence Patterns for Explaining Information Flow in BERT", NeurIPS 2021. The influence of a path is the
product of ∂z_{l+1,p_{l+1}}/∂z_{l,p_l} along it times ∂F/∂z_L, averaged over the line from the zero image to the image:
what flows from its first neuron to the output through its own neurons alone. Every way from a layer's neuron to one of
the next (attention, residual stream) counts as part of the partial derivative.

Ours to fix:

- Direction: from the input to the output.
- Criterion at layer l: the influence of the path chosen so far, extended by neuron i, over all that may follow:
  Σ_k ω_k (product so far) · ∂z_{l,i}/∂z_{l-1,p_{l-1}} · ∂F/∂z_{l,i}, with the total derivative of F. At the last layer
  this is the influence of the path itself; at layer 0 it is Σ_k ω_k ∂F/∂z_{0,i}, as in `influence_pattern`.
- The largest signed value is chosen, not the largest size.
- Several path tokens: a neuron stands for itself at all of them. The products are summed over all ways from token to
  token, and averaged over the token at which they start.
- `top_k` > 1 and `ranked` list more neurons of each layer; the chain follows the best one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from nplight.attribution import CleanPass, PathScores, at_least_float32, integral, quadrature
from nplight.attribution.tangent import block_with_tangent
from nplight.neurons import at_sites, replace_tokens
from nplight.search.derivatives import best, token_gradients
from nplight.search.line import Cell, cells, zero_scores
from nplight.search.options import SearchOptions
from nplight.search.ranking import ranked
from nplight.vit import OpenViT


def influence_pattern_chain(
    vit: OpenViT, clean: CleanPass, targets: Tensor, options: SearchOptions, chunk_size: int
) -> PathScores:
    """Score of a neuron: the influence of the chain so far, extended by it; see the module."""
    nodes, weights = (values.to(clean.values[0]) for values in quadrature(options.steps, options.rule))
    chains = [_Chains(vit, clean.images, targets, nodes, cell) for cell in cells(len(targets), len(nodes), chunk_size)]
    scores: list[Tensor] = []
    for layer in range(vit.depth):
        score = zero_scores(clean.values[layer])
        path = best(scores[-1], 1).squeeze(1) if scores else None
        for rows in chains:
            influence = rows.start() if path is None else rows.extend(layer, path)
            score[rows.cell.images] += integral(weights[rows.cell.nodes], rows.cell.unflatten(influence))
        scores.append(score)
    return ranked(vit, clean, targets, scores, options, chunk_size)


class _Chains:
    """The chains of some (image, node) rows, one block further with every `extend`.

    Args:
        vit: the opened model, undisturbed.
        images: (images, channels, height, width), all of them.
        targets: (images,) int64, of all images.
        nodes: (m,) quadrature nodes, all of them.
        cell: the images and nodes whose rows these are.
    """

    def __init__(self, vit: OpenViT, images: Tensor, targets: Tensor, nodes: Tensor, cell: Cell) -> None:
        self.cell = cell
        self._vit = vit
        with torch.no_grad():
            self._stream = vit.block(0, vit.embed(cell.points(images, nodes)))
        self._gradients = token_gradients(vit, 0, self._stream, cell.rows(targets))
        gradient = self._pulled_back(0)
        # (rows, path tokens, width): the product so far, extended by each neuron of the layer reached.
        self._products = torch.full_like(gradient, 1 / gradient.shape[1])

    def start(self) -> Tensor:
        """Influence of each neuron of layer 0, (rows, width)."""
        return (self._products * self._pulled_back(0)).sum(1)

    def extend(self, layer: int, path: Tensor) -> Tensor:
        """Influence of each neuron of `layer`, (rows, width), after `path`, (images,), of the layer before."""
        chosen = self.cell.rows(path)[:, None, None].expand(-1, self._products.shape[1], 1)
        direction = torch.zeros_like(self._products).scatter(2, chosen, self._products.gather(2, chosen))
        entering = self._vit.down[layer - 1].increment(direction).to(self._stream.dtype)
        tangent = replace_tokens(torch.zeros_like(self._stream), self._vit.path_tokens, entering)

        def read(found: Tensor) -> Tensor:
            # A function of the constants alone has no tangent: its derivative is zero.
            along = forward_ad.unpack_dual(found).tangent
            self._products = at_least_float32(torch.zeros_like(found) if along is None else along.clone())
            return found

        with at_sites(self._vit, {layer: read}):
            self._stream, _ = block_with_tangent(self._vit, layer, self._stream, tangent)
        return (self._products * self._pulled_back(layer)).sum(1)

    def _pulled_back(self, layer: int) -> Tensor:
        return self._vit.down[layer].pull_back(self._gradients[layer])
