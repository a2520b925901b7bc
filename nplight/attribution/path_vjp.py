"""Node rows of a given path, whose neurons are scaled, with the path's derivative as a VJP."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.block_runner import BlockRunner
from nplight.attribution.node_rows import NodeRows
from nplight.attribution.problem import Problem
from nplight.neurons import path_masks, replace_tokens


class PathVJP:
    """Runs blocks with the path's neurons at α times their clean values, the others of its layers at clean values.

    An offset, one per path token, is added to all path neurons at that token. Its gradient is the sum of ∂F/∂z over the
    path there, so that a single backward pass serves all layers.

    Args:
        problem: the search.
        path: (images, layers of the path, K) int64, distinct in a layer.

    Attributes:
        value: (images, path tokens), the sum of the path's clean values.
    """

    def __init__(self, problem: Problem, path: Tensor) -> None:
        vit, values = problem.vit, problem.clean.values
        self._problem, self._runner = problem, problem.runner
        self._masks = [mask.unsqueeze(1) for mask in path_masks(path, vit.widths[: path.shape[1]])]
        sums = [(values[layer] * mask).sum(2) for layer, mask in enumerate(self._masks)]
        self.value = torch.stack(sums).sum(0) if sums else torch.zeros_like(values[0][..., 0])

    def run(self, rows: NodeRows, blocks: int) -> tuple[BlockRunner, Tensor, Tensor]:
        """Run the first `blocks` blocks; in a layer after the path all neurons are at α times their clean values.

        Returns:
            The block runner of the rows' images; the stream that leaves the last of the blocks, (rows, live tokens,
            features), which always requires a gradient; and the offsets it depends on, (rows, path tokens).
        """
        problem, runner = self._problem, self._runner.of(rows.images)
        vit, clean = problem.vit, problem.clean
        alpha = rows.alpha(problem.nodes)[:, None, None]
        offset = self.value.new_zeros(len(rows), self.value.shape[1], requires_grad=True)

        def neurons(layer: int) -> Tensor:
            value = rows.each(clean.values[layer])
            if layer >= len(self._masks):
                return value * alpha
            mask = rows.each(self._masks[layer])
            return torch.where(mask, value * alpha, value) + offset.unsqueeze(2) * mask

        # Before the neurons of block 0 every node equals the clean pass; the output of block 0 is affine in them.
        change = vit.down[0].increment(neurons(0) - rows.each(clean.values[0]))
        tokens, stream = vit.path_tokens, rows.each(clean.first)
        stream = replace_tokens(stream, tokens, stream[:, tokens] + change.to(stream.dtype))[:, runner.live(0)]
        stream.requires_grad_()
        for layer in range(1, blocks):
            stream = runner.block(layer, stream, neurons(layer))
        return runner, stream, offset
