"""An attention that copies what it finds in the patch with a pattern to every token."""

from __future__ import annotations

import torch
from timm.layers import Attention

from nplight.planted.patterned_images import NOISES
from nplight.planted.signals import Signals, evidence, noise, pattern
from nplight.planted.structures import NUM_CLASSES

# Of the attention's logit per unit of pattern: other patches get exp(-0.8 * 40) or less of its weight.
_SHARPNESS = 40.0


def write_attention_copy(attention: Attention, signals: Signals) -> None:
    """Set the weights of an attention of one head; all of them are 0 before.

    Every token asks alike, for the patch with most of any pattern; it gets that patch's patterns as `evidence`, and its
    `noise`.
    """
    features = signals.features
    query, key, value = range(3)
    weight = attention.qkv.weight.view(3, features, features)
    attention.qkv.bias.view(3, features)[query, 0] = _SHARPNESS * features**0.5
    weight[key, 0] = signals.vector({pattern(category): 1 for category in range(NUM_CLASSES)})
    copies = [(pattern(category), evidence(category)) for category in range(NUM_CLASSES)]
    copies += [(noise(number), noise(number)) for number in range(NOISES)]
    for source, copy in copies:
        weight[value] += torch.outer(signals.vector({copy: 1}), signals.vector({source: 1}))
    attention.proj.weight.copy_(torch.eye(features))
