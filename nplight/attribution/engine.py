"""The fast engine: layer-progressive search that recomputes nothing, equal to the oracle to rounding.

At step l the pass up to block l-1 is that of the path chosen so far, so every (image, node) row keeps only its stream
`h` entering block l and the tangent `t` of that stream in the direction "1 at every path neuron". Block l then runs
once, with the neurons of the path token held at alpha times their clean values; only the blocks after it are
differentiated, with their input as the leaf. For one path token: with several, each needs a direction of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nplight.attribution.clean import CleanPass, at_least_float32, target_probability
from nplight.attribution.tangent import block_with_tangent
from nplight.neurons import overwrite
from nplight.vit import OpenViT


@dataclass(frozen=True, slots=True)
class PathScores:
    """What the engine finds for a group of images.

    Attributes:
        ranking: (images, layers, R) int64, best first.
        ranking_scores: (images, layers, R).
        scores: (images,), the joint attribution score of the path of the first K of each layer.
    """

    ranking: Tensor
    ranking_scores: Tensor
    scores: Tensor


def progressive_search(
    vit: OpenViT,
    clean: CleanPass,
    targets: Tensor,
    *,
    nodes: Tensor,
    weights: Tensor,
    top_k: int,
    ranked: int,
    chunk_size: int,
) -> PathScores:
    """Layer-progressive search (Wang et al., ICLR 2025, Algorithm 1) for a group of images.

    Args:
        vit: the opened model, undisturbed, with a single path token.
        clean: the clean pass of the images.
        targets: (images,) int64.
        nodes: (m,) quadrature nodes.
        weights: (m,) quadrature weights.
        top_k: neurons a layer that enter the joint sums.
        ranked: candidates a layer to return, at least `top_k`.
        chunk_size: (image, node) rows in flight in a differentiated pass.
    """
    values = {layer: found[:, 0] for layer, found in clean.values.items()}  # one path token: (images, width)
    nodes, weights = nodes.to(values[0]), weights.to(values[0])
    rows = _Rows(vit, clean.first, nodes, targets, chunk_size)
    path_value = torch.zeros_like(clean.logits[:, 0])
    rankings, ranking_scores = [], []

    for layer in range(vit.depth):
        down, value = vit.down[layer], values[layer]
        if layer == 0:
            rows.start((nodes - 1)[:, None] * down.increment(value)[:, None])
        token_gradient, path_gradient = rows.advance(layer, value)
        gradient = down.pull_back((weights[:, None] * token_gradient).sum(1))
        joint = (value + path_value[:, None]) * (gradient + (weights * path_gradient).sum(1, keepdim=True))

        # Stable: of equal scores the lower index comes first, on every device.
        best = joint.sort(dim=1, descending=True, stable=True)
        rankings.append(best.indices[:, :ranked])
        ranking_scores.append(best.values[:, :ranked])
        picks = best.indices[:, :top_k]
        path_value = path_value + value.gather(1, picks).sum(1)

        # The neurons outside the path go back to their clean values; the direction gains the chosen ones.
        off_path = value.scatter(1, picks, 0)
        on_path = torch.zeros_like(value).scatter(1, picks, 1)
        rows.correct((1 - nodes)[:, None] * down.increment(off_path)[:, None], down.increment(on_path))

    _, path_gradient = rows.advance(vit.depth)
    return PathScores(
        ranking=torch.stack(rankings, 1),
        ranking_scores=torch.stack(ranking_scores, 1),
        scores=path_value * (weights * path_gradient).sum(1),
    )


class _Rows:
    """The residual stream and its tangent of every (image, node) row, one block further with every `advance`."""

    def __init__(self, vit: OpenViT, first: Tensor, nodes: Tensor, targets: Tensor, chunk_size: int) -> None:
        self._vit = vit
        self._nodes = nodes
        self._chunk = chunk_size
        self._token = range(first.shape[1])[vit.path_tokens][0]
        self._shape = (len(first), len(nodes))
        # Before the first edit all nodes are the same: embedding and block 0 ran once an image.
        self._stream = first.repeat_interleave(len(nodes), dim=0)
        self._tangent = torch.zeros_like(self._stream)
        self._targets = targets.repeat_interleave(len(nodes))

    def start(self, change: Tensor) -> None:
        """Edit the stream that left block 0: `change` (images, nodes, features) at the path token."""
        self._stream[:, self._token] += change.flatten(0, 1).to(self._stream.dtype)

    def correct(self, change: Tensor, direction: Tensor) -> None:
        """Add to the path token `change` (images, nodes, features), `direction` (images, features) to its tangent."""
        self._stream[:, self._token] += change.flatten(0, 1).to(self._stream.dtype)
        self._tangent[:, self._token] += direction.repeat_interleave(self._shape[1], dim=0).to(self._tangent.dtype)

    def advance(self, layer: int, value: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run block `layer` with its neurons at alpha times `value` (images, width), and differentiate what follows.

        For `layer` = L there is no block left: only the head is differentiated. Block 0 has run already.

        Returns:
            The gradient of the target's probability at the path token of the stream leaving the block, (images, nodes,
            features), and its derivative along the tangent, (images, nodes).
        """
        token_gradients, path_gradients = [], []
        for start in range(0, len(self._stream), self._chunk):
            chunk = slice(start, start + self._chunk)
            if 0 < layer < self._vit.depth and value is not None:
                self._run_block(layer, value, chunk)
            gradient = self._gradient(layer + 1, chunk)
            token_gradients.append(gradient[:, self._token])
            path_gradients.append((gradient * self._tangent[chunk]).sum((1, 2)))
        return (
            torch.cat(token_gradients).unflatten(0, self._shape),
            torch.cat(path_gradients).unflatten(0, self._shape),
        )

    def _run_block(self, layer: int, value: Tensor, chunk: slice) -> None:
        row = torch.arange(len(self._stream), device=value.device)[chunk]
        image, node = row // self._shape[1], row % self._shape[1]
        scaled = value[image] * self._nodes[node, None]
        with overwrite(self._vit, {layer: scaled.unsqueeze(1)}):
            out, tangent = block_with_tangent(self._vit, layer, self._stream[chunk], self._tangent[chunk])
        self._stream[chunk] = out
        self._tangent[chunk] = tangent

    def _gradient(self, layer: int, chunk: slice) -> Tensor:
        leaf = self._stream[chunk].detach().requires_grad_()
        probability = target_probability(self._vit.forward_from(layer, leaf), self._targets[chunk])
        (gradient,) = torch.autograd.grad(probability.sum(), leaf)
        return at_least_float32(gradient)
