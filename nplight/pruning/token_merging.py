"""Merging of similar tokens before the first block, once per image."""

from __future__ import annotations

from types import TracebackType

import torch
from torch import Tensor, nn
from typing_extensions import Self

from nplight.errors import ArgumentError, UnsupportedModelError, check_at_least
from nplight.vit import OpenViT, open_vit, undisturbed


class TokenMerging:
    """Makes a model merge patch tokens before its first block, until `remove` or the end of a `with`.

    The matching is that of token merging (Bolya et al., ICLR 2023): patch tokens are dealt out alternately into two
    sets, each token of the first is linked to the most similar one of the second (by the cosine of the embedded tokens,
    since there are no keys yet), and the `count` most similar links are merged, each receiver into the mean of all
    tokens merged into it. The class token and register tokens are kept. An image's merging depends on no other
    image. It is a forward hook on the module before the blocks: no weight, and no name of one, changes. A search of the
    model sees the merged tokens.

        with TokenMerging(model, 16):
            logits = model(images)

    Args:
        model: a supported model that classifies from its class token, without rotary positions.
        count: tokens that are merged away.

    Raises:
        UnsupportedModelError: the model cannot be opened, or merges no tokens.
        ArgumentError: `count` is more than the tokens that there are; in the forward pass where the model takes images
            of any size.

    Examples:
        >>> from nplight.pruning import TokenMerging
        >>> import timm
        >>> import torch
        >>> size = {"img_size": 16, "patch_size": 4, "embed_dim": 12, "depth": 2, "num_heads": 1}
        >>> model = timm.create_model("vit_tiny_patch16_224", **size)
        >>> with TokenMerging(model.eval(), 4):  # 12 of 16 patch tokens are left
        ...     logits = model(torch.zeros(1, 3, 16, 16))
        ...
    """

    def __init__(self, model: nn.Module | OpenViT, count: int) -> None:
        check_at_least("merge_tokens", count, 1)
        vit = open_vit(model)
        site = vit.merging_site()
        if site is None:
            raise UnsupportedModelError(
                f"`model` is a {type(vit.transformer).__name__} whose tokens cannot be merged before its blocks: it "
                f"must classify from a class token, and its blocks must not need the position of each token"
            )
        module, prefix = site
        self._handle = module.register_forward_hook(_MergeHook(count, prefix))
        try:
            _check_count(vit)
        except ArgumentError:
            self.remove()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Stop merging; once or more often."""
        self._handle.remove()


class _MergeHook:
    """A hook that a copy of the model takes with it, and that can be pickled."""

    def __init__(self, count: int, prefix: int) -> None:
        self.count, self.prefix = count, prefix

    def __call__(self, module: nn.Module, arguments: object, tokens: Tensor) -> Tensor:
        merged = merge_tokens(tokens[:, self.prefix :], self.count)
        return torch.cat([tokens[:, : self.prefix], merged], 1)


def merge_tokens(tokens: Tensor, count: int) -> Tensor:
    """The tokens of each image with the most similar ones merged; see `TokenMerging`.

    Args:
        tokens: (images, tokens, features), without class and register tokens.
        count: tokens that are merged away, at most half of them.

    Returns:
        (images, tokens - count, features): senders that are not merged in their order, then all receivers.

    Raises:
        ArgumentError: `count` is more than half of the tokens.

    Examples:
        >>> import torch
        >>> from nplight.pruning import merge_tokens
        >>> merge_tokens(torch.randn(2, 16, 8), 4).shape
        torch.Size([2, 12, 8])
    """
    most = tokens.shape[1] // 2
    if not 0 <= count <= most:
        raise ArgumentError(
            f"`merge_tokens` must be at most half of the {tokens.shape[1]} patch tokens of an image, {most}, "
            f"got {count}"
        )
    senders, receivers = tokens[:, ::2], tokens[:, 1::2]
    with torch.no_grad():
        directions = nn.functional.normalize(tokens.float() if tokens.dtype != torch.float64 else tokens, dim=-1)
        best, receiver = (directions[:, ::2] @ directions[:, 1::2].mT).max(-1)
        order = best.argsort(dim=1, descending=True, stable=True)
        merged, kept = order[:, :count], order[:, count:].sort(1).values
        # (images, receivers, merged): 1 where a sender goes to a receiver.
        links = nn.functional.one_hot(receiver.gather(1, merged), receivers.shape[1]).mT.to(tokens.dtype)
        sizes = 1 + links.sum(2, keepdim=True)
    received = (receivers + links @ _taken(senders, merged)) / sizes
    return torch.cat([_taken(senders, kept), received], 1)


def _taken(tokens: Tensor, positions: Tensor) -> Tensor:
    return tokens.gather(1, positions.unsqueeze(2).expand(-1, -1, tokens.shape[2]))


def _check_count(vit: OpenViT) -> None:
    """Run the embedding of a model of one image size."""
    channels, height, width = vit.image_shape()
    if channels is None or height is None or width is None:
        return
    with undisturbed(vit.model), torch.no_grad():
        vit.embed(vit.down[0].linear.weight.new_zeros(1, channels, height, width))
