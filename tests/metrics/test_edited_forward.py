"""What the edits of a batch share changes nothing: held equal to whole forward passes with hooks."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from nplight import open_vit
from nplight.metrics import edited_forward
from nplight.metrics.edited_forward import EditedForward
from nplight.neurons import TOKENS, Edit, Tokens, edited, replacing, scaling
from nplight.vit import OpenViT, undisturbed
from tests.conftest import make_vit
from tests.searching.test_search import EXACT
from tests.vit.test_parts import BUILDERS


def three_edits(vit: OpenViT, images: int, draw: torch.Generator) -> list[Edit]:
    masks = [[torch.rand(images, width, generator=draw) < 0.4 for width in vit.widths] for _ in range(3)]
    values = {layer: torch.randn(1, 1, width, generator=draw).double() for layer, width in enumerate(vit.widths)}
    return [scaling(masks[0], 0.0), scaling(masks[1], 2.0), replacing(masks[2], values)]


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("name", BUILDERS)
def test_every_family_gives_what_whole_passes_give(name: str, tokens: Tokens) -> None:
    vit, draw = open_vit(BUILDERS[name]()), torch.Generator().manual_seed(0)
    channels, height, width = vit.image_shape()
    size = (2, channels, height or 8, width or (12 if name.startswith("Eva,") else 8))
    images = torch.randn(size, generator=draw, dtype=torch.float64)
    edits = three_edits(vit, 2, draw)
    with torch.no_grad(), undisturbed(vit.model):
        forward = EditedForward(vit, images, tokens)
        torch.testing.assert_close(forward.clean(), vit.forward(images), **EXACT)
        for edit, found in zip(edits, forward.edited(edits), strict=True):
            with edited(vit, edit, tokens=tokens):
                torch.testing.assert_close(found, vit.forward(images), **EXACT)


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_how_many_pass_at_once_does_not_matter(images: Tensor, at_once: int) -> None:
    vit, draw = open_vit(make_vit()), torch.Generator().manual_seed(0)
    edits = three_edits(vit, len(images), draw)
    with torch.no_grad(), undisturbed(vit.model), patch.object(edited_forward, "_CPU_TOKENS", at_once * 4 * 5):
        found = list(EditedForward(vit, images).edited(edits))
    with torch.no_grad(), undisturbed(vit.model):
        for edit, logits in zip(edits, found, strict=True):
            with edited(vit, edit):
                torch.testing.assert_close(logits, vit.forward(images), **EXACT)


def test_a_block_that_somebody_hooks_runs_whole(images: Tensor) -> None:
    vit, draw = open_vit(make_vit()), torch.Generator().manual_seed(0)
    edits = three_edits(vit, len(images), draw)
    called: list[int] = []
    vit.model.blocks[1].register_forward_hook(lambda *_: called.append(1))  # type: ignore[union-attr, operator]
    with torch.no_grad(), undisturbed(vit.model):
        assert len(list(EditedForward(vit, images).edited(edits))) == len(called) == 3


def test_what_the_edits_share_runs_once(images: Tensor) -> None:
    vit, draw = open_vit(make_vit()), torch.Generator().manual_seed(0)
    edits = three_edits(vit, len(images), draw)
    with (
        torch.no_grad(),
        undisturbed(vit.model),
        patch.object(type(vit), "embed", autospec=True, side_effect=type(vit).embed) as embed,
        patch.object(
            edited_forward.BlockRunner, "attended", autospec=True, side_effect=edited_forward.BlockRunner.attended
        ) as attended,
    ):
        list(EditedForward(vit, images).edited(edits * 2))
    assert embed.call_count == 1
    assert [call.args[1] for call in attended.call_args_list] == [0, 1, 2]
