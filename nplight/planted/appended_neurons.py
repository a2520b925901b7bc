"""Neurons appended to every FFN of a Vision Transformer, whose other weights stay as they are."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from timm.layers import Mlp
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn


class AppendedNeurons(NamedTuple):
    """Weights of K appended neurons per layer.

    Attributes:
        reads: (layers, K, features), rows of the up projections.
        biases: (layers, K), of the up projections.
        writes: (layers, features, K), columns of the down projections.
    """

    reads: Tensor
    biases: Tensor
    writes: Tensor


class ClassTokenMlp(Mlp):
    """timm's `Mlp`, whose last neurons are 0 at all tokens but the first.

    A class of its own: `open_vit` runs whole blocks of it, where it would take those of an `Mlp` token by token.

    Args:
        mlp: what its layers are, without a norm.
        appended: how many of the last neurons have values at the first token alone.
    """

    def __init__(self, mlp: Mlp, appended: int) -> None:
        super().__init__(1)
        self.fc1, self.act, self.fc2 = mlp.fc1, mlp.act, mlp.fc2
        self.appended = appended

    def forward(self, stream: Tensor) -> Tensor:
        """(images, tokens, features), the same shape."""
        values = self.act(self.fc1(stream))
        neurons, appended = values.tensor_split([values.shape[-1] - self.appended], -1)
        at_class_token = torch.cat([appended[:, :1], torch.zeros_like(appended[:, 1:])], 1)
        added: Tensor = self.fc2(torch.cat([neurons, at_class_token], -1))
        return added


def append_neurons(model: VisionTransformer, appended: AppendedNeurons, *, class_token: bool) -> None:
    """Append neurons to every FFN, after those that it has.

    Args:
        model: with timm's `Mlp`, changed in place.
        appended: their weights.
        class_token: whether they have values at the class token alone.
    """
    for block, reads, biases, writes in zip(_blocks(model), *appended):
        mlp = cast(Mlp, block.mlp)
        up, down = cast(nn.Linear, mlp.fc1), cast(nn.Linear, mlp.fc2)
        mlp.fc1 = _linear(torch.cat([up.weight, reads]), torch.cat([up.bias, biases]))
        mlp.fc2 = _linear(torch.cat([down.weight, writes], 1), down.bias)
        if class_token:
            block.mlp = ClassTokenMlp(mlp, len(reads))


def appended_neurons(model: VisionTransformer, top_k: int) -> AppendedNeurons:
    """The weights of the last `top_k` neurons of every FFN, copied."""
    pairs = [(cast(nn.Linear, mlp.fc1), cast(nn.Linear, mlp.fc2)) for mlp in _mlps(model)]
    weights = (
        [up.weight[-top_k:] for up, _ in pairs],
        [up.bias[-top_k:] for up, _ in pairs],
        [down.weight[:, -top_k:] for _, down in pairs],
    )
    return AppendedNeurons(*(torch.stack(layers).detach().clone() for layers in weights))


def train_appended_alone(model: VisionTransformer, top_k: int) -> list[nn.Parameter]:
    """The parameters that hold the last `top_k` neurons of every FFN, set up so that no other weight gets a gradient.

    Where a gradient is 0 from the first step on, Adam changes no bit.
    """
    model.requires_grad_(False)
    trained = []
    for mlp in _mlps(model):
        up, down = cast(nn.Linear, mlp.fc1), cast(nn.Linear, mlp.fc2)
        for parameter, axis in ((up.weight, 0), (up.bias, 0), (down.weight, 1)):
            mask = torch.zeros_like(parameter)
            mask.narrow(axis, parameter.shape[axis] - top_k, top_k).fill_(1)
            parameter.requires_grad_(True).register_hook(mask.mul)
            trained.append(cast(nn.Parameter, parameter))
    return trained


def _blocks(model: VisionTransformer) -> list[Block]:
    return cast("list[Block]", list(model.blocks))


def _mlps(model: VisionTransformer) -> list[Mlp]:
    return [cast(Mlp, block.mlp) for block in _blocks(model)]


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight, layer.bias = nn.Parameter(weight.detach().clone()), nn.Parameter(bias.detach().clone())
    return layer
