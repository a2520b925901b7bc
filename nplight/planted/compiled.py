"""The weights of a planted model, written down instead of trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from timm.layers import Attention, LayerNorm, Mlp, SwiGLU
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from nplight.planted.attention_copy import write_attention_copy
from nplight.planted.case import PlantedCase
from nplight.planted.layer_plan import WIDTH, LayerPlan
from nplight.planted.patterned_images import IMAGE_SIZE, NOISES, PATCH_SIZE, PixelPatterns
from nplight.planted.planted_neuron import PlantedNeuron
from nplight.planted.signals import CONSTANT, SINK, Signals, evidence, link, logit, noise, pattern
from nplight.planted.structures import NUM_CLASSES, STRUCTURES, rival_of

# Before a LayerNorm: large beside the signals, whose squares then move the norm by about a thousandth.
_LARGE_CONSTANT = 100.0


def compiled(
    case: PlantedCase, patterns: PixelPatterns, plans: Sequence[LayerPlan], generator: torch.Generator
) -> VisionTransformer:
    """A `VisionTransformer` of timm in float64 with the weights of a case, its head not yet scaled.

    Block 0's attention copies the pattern to every token, the FFNs hold the planned neurons, the head reads the logits;
    later attentions write nothing.

    Args:
        case: its settings.
        patterns: of the pixels.
        plans: one per layer.
        generator: draws the directions of the signals.
    """
    signals = Signals(_signal_names(case), generator)
    with torch.random.fork_rng(devices=[]):  # timm draws initial weights from the global generator
        model = _blank(case, signals.features)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        _write_norms(model, signals.features)
        _write_embedding(model, case, patterns, signals)
        blocks = cast("list[Block]", list(model.blocks))
        write_attention_copy(cast(Attention, blocks[0].attn), signals)
        for block, plan in zip(blocks, plans):
            _write_neurons(cast("Mlp | SwiGLU", block.mlp), plan.neurons, signals)
        _write_head(cast(nn.Linear, model.head), case, signals)
    return model.eval()


def _signal_names(case: PlantedCase) -> list[str]:
    categories = range(NUM_CLASSES)
    names = [CONSTANT, SINK, *(noise(number) for number in range(NOISES))]
    names += [kind(category) for kind in (pattern, evidence, logit) for category in categories]
    return names + [link(layer, category) for layer in range(case.depth - 1) for category in categories]


def _blank(case: PlantedCase, features: int) -> VisionTransformer:
    return VisionTransformer(
        img_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        num_classes=NUM_CLASSES,
        global_pool=case.head,
        embed_dim=features,
        depth=case.depth,
        num_heads=1,
        mlp_ratio=WIDTH / features,
        norm_layer=LayerNorm if case.norm == "layer_norm" else nn.Identity,
        act_layer=STRUCTURES[case.structure].activation,
        mlp_layer=SwiGLU if case.ffn == "gated" else Mlp,
    ).double()


def _write_norms(model: VisionTransformer, features: int) -> None:
    """Undo the division by the root mean square of the large constant."""
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.weight.fill_(_LARGE_CONSTANT / features**0.5)


def _write_embedding(model: VisionTransformer, case: PlantedCase, patterns: PixelPatterns, signals: Signals) -> None:
    names = [pattern(category) for category in range(NUM_CLASSES)] + [noise(number) for number in range(NOISES)]
    written = signals.matrix([{name: 1} for name in names])
    model.patch_embed.proj.weight.copy_(torch.einsum("sf,schw->fchw", written, patterns.readers))
    if case.norm == "layer_norm":
        cast(Tensor, model.pos_embed).copy_(signals.vector({CONSTANT: _LARGE_CONSTANT}))


def _write_neurons(mlp: Mlp | SwiGLU, neurons: Sequence[PlantedNeuron], signals: Signals) -> None:
    up = mlp.fc1_g if isinstance(mlp, SwiGLU) else cast(nn.Linear, mlp.fc1)
    up.weight.copy_(signals.matrix([neuron.reads for neuron in neurons]))
    up.bias.copy_(_biases(neurons))
    if isinstance(mlp, SwiGLU):
        # What the gate multiplies: 1, so that a neuron's value is that of the plain FFN.
        mlp.fc1_x.bias.fill_(1)
    mlp.fc2.weight.copy_(signals.matrix([neuron.writes for neuron in neurons]).T)


def _biases(neurons: Sequence[PlantedNeuron]) -> Tensor:
    return torch.tensor([neuron.bias for neuron in neurons], dtype=torch.float64)


def _write_head(head: nn.Linear, case: PlantedCase, signals: Signals) -> None:
    structure = STRUCTURES[case.structure]
    rows = [{logit(category): 1.0, evidence(category): structure.direct} for category in range(NUM_CLASSES)]
    for category in range(NUM_CLASSES):
        rows[rival_of(category)][evidence(category)] = structure.rival
    head.weight.copy_(signals.matrix(rows))
