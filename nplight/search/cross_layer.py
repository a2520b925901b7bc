"""Search by cross-layer attribution, from the output back.

After Rajaram et al., "Automatic Discovery of Visual Circuits", 2024. The attribution of a neuron m to a neuron n of
the next layer is |a_m| · |∂a_n/∂a_m|, at the clean values.

Ours to fix:

- Direction: from the output back. The last layer is scored by |a_m| · |∂F/∂a_m|, F the target's probability.
- Layer l is scored by the sum over the `top_k` neurons n chosen in layer l+1, all of equal weight; so its ranking
  depends on K.
- There is no threshold at which it stops: every layer gets its K neurons.
- Several path tokens: a neuron n that receives counts as the sum of its values over the path tokens, and a neuron m
  that sends is scored by the mean over them, |a_m[t]| · |∂(Σ_s a_n[s])/∂a_m[t]|.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nplight.attribution import CleanPass, PathScores, at_least_float32
from nplight.neurons import at_sites
from nplight.search.derivatives import best, clean_streams, token_gradients
from nplight.search.options import SearchOptions
from nplight.search.ranking import ranked
from nplight.vit import OpenViT


def cross_layer(vit: OpenViT, clean: CleanPass, targets: Tensor, options: SearchOptions, chunk_size: int) -> PathScores:
    """Score of a neuron: |a_m| · Σ_n |∂a_n/∂a_m| to those chosen in the next layer; see the module."""
    streams = clean_streams(vit, clean)
    parts = [slice(start, start + chunk_size) for start in range(0, len(targets), chunk_size)]
    size = {layer: value.abs() for layer, value in clean.values.items()}
    last = vit.depth - 1

    gradient = torch.cat([token_gradients(vit, last, streams[last][part], targets[part])[0] for part in parts])
    scores = [(size[last] * vit.down[last].pull_back(gradient).abs()).mean(1)]
    for layer in reversed(range(last)):
        chosen = best(scores[0], options.top_k)
        sensitivity = [_sensitivity(vit, layer, streams[layer][part], chosen[part]) for part in parts]
        scores.insert(0, (size[layer] * torch.cat(sensitivity)).mean(1))
    return ranked(vit, clean, targets, scores, options, chunk_size)


def _sensitivity(vit: OpenViT, layer: int, stream: Tensor, chosen: Tensor) -> Tensor:
    """Σ_n |∂a_n/∂a_m| for every neuron m of a layer.

    Args:
        vit: the opened model, undisturbed.
        layer: that of m; n are of the next.
        stream: (images, tokens, features), what leaves block `layer`.
        chosen: (images, K) int64, the neurons n.

    Returns:
        (images, path tokens, width).
    """
    reached: list[Tensor] = []

    def read(found: Tensor) -> Tensor:
        reached.append(found)
        return found

    leaf = stream.detach().requires_grad_()
    with at_sites(vit, {layer + 1: read}):
        vit.block(layer + 1, leaf)
    received = at_least_float32(reached[0]).sum(1).gather(1, chosen)  # (images, K)

    total = torch.zeros((), device=leaf.device)
    for neuron in received.sum(0):
        (gradient,) = torch.autograd.grad(neuron, leaf, retain_graph=True)
        total = total + vit.down[layer].pull_back(at_least_float32(gradient[:, vit.path_tokens])).abs()
    return total
