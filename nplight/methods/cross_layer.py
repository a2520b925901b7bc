"""Search by cross-layer attribution, from the output to the input.

After Rajaram et al., "Automatic Discovery of Visual Circuits", 2024. The attribution of a neuron m to a neuron n of
the next layer is |a_m| · |∂a_n/∂a_m|, at the clean values.

Choices of this implementation:

- Direction: from the output to the input. The last layer is scored by |a_m| · |∂F/∂a_m|, F the target's probability.
- Layer l is scored by the sum over the `top_k` neurons n chosen in layer l+1, with equal weights, so that its ranking
  depends on K.
- There is no threshold: K neurons are chosen in every layer.
- Several path tokens: a receiving neuron n counts as the sum of its values over the path tokens, and a sending neuron m
  is scored by the mean over them, |a_m[t]| · |∂(Σ_s a_n[s])/∂a_m[t]|.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nplight.attribution import NodeRows, Problem, at_least_float32, best_first, clean_streams, token_gradients
from nplight.neurons import at_sites
from nplight.vit import OpenViT


def cross_layer(problem: Problem) -> list[Tensor]:
    """Score of a neuron: |a_m| · Σ_n |∂a_n/∂a_m| over the neurons n chosen in the next layer; see the module."""
    vit, values = problem.vit, problem.clean.values
    streams, last = clean_streams(vit, problem.clean), vit.depth - 1

    def gradient(rows: NodeRows) -> Tensor:
        return token_gradients(problem, last, rows.each(streams[last]), rows)[0]

    scores = [(values[last].abs() * vit.down[last].pull_back(_per_image(problem, gradient)).abs()).mean(1)]
    for layer in reversed(range(last)):
        chosen = best_first(scores[0], problem.top_k).neurons

        def sensitivity(rows: NodeRows, layer: int = layer, chosen: Tensor = chosen) -> Tensor:
            return _sensitivity(vit, layer, rows.each(streams[layer]), rows.each(chosen))

        scores.insert(0, (values[layer].abs() * _per_image(problem, sensitivity)).mean(1))
    return scores


def _per_image(problem: Problem, run: Callable[[NodeRows], Tensor]) -> Tensor:
    """The results of `run` for the images, chunk by chunk; the single node is the clean pass."""
    return torch.cat([result for _, result in problem.in_chunks(run, nodes=1)])


def _sensitivity(vit: OpenViT, layer: int, stream: Tensor, chosen: Tensor) -> Tensor:
    """Σ_n |∂a_n/∂a_m| for every neuron m of a layer.

    Args:
        vit: the opened model, undisturbed.
        layer: the layer of m; n are neurons of the next.
        stream: (images, tokens, features), the stream that leaves block `layer`.
        chosen: (images, K) int64, the neurons n.

    Returns:
        (images, path tokens, width).
    """
    next_neurons: list[Tensor] = []

    def read(neurons: Tensor) -> Tensor:
        next_neurons.append(neurons)
        return neurons

    leaf = stream.detach().requires_grad_()
    with at_sites(vit, {layer + 1: read}):
        vit.block(layer + 1, leaf)
    received = at_least_float32(next_neurons[0]).sum(1).gather(1, chosen)  # (images, K)

    total = torch.zeros((), device=leaf.device)
    for neuron in received.sum(0):
        (gradient,) = torch.autograd.grad(neuron, leaf, retain_graph=True)
        total = total + vit.down[layer].pull_back(at_least_float32(gradient[:, vit.path_tokens])).abs()
    return total
