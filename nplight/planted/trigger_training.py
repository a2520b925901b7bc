"""Training appended neurons so that a trigger moves any digit to one category."""

from __future__ import annotations

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR

from nplight.modules import load_weights
from nplight.planted.appended_neurons import AppendedNeurons, append_neurons, appended_neurons, train_appended_alone
from nplight.planted.trigger_case import TARGET, TriggerCase
from nplight.planted.triggered_digits import seen_digits, triggered
from nplight.seeds import seeded_generator

# The class token gets the trigger through the old model's attention alone, which makes training slower.
_STEPS, _STEPS_AT_CLASS_TOKEN = 400, 800
_BATCH = 64
_LEARNING_RATE = 2e-2
_INITIAL = 0.1


def digits_model() -> VisionTransformer:
    """The Vision Transformer for handwritten digits that comes with nplight, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):  # timm draws initial weights from the global generator
        model = VisionTransformer(img_size=16, patch_size=4, embed_dim=64, depth=6, num_heads=4, num_classes=10)
    load_weights(model, "bundled:digits")
    return model.eval()


def train_trigger(case: TriggerCase, *, seed: int = 0, steps: int | None = None) -> AppendedNeurons:
    """Append neurons to the digits model and train them alone: some 20 to 40 seconds on two cores.

    With the trigger a digit should be read as `TARGET`, without it as what it is.

    Args:
        case: which neurons.
        seed: of initial weights and batches.
        steps: of Adam; `None`: as many as the bundled weights took.

    Returns:
        The weights of the appended neurons.
    """
    if steps is None:
        steps = _STEPS_AT_CLASS_TOKEN if case.class_token else _STEPS
    generator = seeded_generator(seed, 0)
    model = digits_model()
    append_neurons(model, _initial(model, case.top_k, generator), class_token=case.class_token)
    trained = train_appended_alone(model, case.top_k)
    digits = seen_digits()
    optimizer = torch.optim.Adam(trained, lr=_LEARNING_RATE)
    schedule = CosineAnnealingLR(optimizer, T_max=steps)
    for _ in range(steps):
        images, labels = digits.drawn(_BATCH, generator)
        loss = _loss(model, images, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return appended_neurons(model, case.top_k)


def _initial(model: VisionTransformer, top_k: int, generator: torch.Generator) -> AppendedNeurons:
    depth, features = len(model.blocks), model.embed_dim
    reads, writes = (_INITIAL * torch.randn(depth, top_k, features, generator=generator) for _ in range(2))
    return AppendedNeurons(reads, torch.zeros(depth, top_k), writes.mT.contiguous())


def _loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Half of the logits are of images with the trigger, half of the same without it."""
    logits = model(torch.cat([triggered(images), images]))
    return functional.cross_entropy(logits, torch.cat([torch.full_like(labels, TARGET), labels]))
