"""A trained model whose neuron path is known by construction: the digits model with appended neurons.

The bundled digits model is frozen, K neurons are appended to every FFN, and they alone are trained so that a white
square in the corner of an image moves any digit to one category. Without them the model is the old one bit for bit, so
they carry the trigger. How much each carries is what training made of it: most of the trigger passes one or two layers,
and where the appended neurons act at every token, patch tokens carry a part. So which of them are *needed* is measured:
those whose single removal at the class token, where methods edit, lowers the target's mean probability by
`LEAST_EFFECT` at least. Recall, precision and AUROC are of the needed ones; the causal shares are measured by the
removal and keeping of all appended ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from importlib.resources import as_file, files
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from nplight.neurons import at_sites
from nplight.planted.appended_neurons import AppendedNeurons, append_neurons
from nplight.planted.causal_shares import clean_probability
from nplight.planted.planted_model import PlantedModel
from nplight.planted.trigger_case import TARGET, TRIGGERS, TriggerCase
from nplight.planted.trigger_training import digits_model, train_trigger
from nplight.planted.triggered_digits import LabelledImages, triggered, unseen_digits
from nplight.seeds import seeded_generator
from nplight.vit import open_vit

IMAGES = 40
LEAST_EFFECT = 0.005
BUNDLED_SEEDS = (0, 1, 2)

_WEIGHTS = files("nplight.planted") / "bundled" / "trigger.safetensors"


def build_trigger(case: TriggerCase, *, seed: int = 0) -> PlantedModel:
    """The digits model with appended neurons that carry a trigger, and unseen digits with the trigger.

    Args:
        case: which neurons.
        seed: of the training, and of which digits are taken: unseen ones, not of the target category, that the trigger
            moves to it. The weights of `BUNDLED_SEEDS` come with nplight; others are trained, some 20 seconds.

    Examples:
        >>> from nplight.planted import TRIGGERS, build_trigger
        >>> trigger = build_trigger(TRIGGERS["trigger_3"])
        >>> trigger.truth.shape  # (categories, layers, K)
        torch.Size([10, 6, 3])
    """
    model = digits_model()
    width = open_vit(model).widths[0]
    append_neurons(model, trigger_weights(case, seed), class_token=case.class_token)
    images = _moved(model, unseen_digits()).drawn(IMAGES, seeded_generator(seed, 1)).images
    labels = torch.full((len(images),), TARGET)
    appended = torch.arange(width, width + case.top_k)
    truth = appended.expand(open_vit(model).num_classes, len(model.blocks), -1)
    planted = PlantedModel(case.name, model, images, labels, truth, torch.empty(len(model.blocks), 0).long())
    return planted.with_needed(single_effects(planted) >= LEAST_EFFECT)


def trigger_weights(case: TriggerCase, seed: int) -> AppendedNeurons:
    """The weights of the appended neurons: bundled, or trained."""
    name = _key(case, seed)
    bundled = _bundled()
    if f"{name}.reads" not in bundled:
        return train_trigger(case, seed=seed)
    return AppendedNeurons(*(bundled[f"{name}.{field}"] for field in AppendedNeurons._fields))


def write_trigger_weights(path: Path) -> None:
    """Train the bundled weights anew and write them: some 20 seconds per case of `TRIGGERS` and seed."""
    weights = {
        f"{_key(case, seed)}.{field}": values
        for case in TRIGGERS.values()
        for seed in BUNDLED_SEEDS
        for field, values in train_trigger(case, seed=seed)._asdict().items()
    }
    safetensors.torch.save_file(weights, path)


def single_effects(planted: PlantedModel) -> Tensor:
    """How much the removal of each neuron of the path alone lowers the label's probability at the path tokens.

    Args:
        planted: a model whose images are all of one category.

    Returns:
        (layers, K) float64, means over the images.
    """
    clean = clean_probability(planted).mean()
    vit, path = open_vit(planted.model), planted.paths[0]
    effects = torch.zeros(path.shape, dtype=torch.float64)
    for layer, neurons in enumerate(path):
        for rank, neuron in enumerate(neurons):
            with at_sites(vit, {layer: partial(torch.index_fill, dim=2, index=neuron, value=0)}):
                effects[layer, rank] = clean - clean_probability(planted).mean()
    return effects


def _moved(model: nn.Module, digits: LabelledImages) -> LabelledImages:
    """The digits of other categories that the trigger moves to the target, with the trigger."""
    images = triggered(digits.images)
    with torch.no_grad():
        moved = (digits.labels != TARGET) & (model(images).argmax(1) == TARGET)
    return LabelledImages(images[moved], digits.labels[moved])


def _key(case: TriggerCase, seed: int) -> str:
    return f"{case.name}.{seed}"


@cache
def _bundled() -> Mapping[str, Tensor]:
    with as_file(_WEIGHTS) as path:
        return safetensors.torch.load_file(path)
