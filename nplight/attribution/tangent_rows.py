"""Rows for one path token: the path's derivative is carried along as a tangent of the stream."""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution.clean import at_least_float32
from nplight.attribution.rows import Rows
from nplight.attribution.tangent import block_with_tangent
from nplight.neurons import overwrite
from nplight.vit import OpenViT


class TangentRows(Rows):
    """Every row holds its stream and the tangent of it in the direction "1 at every path neuron".

    Only the blocks after the searched one are differentiated: no graph is kept from step to step. Arguments as `Rows`.
    """

    def __init__(
        self, vit: OpenViT, first: Tensor, edited: Tensor, nodes: Tensor, targets: Tensor, chunk_size: int
    ) -> None:
        super().__init__(vit, first, edited, nodes, targets, chunk_size)
        self._tangent = torch.zeros_like(self.stream)

    def correct(self, change: Tensor, direction: Tensor) -> None:
        tokens = self.vit.path_tokens
        self.stream[:, tokens] += change.flatten(0, 1).to(self.stream.dtype)
        self._tangent[:, tokens] += direction.repeat_interleave(self.shape[1], dim=0).to(self._tangent.dtype)

    def advance(self, layer: int, value: Tensor | None = None) -> tuple[Tensor, Tensor]:
        token_gradients, path_gradients = [], []
        for chunk in self.chunks:
            if layer > 0 and value is not None:
                with overwrite(self.vit, {layer: self.scaled(value, chunk)}):
                    out = block_with_tangent(self.vit, layer, self.stream[chunk], self._tangent[chunk])
                self.stream[chunk], self._tangent[chunk] = out
            leaf = self.stream[chunk].detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.probability(layer + 1, leaf, chunk), leaf)
            token_gradients.append(gradient[:, self.vit.path_tokens])
            product = at_least_float32(gradient) * self._tangent[chunk]
            path_gradients.append(product.sum((1, 2)).unsqueeze(1))
        return self.gathered(token_gradients), self.gathered(path_gradients)
