"""The slow oracle of joint integrated gradients: a direct implementation of the definition.

Every node takes a whole forward pass with gates at the sites and one `autograd.grad`. The tests compare `GateRows` with
this module.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from nplight.attribution.clean import clean_pass
from nplight.attribution.objective import OBJECTIVES
from nplight.attribution.oracle import plain_forward
from nplight.attribution.quadrature import quadrature
from nplight.neurons import at_sites
from nplight.neurons.sites import SiteFunction
from nplight.vit import OpenViT


def plain_gate_scores(
    vit: OpenViT,
    images: Tensor,
    targets: Tensor,
    path: Tensor,
    *,
    steps: int = 20,
    rule: str = "riemann-left",
    objective: str = "probability",
    held: bool = False,
    patch_stream: str = "exact",
) -> Tensor:
    """Joint integrated gradients of the neurons of layer l after a path in the layers before it, (images, width).

    Σ_k ω_k ∂F/∂gate_i with the gates of the path, and all gates of layer l, at α_k; ∂F/∂gate summed over path tokens.

    Args:
        vit: the opened model, undisturbed.
        images: (images, channels, height, width).
        targets: (images,) int64.
        path: (images, l, K) int64.
        steps: quadrature nodes.
        rule: one of `RULES`.
        objective: one of `OBJECTIVES`.
        held: whether the other neurons of the path's layers are held at their clean values.
        patch_stream: `exact` or `frozen`.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.attribution import plain_gate_scores
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> scores = plain_gate_scores(vit, planted.images, planted.labels, planted.paths[:, :1])
        >>> torch.equal(scores.argmax(1), planted.paths[:, 1, 0])  # the planted neuron of layer 1
        True
    """
    layer, gradients = path.shape[1], []
    for weight, gates in _gate_passes(vit, images, targets, path, steps, rule, objective, held, patch_stream, layer):
        gradients.append(weight * gates[layer])
    return torch.stack(gradients).sum(0)


def plain_gate_path_score(
    vit: OpenViT,
    images: Tensor,
    targets: Tensor,
    path: Tensor,
    *,
    steps: int = 20,
    rule: str = "riemann-left",
    objective: str = "probability",
) -> Tensor:
    """Σ_k ω_k Σ_{p in the path} ∂F/∂gate_p with the path's gates at α_k, (images,): arguments as `plain_gate_scores`.

    Complete: as the rule converges it becomes F(clean) − F(path removed).

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.attribution import plain_gate_path_score
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> score = plain_gate_path_score(vit, planted.images, planted.labels, planted.paths, steps=100)
        >>> paths = nplight.search(vit, planted.images, planted.labels)
        >>> torch.allclose(score, paths.effect, atol=0.01)  # the fall of the probability when the path is removed
        True
    """
    total = torch.zeros(len(images), dtype=images.dtype)
    for weight, gates in _gate_passes(vit, images, targets, path, steps, rule, objective, held=False):
        for layer, gradient in gates.items():
            total = total + weight * gradient.gather(1, path[:, layer]).sum(1)
    return total


def _gate_passes(
    vit: OpenViT,
    images: Tensor,
    targets: Tensor,
    path: Tensor,
    steps: int,
    rule: str,
    objective: str,
    held: bool,
    patch_stream: str = "exact",
    all_of: int | None = None,
) -> Iterator[tuple[Tensor, dict[int, Tensor]]]:
    """Per node its weight and ∂F/∂gate by layer, (images, width); `all_of`: a layer that is gated whole."""
    clean, forward = clean_pass(vit, images), plain_forward(vit, images, patch_stream)
    for alpha, weight in zip(*quadrature(steps, rule)):
        leaves = {}
        for layer in range(path.shape[1] if all_of is None else all_of + 1):
            gate = torch.full((len(images), vit.widths[layer]), 1.0, dtype=images.dtype)
            gate = gate.fill_(alpha) if layer == all_of else gate.scatter(1, path[:, layer], float(alpha))
            leaves[layer] = gate.requires_grad_()

        edits = {layer: _gating(leaf, clean.values[layer] if held else None) for layer, leaf in leaves.items()}
        with at_sites(vit, edits):
            attributed = OBJECTIVES[objective](forward(), targets)
        yield weight, dict(zip(leaves, torch.autograd.grad(attributed.sum(), list(leaves.values()))))


def _gating(gates: Tensor, held: Tensor | None) -> SiteFunction:
    """Neurons (images, path tokens, width) times their gates (images, width); `held`: values in their place."""
    return lambda values: (values if held is None else held) * gates.unsqueeze(1)
