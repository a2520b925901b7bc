"""Node rows with a given path's neurons scaled, and the path's own derivative from the same backward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.frozen import passes_over
from nplight.attribution.node_rows import NodeRows
from nplight.attribution.passes import Passes
from nplight.attribution.problem import Problem
from nplight.neurons import path_masks, replace_tokens


class PathShift:
    """The path's neurons at α times their clean values, all others of its layers at their clean values.

    The sum of ∂F/∂z over the path is one derivative: that along a shift, one per path token, of all the path's neurons
    together. So a single backward pass to the shifts serves all layers.

    Args:
        problem: the search.
        path: (images, layers of the path, K) int64, distinct in a layer.

    Attributes:
        value: (images, path tokens), the sum of the path's clean values.
    """

    def __init__(self, problem: Problem, path: Tensor) -> None:
        vit, values = problem.vit, problem.clean.values
        self._problem, self._passes = problem, passes_over(vit, problem.clean)
        self._masks = [mask.unsqueeze(1) for mask in path_masks(path, vit.widths[: path.shape[1]])]
        sums = [(values[layer] * mask).sum(2) for layer, mask in enumerate(self._masks)]
        self.value = torch.stack(sums).sum(0) if sums else torch.zeros_like(values[0][..., 0])

    def run(self, rows: NodeRows, blocks: int) -> tuple[Passes, Tensor, Tensor]:
        """Run the first `blocks` blocks; of a layer after the path all neurons are at α times their clean values.

        Returns:
            The block runner of the rows' images; the stream that leaves the last of the blocks, (rows, live tokens,
            features); and the shifts on which it depends, (rows, path tokens). It always requires a gradient.
        """
        problem, passes = self._problem, self._passes.of(rows.images)
        vit, clean = problem.vit, problem.clean
        alpha = rows.alpha(problem.nodes)[:, None, None]
        shift = self.value.new_zeros(len(rows), self.value.shape[1], requires_grad=True)

        def neurons(layer: int) -> Tensor:
            value = rows.each(clean.values[layer])
            if layer >= len(self._masks):
                return value * alpha
            mask = rows.each(self._masks[layer])
            return torch.where(mask, value * alpha, value) + shift.unsqueeze(2) * mask

        # Up to the neurons of block 0 all nodes are the clean pass, and what leaves it is affine in them.
        change = vit.down[0].increment(neurons(0) - rows.each(clean.values[0]))
        tokens, stream = vit.path_tokens, rows.each(clean.first)
        stream = replace_tokens(stream, tokens, stream[:, tokens] + change.to(stream.dtype))[:, passes.live(0)]
        stream.requires_grad_()
        for layer in range(1, blocks):
            stream = passes.block(layer, stream, neurons(layer))
        return passes, stream, shift
