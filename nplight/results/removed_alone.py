"""What the removal of one neuron alone does to the categories that use it, beside random neurons of its layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nplight.attribution import check_finite
from nplight.data import ImageBatch
from nplight.errors import ArgumentError, check_at_least
from nplight.metrics import Estimate, probability_deviation
from nplight.metrics.edited_forward import EditedForward
from nplight.neurons import Edit, Tokens
from nplight.results.change_sums import ChangeSums
from nplight.results.neuron_names import Neuron, check_of_model
from nplight.seeds import hashed_generator
from nplight.vit import OpenViT, undisturbed

DRAWS = 5
"""Random neurons per layer."""


@dataclass(frozen=True, slots=True)
class RemovedAlone:
    """The removal of one neuron, all others left as they are, on the images of one category.

    The changes are mean relative changes of the label's probability, as fractions: (edited - clean) / clean.

    Attributes:
        layer: of the neuron.
        neuron: its number in the layer.
        category: whose path holds it.
        removed: the change by its removal.
        random: the mean change by the removal of one random neuron of the layer; NaN without such neurons.
        difference: `removed` minus `random`, paired by image.

    Examples:
        >>> from nplight.metrics import Estimate
        >>> from nplight.results import RemovedAlone
        >>> removed, random = Estimate(-0.21, -0.24, -0.18, 57), Estimate(-0.01, -0.03, 0.01, 57)
        >>> lead = Estimate(-0.2, -0.23, -0.17, 57)  # paired by image
        >>> alone = RemovedAlone(3, 17, category=2, removed=removed, random=random, difference=lead)
        >>> alone.difference.high < 0  # its removal costs more than that of a random neuron
        True
    """

    layer: int
    neuron: int
    category: int
    removed: Estimate
    random: Estimate
    difference: Estimate


def removed_alone(
    vit: OpenViT,
    batches: Iterable[ImageBatch],
    users: Mapping[int, Sequence[Neuron]],
    *,
    tokens: Tokens = "path",
    draws: int = DRAWS,
    seed: int = 0,
    advance: Callable[[int], object] = lambda images: None,
) -> list[RemovedAlone]:
    """Remove each neuron alone, on the images of the categories that use it.

    The control removes `draws` neurons of the same layer that no category uses, one at a time. They depend on the layer
    and the seed, and are the same for all categories. The intervals hold the spread of the images, and those with
    random neurons also that of the draws. A layer with fewer unused neurons than `draws` has no control.

    Memory does not grow with the images: of a category's images sums of powers are kept.

    Args:
        vit: the opened model.
        batches: images with labels, on the model's device, each once.
        users: category -> its neurons, as layer and number.
        tokens: where neurons are removed, `path` or `all`.
        draws: random neurons per layer, at least 2.
        seed: of the draws.
        advance: called with the number of images after each batch.

    Returns:
        One entry per category with images and neuron, by category and in the order of its neurons.

    Raises:
        ArgumentError: there is no neuron, a neuron is not the model's, or images have no labels.
        NonFiniteError: a probability is NaN or infinite.

    Examples:
        >>> import nplight
        >>> from nplight.data import ImageBatch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.results import removed_alone
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, batch = nplight.open_vit(planted.model), ImageBatch(planted.images, planted.labels)
        >>> neuron = (3, planted.truth[2, 3, 0].item())  # of the path of category 2
        >>> (alone,) = removed_alone(vit, [batch], {2: [neuron]})
        >>> alone.removed.value < -0.5, abs(alone.random.value) < 0.01
        (True, True)
    """
    check_at_least("draws", draws, 2)
    check_of_model(vit, [neuron for neurons in users.values() for neuron in neurons])
    random = random_neurons(vit.widths, users, draws, seed)
    sums: dict[int, ChangeSums] = {}
    with undisturbed(vit.model), torch.no_grad():
        for batch in batches:
            if batch.labels is None:
                raise ArgumentError("`batches` must give images with labels, got images without")
            for category in batch.labels.unique().tolist():
                neurons = users.get(category, ())
                if neurons:
                    images = batch.images[batch.labels == category]
                    changes = _changes(EditedForward(vit, images, tokens), category, neurons, random)
                    sums.setdefault(category, ChangeSums([layer for layer, _ in neurons], draws)).add(*changes)
            advance(len(batch))
    return [
        RemovedAlone(*neuron, category, *estimates)
        for category in sorted(sums)
        for neuron, estimates in zip(users[category], sums[category].estimates())
    ]


def random_neurons(
    widths: Sequence[int], users: Mapping[int, Sequence[Neuron]], draws: int, seed: int = 0
) -> dict[int, list[int]]:
    """Random neurons that no category uses: layer -> `draws` numbers; without the layers that have fewer.

    Args:
        widths: neurons per layer.
        users: category -> its neurons.
        draws: neurons per layer.
        seed: of the draw; a layer's neurons depend on it, the layer and the used neurons alone.
    """
    chosen = {}
    for layer, width in enumerate(widths):
        unused = torch.ones(width, dtype=torch.bool)
        unused[[number for neurons in users.values() for where, number in neurons if where == layer]] = False
        left = unused.nonzero().flatten()
        if len(left) >= draws:
            order = torch.randperm(len(left), generator=hashed_generator(seed, layer))
            chosen[layer] = left[order[:draws]].tolist()
    return chosen


def removal(layer: int, neuron: int) -> Edit:
    """The edit that removes one neuron, for all images alike."""

    def remove(edited_layer: int, neurons: Tensor) -> Tensor:
        if edited_layer != layer:
            return neurons
        edited = neurons.clone()
        edited[..., neuron] = 0
        return edited

    return remove


def _changes(
    forward: EditedForward, category: int, neurons: Sequence[Neuron], random: Mapping[int, Sequence[int]]
) -> tuple[Tensor, dict[int, Tensor]]:
    """Changes of images of a category: (images, neurons), and layer -> (images, draws); images that have one alone."""
    drawn = {layer: random[layer] for layer, _ in neurons if layer in random}

    def removals() -> Iterator[Edit]:
        yield from (removal(*neuron) for neuron in neurons)
        yield from (removal(layer, number) for layer, numbers in drawn.items() for number in numbers)

    probabilities = [_probability(forward.clean(), category)]
    probabilities += [_probability(scores, category) for scores in forward.edited(removals())]
    clean, *edited = probabilities
    check_finite(f"the probability of category {category} is NaN or infinite", torch.stack(probabilities, 1))
    changes = probability_deviation(clean[:, None], torch.stack(edited, 1))[clean > 0]
    own, *others = changes.split([len(neurons), *map(len, drawn.values())], 1)
    return own, dict(zip(drawn, others))


def _probability(logits: Tensor, category: int) -> Tensor:
    return logits.double().softmax(-1)[:, category].cpu()
