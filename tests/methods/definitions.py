"""The search methods written from their definitions: hooks on a plain model, one image and one node at a time."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from nplight import RULES

LayerScores = Callable[["Plain", Sequence[Tensor]], Tensor]


class Plain:
    """A model, one image, its target, and the settings of the search.

    Args:
        model: any model with softmax probabilities of categories.
        linears: the layer of each block that the neurons enter.
        image: (1, channels, height, width).
        target: its category.
        tokens: the path tokens.
        steps: quadrature nodes.
        rule: one of `RULES`.
        top_k: neurons a layer.
    """

    def __init__(
        self,
        model: nn.Module,
        linears: Sequence[nn.Linear],
        image: Tensor,
        target: int,
        tokens: Sequence[int],
        *,
        steps: int = 1,
        rule: str = "midpoint",
        top_k: int = 1,
    ) -> None:
        self.model, self.linears, self.image, self.target = model, linears, image, target
        self.tokens = list(tokens)
        self.steps, self.rule, self.top_k = steps, rule, top_k
        self.layers = range(len(linears))

    def run(self, image: Tensor, edits: dict[int, Any] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Probability of the target and, for each layer, the neurons, (1, tokens, width), both with their graph.

        Args:
            image: the input.
            edits: layer -> values at the path tokens, which become leaves; or functions of the running ones.
        """
        entered: list[Tensor] = []

        def hook(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            values = arguments[0]
            edit = (edits or {}).get(len(entered))
            if callable(edit):
                running, values = values[:, self.tokens], values.clone()
                values[:, self.tokens] = edit(running)
            elif edit is not None:
                values = values.clone()  # the other tokens keep their graph
                values[:, self.tokens] = edit
                values.requires_grad_()
            entered.append(values)
            return (values,)

        handles = [linear.register_forward_pre_hook(hook) for linear in self.linears]
        output = self.model(image)
        probability = getattr(output, "logits", output).softmax(-1)[0, self.target]
        for handle in handles:
            handle.remove()
        return probability, entered

    def zeros(self, layer: int) -> Tensor:
        """(width,)."""
        return torch.zeros(self.linears[layer].in_features, dtype=torch.float64)

    def at(self, values: Tensor) -> Tensor:
        """(1, tokens, width) -> (path tokens, width)."""
        return values[0, self.tokens].detach()

    def gradient(self, of: Tensor, values: Tensor) -> Tensor:
        """∂of/∂values at the path tokens, (path tokens, width)."""
        return self.at(torch.autograd.grad(of, values, retain_graph=True)[0])

    def nodes(self) -> list[tuple[float, float]]:
        alphas, weights = RULES[self.rule](self.steps)
        return list(zip(alphas.tolist(), weights.tolist()))


def activation(plain: Plain) -> list[Tensor]:
    return [plain.at(values).sum(0) for values in plain.run(plain.image)[1]]


def influence_pattern(plain: Plain) -> list[Tensor]:
    scores = [plain.zeros(layer) for layer in plain.layers]
    for alpha, weight in plain.nodes():
        probability, values = plain.run(alpha * plain.image)
        for layer in plain.layers:
            scores[layer] += weight * plain.gradient(probability, values[layer]).mean(0)
    return scores


def influence_pattern_chain(plain: Plain) -> list[Tensor]:
    # For each node the product along the path, (path tokens,): ways that end at each token.
    products: list[Tensor | None] = [None] * plain.steps
    runs = [(weight, *plain.run(alpha * plain.image)) for alpha, weight in plain.nodes()]
    scores: list[Tensor] = []
    path = -1
    for layer in plain.layers:
        score = plain.zeros(layer)
        extended = []
        for product, (weight, probability, values) in zip(products, runs):
            outward = plain.gradient(probability, values[layer])
            if product is None:
                each = torch.full_like(outward, 1 / len(outward))
            else:
                each = torch.zeros_like(outward)
                for token, row in enumerate(values[layer][0, plain.tokens]):
                    for neuron, value in enumerate(row):
                        partial = plain.gradient(value, values[layer - 1])[:, path]
                        each[token, neuron] = (partial * product).sum()
            score += weight * (each * outward).sum(0)
            extended.append(each)
        path = int(score.argmax())
        products = [each[:, path] for each in extended]
        scores.append(score)
    return scores


def integrated_gradients(plain: Plain) -> list[Tensor]:
    clean = [plain.at(values) for values in plain.run(plain.image)[1]]
    scores = [plain.zeros(layer) for layer in plain.layers]
    for layer in plain.layers:
        for alpha, weight in plain.nodes():
            probability, values = plain.run(plain.image, {layer: alpha * clean[layer]})
            scores[layer] += weight * (clean[layer] * plain.gradient(probability, values[layer])).mean(0)
    return scores


def conductance(plain: Plain) -> list[Tensor]:
    alphas = RULES[plain.rule](plain.steps + 1)[0].tolist()
    runs = [plain.run(alpha * plain.image) for alpha in alphas]
    scores = [plain.zeros(layer) for layer in plain.layers]
    for (probability, values), (_, after) in pairwise(runs):
        for layer in plain.layers:
            change = plain.at(after[layer]) - plain.at(values[layer])
            scores[layer] += (plain.gradient(probability, values[layer]) * change).sum(0)
    return scores


def gradient_activation(plain: Plain) -> list[Tensor]:
    probability, values = plain.run(plain.image)
    return [(plain.at(value) * plain.gradient(probability, value)).mean(0) for value in values]


def cross_layer(plain: Plain) -> list[Tensor]:
    probability, values = plain.run(plain.image)
    size = [plain.at(value).abs() for value in values]
    scores = [(size[-1] * plain.gradient(probability, values[-1]).abs()).mean(0)]
    for layer in reversed(plain.layers[:-1]):
        score = plain.zeros(layer)
        for chosen in scores[0].topk(plain.top_k).indices:
            received = values[layer + 1][0, plain.tokens, chosen].sum()
            score += (size[layer] * plain.gradient(received, values[layer]).abs()).mean(0)
        scores.insert(0, score)
    return scores


def layer_jas(plain: Plain, chosen: Sequence[Tensor]) -> Tensor:
    """Joint attribution scores in the layer after those whose neurons, (K,) each, are chosen: (width,)."""
    layer = len(chosen)
    clean = [plain.at(values) for values in plain.run(plain.image)[1]]
    gradient, along = torch.zeros_like(clean[layer]), torch.zeros_like(clean[layer][:, 0])
    for alpha, weight in plain.nodes():
        edits = {layer: alpha * clean[layer]}
        for earlier, neurons in enumerate(chosen):
            edits[earlier] = clean[earlier].clone()
            edits[earlier][:, neurons] *= alpha
        probability, values = plain.run(plain.image, edits)
        gradient += weight * plain.gradient(probability, values[layer])
        for earlier, neurons in enumerate(chosen):
            along += weight * plain.gradient(probability, values[earlier])[:, neurons].sum(1)
    value = sum((clean[earlier][:, neurons].sum(1) for earlier, neurons in enumerate(chosen)), torch.zeros(()))
    return ((clean[layer] + value.unsqueeze(-1)) * (gradient + along.unsqueeze(-1))).mean(0)


def jointly(plains: Sequence[Plain], layer_scores: LayerScores) -> list[Tensor]:
    """Of the images of one category: for each layer the mean of their scores, by which all choose the same neurons."""
    scores: list[Tensor] = []
    chosen: list[Tensor] = []
    for _ in plains[0].layers:
        scores.append(torch.stack([layer_scores(plain, chosen) for plain in plains]).mean(0))
        chosen.append(scores[-1].argsort(descending=True, stable=True)[: plains[0].top_k])
    return scores


def jas(plain: Plain) -> list[Tensor]:
    return jointly([plain], layer_jas)


def layer_gates(plain: Plain, chosen: Sequence[Tensor], *, held: bool = False, positive: bool = False) -> Tensor:
    """Joint integrated gradients in the layer after those whose neurons, (K,) each, are chosen: (width,)."""
    layer, clean = len(chosen), plain.run(plain.image)[1]
    score = plain.zeros(layer)
    for alpha, weight in plain.nodes():
        rest = {earlier: torch.ones(1, len(plain.zeros(earlier))).double() for earlier in range(layer + 1)}
        for earlier, neurons in enumerate(chosen):
            rest[earlier][:, neurons] = alpha
        rest[layer][:] = alpha
        gates = {earlier: gate.requires_grad_() for earlier, gate in rest.items()}

        def gated(earlier: int, gates: dict[int, Tensor] = gates) -> Callable[[Tensor], Tensor]:
            fixed = clean[earlier][:, plain.tokens].detach()
            return lambda running: gates[earlier] * (fixed if held else running)

        probability, _ = plain.run(plain.image, {earlier: gated(earlier) for earlier in gates})
        gradient = torch.autograd.grad(probability, gates[layer])[0][0]
        score += weight * (gradient.clamp(min=0) if positive else gradient)
    return score


def layer_gates_held(plain: Plain, chosen: Sequence[Tensor]) -> Tensor:
    return layer_gates(plain, chosen, held=True)


def layer_gates_positive(plain: Plain, chosen: Sequence[Tensor]) -> Tensor:
    return layer_gates(plain, chosen, positive=True)


def joint_integrated_gradients(plain: Plain) -> list[Tensor]:
    return jointly([plain], layer_gates)


def joint_integrated_gradients_held(plain: Plain) -> list[Tensor]:
    return jointly([plain], layer_gates_held)


def joint_positive_gradients(plain: Plain) -> list[Tensor]:
    return jointly([plain], layer_gates_positive)


def greedy_removal(plain: Plain) -> list[Tensor]:
    """With every neuron a candidate."""
    scores, removed = [], {layer: torch.ones(len(plain.zeros(layer))).double() for layer in plain.layers}

    def probability() -> float:
        edits = {layer: lambda running, mask=mask: running * mask for layer, mask in removed.items()}
        return plain.run(plain.image, edits)[0].item()

    for layer in plain.layers:
        score = plain.zeros(layer)
        rest = list(range(len(score)))
        for _ in range(plain.top_k):
            before = probability()
            for neuron in rest:
                removed[layer][neuron] = 0
                score[neuron] = before - probability()
                removed[layer][neuron] = 1
            best = max(rest, key=lambda neuron: score[neuron])
            removed[layer][best] = 0
            rest.remove(best)
        scores.append(score)
    return scores


def random(plain: Plain) -> list[Tensor]:
    widths = [linear.in_features for linear in plain.linears]
    checksum = zlib.crc32(plain.image.float().numpy().tobytes())
    return list(torch.rand(sum(widths), generator=torch.Generator().manual_seed(checksum)).double().split(widths))


DEFINITIONS: dict[str, Callable[[Plain], list[Tensor]]] = {
    "jas": jas,
    "joint_integrated_gradients": joint_integrated_gradients,
    "joint_integrated_gradients_held": joint_integrated_gradients_held,
    "joint_positive_gradients": joint_positive_gradients,
    "activation": activation,
    "influence_pattern": influence_pattern,
    "influence_pattern_chain": influence_pattern_chain,
    "integrated_gradients": integrated_gradients,
    "conductance": conductance,
    "gradient_activation": gradient_activation,
    "cross_layer": cross_layer,
    "greedy_removal": greedy_removal,
    "random": random,
}

# What a method that searches the images of a category jointly scores the next layer by.
JOINT: dict[str, LayerScores] = {
    "jas": layer_jas,
    "joint_integrated_gradients": layer_gates,
    "joint_integrated_gradients_held": layer_gates_held,
    "joint_positive_gradients": layer_gates_positive,
}
