"""The slow oracle: a direct implementation of the paper's definitions.

Wang et al., "Discovering Influential Neuron Path in Vision Transformers" (ICLR 2025), Eq. 3 and Algorithm 1. Every
node takes a whole forward pass and one `autograd.grad`. The tests compare the fast engine with this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from nplight.attribution.clean import clean_pass
from nplight.attribution.objective import OBJECTIVES
from nplight.attribution.quadrature import quadrature
from nplight.attribution.ranking import best_first, choice_margin
from nplight.neurons import intervene, overwrite
from nplight.paths import PathBatch
from nplight.vit import OpenViT


def plain_search(
    vit: OpenViT,
    images: Tensor,
    targets: Tensor,
    *,
    top_k: int = 1,
    ranked: int | None = None,
    steps: int = 20,
    rule: str = "riemann-left",
    patch_stream: str = "exact",
    objective: str = "probability",
) -> PathBatch:
    """Layer-progressive search (Algorithm 1): arguments and result as `nplight.search`, for an undisturbed model.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.attribution import plain_search
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> paths = plain_search(vit, planted.images[:2], planted.labels[:2])
        >>> torch.equal(paths.neurons, nplight.search(vit, planted.images[:2], planted.labels[:2]).neurons)
        True
    """
    ranked = ranked or top_k
    clean, forward = clean_pass(vit, images), plain_forward(vit, images, patch_stream)
    chosen: list[Tensor] = []  # P_j, (images, K) for each layer j < l
    rankings, ranking_scores, margins = [], [], []

    for layer in range(vit.depth):
        # z_j at its path entries times alpha, the rest clean, for j < l; all of z_l times alpha.
        scaled = [_indicator(clean.values[j], picks) for j, picks in enumerate(chosen)]
        scaled.append(torch.ones_like(clean.values[layer]))
        gradients = _integrated_gradients(vit, forward, targets, clean.values, scaled, steps, rule, objective)

        path_gradient = sum((_picked(gradients[j], picks) for j, picks in enumerate(chosen)), torch.zeros(()))
        path_value = sum((_picked(clean.values[j], picks) for j, picks in enumerate(chosen)), torch.zeros(()))
        joint = (clean.values[layer] + path_value) * (gradients[layer] + path_gradient)
        scores = joint.mean(dim=1)  # over path tokens: (images, width)

        best = best_first(scores, ranked)
        rankings.append(best.neurons)
        ranking_scores.append(best.scores)
        margins.append(choice_margin(scores, top_k))
        chosen.append(best.neurons[:, :top_k])

    ranking, scores = torch.stack(rankings, 1), torch.stack(ranking_scores, 1)
    neurons = ranking[..., :top_k]
    return PathBatch(
        neurons=neurons,
        neuron_scores=scores[..., :top_k],
        scores=plain_joint_score(
            vit, images, targets, neurons, steps=steps, rule=rule, patch_stream=patch_stream, objective=objective
        ),
        effect=_effect(clean.logits, forward, vit, targets, neurons, objective),
        targets=targets,
        probability=clean.probability(targets),
        predictions=clean.logits.argmax(1),
        ranking=ranking,
        ranking_scores=scores,
        evaluations=torch.full_like(targets, vit.depth * steps),
        margin=torch.stack(margins, 1),
    )


def plain_joint_score(
    vit: OpenViT,
    images: Tensor,
    targets: Tensor,
    neurons: Tensor,
    *,
    steps: int = 20,
    rule: str = "riemann-left",
    patch_stream: str = "exact",
    objective: str = "probability",
) -> Tensor:
    """Joint attribution score of a path (Eq. 3), (images,): arguments as `nplight.joint_score`.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.attribution import plain_joint_score
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> score = plain_joint_score(vit, planted.images, planted.labels, planted.paths)
        >>> torch.allclose(score, nplight.joint_score(vit, planted.images, planted.labels, planted.paths), rtol=1e-4)
        True
    """
    clean, forward = clean_pass(vit, images), plain_forward(vit, images, patch_stream)
    picks = neurons.expand(len(images), -1, -1).unbind(dim=1)
    scaled = [_indicator(clean.values[layer], picks[layer]) for layer in range(vit.depth)]
    gradients = _integrated_gradients(vit, forward, targets, clean.values, scaled, steps, rule, objective)
    value = torch.stack([_picked(clean.values[layer], picks[layer]) for layer in range(vit.depth)]).sum(0)
    gradient = torch.stack([_picked(gradients[layer], picks[layer]) for layer in range(vit.depth)]).sum(0)
    return (value * gradient).mean(dim=(1, 2))


def _effect(
    logits: Tensor, forward: Callable[[], Tensor], vit: OpenViT, targets: Tensor, neurons: Tensor, objective: str
) -> Tensor:
    """The clean objective minus that with the path removed, (images,)."""
    with torch.no_grad(), intervene(vit, neurons, "remove"):
        removed = OBJECTIVES[objective](forward(), targets)
    return OBJECTIVES[objective](logits, targets) - removed


def _integrated_gradients(
    vit: OpenViT,
    forward: Callable[[], Tensor],
    targets: Tensor,
    values: Mapping[int, Tensor],
    scaled: Sequence[Tensor],
    steps: int,
    rule: str,
    objective: str,
) -> list[Tensor]:
    """Σ_k ω_k ∂F/∂z_j of every layer in `scaled`, whose entries where it is 1 are multiplied by α_k."""
    totals = [torch.zeros_like(mask) for mask in scaled]
    for alpha, weight in zip(*quadrature(steps, rule)):
        leaves = {
            layer: (values[layer] * torch.where(mask == 1, alpha.to(mask), 1)).requires_grad_()
            for layer, mask in enumerate(scaled)
        }
        with overwrite(vit, leaves):
            attributed = OBJECTIVES[objective](forward(), targets)
        for total, gradient in zip(totals, torch.autograd.grad(attributed.sum(), list(leaves.values()))):
            total += weight * gradient
    return totals


def plain_forward(vit: OpenViT, images: Tensor, patch_stream: str) -> Callable[[], Tensor]:
    """The forward pass that is edited; for `frozen`, every block gets clean values of all tokens but the first."""
    if patch_stream == "exact":
        return lambda: vit.forward(images)
    with torch.no_grad():
        streams = [vit.embed(images)]
        for layer in range(vit.depth):
            streams.append(vit.block(layer, streams[-1]))

    def forward() -> Tensor:
        stream = streams[0]
        for layer, clean in enumerate(streams[1:]):
            stream = torch.cat([vit.block(layer, stream)[:, :1], clean[:, 1:]], dim=1)
        return vit.head(stream)

    return forward


def _indicator(like: Tensor, picks: Tensor) -> Tensor:
    """1 at the picked neurons (images, K) of every token, 0 elsewhere: (images, path tokens, width)."""
    return torch.zeros_like(like).scatter(2, picks.unsqueeze(1).expand(-1, like.shape[1], -1), 1)


def _picked(values: Tensor, picks: Tensor) -> Tensor:
    """Sum over the picked neurons: (images, path tokens, width), (images, K) -> (images, path tokens, 1)."""
    return values.gather(2, picks.unsqueeze(1).expand(-1, values.shape[1], -1)).sum(2, keepdim=True)
