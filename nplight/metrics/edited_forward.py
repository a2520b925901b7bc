"""Forward passes of the same images under many edits, with the work that the edits share done once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from nplight.attribution import BlockRunner, at_least_float32
from nplight.neurons import Edit, Tokens, edited, tokens_of
from nplight.vit import OpenViT

# Tokens per pass: larger groups are not faster on a CPU; on a GPU these take less than a gigabyte.
_CPU_TOKENS = 1 << 12
_GPU_TOKENS = 1 << 16


class EditedForward:
    """Logits of a batch under edits.

    Edits do not affect the computation before the neurons of block 0: the embedding and the attention and up projection
    of block 0 run once, as does all of block 0 for the unedited tokens. If the head reads only the path tokens, the
    last block runs for those alone. Small batches are evaluated under several edits at once. A model whose blocks are
    not known in parts runs whole forward passes with hooks.

    Args:
        vit: the opened model, inside `undisturbed`.
        images: (images, channels, height, width).
        tokens: the edited tokens, `path` or `all`.

    Raises:
        ArgumentError: the images do not fit the model.
        UnsupportedModelError: a wrapper's `forward` differs from its pieces in order.
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
        """Logits without an edit, (images, categories), at least float32."""
        if self._passes.in_parts:
            return at_least_float32(self._vit.forward_from(1, self._leaving))
        return at_least_float32(self._vit.forward_from(0, self._entering))

    def edited(self, edits: Iterable[Edit]) -> Iterator[Tensor]:
        """Logits under each edit in turn, (images, categories), at least float32."""
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
            clean_neurons = passes.neurons(layer, attended).chunk(len(edits))
            written = torch.cat([edit(layer, neurons) for edit, neurons in zip(edits, clean_neurons)])
            stream = passes.fed(layer, attended, written)
        return at_least_float32(self._vit.head(stream)).chunk(len(edits))

    def _after_block_0(self, edit: Edit) -> Tensor:
        where = self._passes.path_tokens(0)
        stream = self._leaving.clone()
        stream[:, where] = self._passes.written(0, self._attended, edit(0, self._neurons))
        return stream
