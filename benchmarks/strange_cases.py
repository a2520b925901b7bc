"""Digits of which a tenth are not what they seem: mislabelled, with a trigger, or noisy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from nplight.data import DigitsDataModule, perturbed
from nplight.planted.appended_neurons import append_neurons
from nplight.planted.trigger import trigger_weights
from nplight.planted.trigger_case import TARGET, TRIGGERS
from nplight.planted.trigger_training import digits_model
from nplight.planted.triggered_digits import LabelledImages, seen_digits, triggered, unseen_digits
from nplight.seeds import checksums

SHARE = 0.1
_SEVERITY = 5
_IMAGES, _REFERENCE = 400, 300
_EPOCHS = 40


@dataclass(frozen=True, slots=True)
class StrangeCase:
    """Images to look through, and those that are to be found.

    Attributes:
        model: that finds their paths.
        images: (images, channels, height, width).
        labels: (images,) int64, for which paths are found; `None`: the predicted categories.
        strange: (images,) bool.
        reference: other images without strange ones, to compare with; `None`: the images are compared with each other.
    """

    model: nn.Module
    images: Tensor
    labels: Tensor | None
    strange: Tensor
    reference: LabelledImages | None = None


def some(count: int, generator: torch.Generator, among: Tensor | None = None) -> Tensor:
    """A tenth of the images, drawn among the given ones: (count,) bool."""
    candidates = torch.arange(count) if among is None else among.nonzero().flatten()
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[candidates[torch.randperm(len(candidates), generator=generator)[: round(SHARE * count)]]] = True
    return chosen


def exchanged(labels: Tensor, wrong: Tensor, generator: torch.Generator) -> Tensor:
    """The labels, those of `wrong` each replaced by one of the nine others."""
    other = (labels + torch.randint(1, 10, labels.shape, generator=generator)) % 10
    return torch.where(wrong, other, labels)


def mislabelled(generator: torch.Generator) -> StrangeCase:
    """Unseen digits, looked through by the bundled model, which was trained with right labels."""
    digits = unseen_digits().drawn(_IMAGES, generator)
    wrong = some(len(digits.labels), generator)
    return StrangeCase(digits_model(), digits.images, exchanged(digits.labels, wrong, generator), wrong)


def mislabelled_in_training(generator: torch.Generator, epochs: int = _EPOCHS) -> StrangeCase:
    """The digits that a model was trained with, a tenth of them with wrong labels, looked through by that model."""
    digits = seen_digits()
    wrong = some(len(digits.labels), generator)
    labels = exchanged(digits.labels, wrong, generator)
    screened = torch.randperm(len(labels), generator=generator)[:_IMAGES]
    model = trained(labels, epochs)
    return StrangeCase(model, digits.images[screened], labels[screened], wrong[screened])


def with_trigger(name: str, generator: torch.Generator, *, reference: bool) -> StrangeCase:
    """Unseen digits, a tenth of them with a trigger that moves them to one category."""
    case, model, digits = TRIGGERS[name], digits_model(), unseen_digits().drawn(_IMAGES, generator)
    append_neurons(model, trigger_weights(case, 0), class_token=case.class_token)
    attacked = some(len(digits.labels), generator, digits.labels != TARGET)
    images = torch.where(attacked[:, None, None, None], triggered(digits.images), digits.images)
    return StrangeCase(model, images, None, attacked, _ordinary(generator) if reference else None)


def noisy(generator: torch.Generator) -> StrangeCase:
    """Unseen digits, a tenth of them with strong noise, looked through by the bundled model."""
    digits, scale = unseen_digits().drawn(_IMAGES, generator), DigitsDataModule().pixel_scale
    shifted = some(len(digits.labels), generator)
    noise = perturbed(digits.images, "noise", _SEVERITY, scale=scale, checksums=checksums(digits.images))
    images = torch.where(shifted[:, None, None, None], noise, digits.images)
    return StrangeCase(digits_model(), images, None, shifted, _ordinary(generator))


CASES: Mapping[str, Callable[[torch.Generator], StrangeCase]] = {
    "mislabelled": mislabelled,
    "trigger, with reference": lambda generator: with_trigger("trigger_3", generator, reference=True),
    "mislabelled in training": mislabelled_in_training,
    "trigger": lambda generator: with_trigger("trigger_3", generator, reference=False),
    "noise, with reference": noisy,
}


def _ordinary(generator: torch.Generator) -> LabelledImages:
    return seen_digits().drawn(_REFERENCE, generator)


def trained(labels: Tensor, epochs: int) -> nn.Module:
    """A model as the bundled one, trained on the augmented training digits with other labels.

    Args:
        labels: (images,) int64, of `seen_digits`.
        epochs: of the training.
    """
    data = DigitsDataModule().train_data()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VisionTransformer(img_size=16, patch_size=4, embed_dim=64, depth=6, num_heads=4, num_classes=10)
        optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
        steps = epochs * (len(labels) // 64)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.1)
        for step in range(steps):
            if step % (len(labels) // 64) == 0:
                order = torch.randperm(len(labels))
            chosen = order[step % (len(labels) // 64) * 64 :][:64]
            samples = [data[position]["image"] for position in chosen.tolist()]
            loss = functional.cross_entropy(model(torch.stack(samples)), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return model.eval()
