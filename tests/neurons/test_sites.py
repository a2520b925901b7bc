from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight import intervene, open_vit, record
from nplight.errors import ArgumentError, EditNotAppliedError
from nplight.neurons import at_sites, overwrite, replace_tokens, tokens_of
from tests.conftest import make_vit
from tests.neurons.test_intervene import hooks_of


def test_contexts_nest_and_leave_in_order(vit: VisionTransformer, images: Tensor, neurons: Tensor) -> None:
    with torch.no_grad():
        clean = vit(images)
        with intervene(vit, neurons, "enhance"):
            outer = vit(images)
            with intervene(vit, neurons, "enhance"), record(vit) as values:
                vit(images)
            assert torch.equal(vit(images), outer)
        with record(vit) as plain:
            assert torch.equal(vit(images), clean)
    first = neurons[:, 0]
    torch.testing.assert_close(values[0][:, 0].gather(1, first), 4 * plain[0][:, 0].gather(1, first))


def test_an_edit_that_never_ran_is_an_error(vit: VisionTransformer, images: Tensor, neurons: Tensor) -> None:
    with pytest.raises(EditNotAppliedError, match=r"layers 0, 1, 2 .* never ran"), intervene(vit, neurons, "remove"):
        pass
    with pytest.raises(EditNotAppliedError, match=r"layers 1, 2 "), record(vit):
        vit.blocks[0](vit._pos_embed(vit.patch_embed(images)))
    assert hooks_of(vit) == 0


def test_the_tokens_of_a_site_are_the_path_tokens_or_all() -> None:
    pooled = open_vit(make_vit(global_pool="avg"))
    assert tokens_of(pooled, "path") == slice(1, None)
    assert tokens_of(pooled, "all") == slice(None)
    with pytest.raises(ArgumentError, match="`tokens` must be one of 'path', 'all', got 'patches'"):
        tokens_of(pooled, "patches")  # type: ignore[arg-type]


def test_a_function_that_returns_its_argument_changes_no_bit(vit: VisionTransformer, images: Tensor) -> None:
    clean = vit(images)
    with at_sites(open_vit(vit), dict.fromkeys(range(3), lambda neurons: neurons)):
        assert torch.equal(vit(images), clean)


def test_overwritten_neurons_are_those_that_are_recorded(vit: VisionTransformer, images: Tensor) -> None:
    values = {1: torch.randn(4, 1, 64, dtype=torch.float64)}
    with torch.no_grad(), overwrite(open_vit(vit), values), record(vit) as recorded:
        vit(images)
    assert torch.equal(recorded[1], values[1])


def test_tokens_are_replaced_in_a_new_tensor() -> None:
    stream = torch.arange(12.0).view(1, 4, 3)
    replaced = replace_tokens(stream, slice(1, 3), -torch.ones(1, 2, 3))
    assert (replaced[:, 1:3] == -1).all()
    assert torch.equal(replaced[:, [0, 3]], stream[:, [0, 3]])
    assert (stream >= 0).all()
