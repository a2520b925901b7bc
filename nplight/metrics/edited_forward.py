"""Forward passes of the same images under many edits, without doing twice what the edits have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from nplight.attribution import BlockRunner, at_least_float32
from nplight.neurons import Edit, Tokens, edited, tokens_of
from nplight.vit import OpenViT

# Tokens in flight: more is not faster on a CPU, and keeps a GPU busy with less than a gigabyte.
_CPU_TOKENS = 1 << 12
_GPU_TOKENS = 1 << 16


class EditedForward:
    """Logits of a batch under edits.

    No edit changes what comes before the neurons of block 0: the embedding, that block's attention and its up
    projection run once, as do all parts of that block for the tokens that are not edited; and where the head reads only
    the path tokens, the last block runs for those alone. Small batches pass under several edits at once. Where a block
    is not known in parts, every pass is whole, with hooks.

    Args:
        vit: the opened model, undisturbed.
        images: (images, channels, height, width).
        tokens: the tokens whose neurons are edited, `path` or `all`.

    Raises:
        ArgumentError: the images do not fit the model.
        UnsupportedModelError: a wrapper does something else for them than its pieces in order.
    """

    def __init__(self, vit: OpenViT, images: Tensor, tokens: Tokens = "path") -> None:
        vit.check_images(images)
        self._vit = vit
        self._tokens = tokens
        self._passes = BlockRunner(vit, tokens_of(vit, tokens))
        self._entering = vit.embed(images)
        if self._passes.in_parts:
            self._attended = self._passes.attended(0, self._entering)
            self._neurons = self._passes.neurons(0, self._attended)
            self._leaving = self._passes.fed(0, self._attended, self._neurons)
        limit = _CPU_TOKENS if images.device.type == "cpu" else _GPU_TOKENS
        self._at_once = max(1, limit // (len(images) * self._entering.shape[1]))

    def clean(self) -> Tensor:
        """Without an edit, (images, categories), float32 at least."""
        if self._passes.in_parts:
            return at_least_float32(self._vit.forward_from(1, self._leaving))
        return at_least_float32(self._vit.forward_from(0, self._entering))

    def edited(self, edits: Iterable[Edit]) -> Iterator[Tensor]:
        """Under one edit after the other, (images, categories), float32 at least."""
        if self._passes.in_parts:
            remaining = iter(edits)
            while group := list(islice(remaining, self._at_once)):
                yield from self._together(group)
        else:
            for edit in edits:
                with edited(self._vit, edit, tokens=self._tokens):
                    logits = self.clean()
                yield logits

    def _together(self, edits: Sequence[Edit]) -> tuple[Tensor, ...]:
        passes = self._passes
        stream = torch.cat([self._after_block_0(edit) for edit in edits])
        for layer in range(1, self._vit.depth):
            attended = passes.attended(layer, stream)
            found = passes.neurons(layer, attended).chunk(len(edits))
            written = torch.cat([edit(layer, neurons) for edit, neurons in zip(edits, found)])
            stream = passes.fed(layer, attended, written)
        return at_least_float32(self._vit.head(stream)).chunk(len(edits))

    def _after_block_0(self, edit: Edit) -> Tensor:
        where = self._passes.path_tokens(0)
        stream = self._leaving.clone()
        stream[:, where] = self._passes.written(0, self._attended, edit(0, self._neurons))
        return stream
