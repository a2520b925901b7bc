from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from nplight import intervene, record
from nplight.errors import ArgumentError
from tests.by_hand import Edit, forward_by_hand
from tests.conftest import Reference


def with_class_token(model: VisionTransformer, images: Tensor, edit: Edit) -> Tensor:
    """A forward pass by hand with the class token's neurons, (images, width), passed through `edit`."""

    def edit_first(layer: int, neurons: Tensor) -> Tensor:
        return torch.cat([edit(layer, neurons[:, 0]).unsqueeze(1), neurons[:, 1:]], dim=1)

    return forward_by_hand(model, images, edit_first)


ZEROS = {layer: torch.zeros(1, 1, 64) for layer in range(3)}


def hooks_of(model: nn.Module) -> int:
    return sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize(("operation", "inside", "outside"), [("remove", 0, 1), ("enhance", 2, 1), ("keep", 1, 0)])
@pytest.mark.parametrize("shared", [False, True])
def test_an_edit_equals_a_forward_written_by_hand(
    vit: VisionTransformer, images: Tensor, neurons: Tensor, operation: str, inside: int, outside: int, shared: bool
) -> None:
    path = neurons[0] if shared else neurons

    def edit(layer: int, values: Tensor) -> Tensor:
        factor = torch.full_like(values, outside)
        return values * factor.scatter(1, path.expand(4, 3, 2)[:, layer], inside)

    with torch.no_grad(), intervene(vit, path, operation):
        edited = vit(images)
    torch.testing.assert_close(edited, with_class_token(vit, images, edit))
    assert not torch.allclose(edited, vit(images))
    assert hooks_of(vit) == 0


@pytest.mark.parametrize(("operation", "inside", "outside"), [("remove", 0, 1), ("enhance", 2, 1), ("keep", 1, 0)])
def test_every_token_is_edited_when_asked(
    vit: VisionTransformer, images: Tensor, neurons: Tensor, operation: str, inside: int, outside: int
) -> None:
    def edit(layer: int, values: Tensor) -> Tensor:
        factor = torch.full((4, 1, 64), outside, dtype=values.dtype)
        return values * factor.scatter(2, neurons[:, layer].unsqueeze(1), inside)

    with torch.no_grad(), intervene(vit, neurons, operation, tokens="all"):
        edited = vit(images)
    torch.testing.assert_close(edited, forward_by_hand(vit, images, edit))
    with torch.no_grad(), intervene(vit, neurons, operation):
        assert not torch.allclose(edited, vit(images))


@pytest.mark.parametrize("tokens", ["path", "all"])
@pytest.mark.parametrize("operation", ["remove", "keep"])
@pytest.mark.parametrize(("given", "there"), [(1, 1), (4, 1), (1, None), (4, None)])
def test_references_are_written_over_the_edited_neurons_alone(
    vit: VisionTransformer, images: Tensor, neurons: Tensor, tokens: str, operation: str, given: int, there: int | None
) -> None:
    count = 1 if tokens == "path" else 5
    values = torch.randn(3, given, there or count, 64, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def edit(layer: int, clean: Tensor) -> Tensor:
        edited = clean.clone()
        for image in range(4):
            for token in range(count):
                for neuron in range(64):
                    if (neuron in neurons[image, layer]) == (operation == "remove"):
                        row = values[layer, image % given, token % values.shape[2]]
                        edited[image, token, neuron] = row[neuron]
        return edited

    references = dict(enumerate(values))
    with torch.no_grad(), intervene(vit, neurons, operation, fill="mean", references=references, tokens=tokens):
        edited = vit(images)
    with torch.no_grad():
        torch.testing.assert_close(edited, forward_by_hand(vit, images, edit))
    assert hooks_of(vit) == 0


def test_edits_equal_the_published_program(reference: Reference) -> None:
    reference.model.eval()
    for operation in ("remove", "enhance", "keep"):
        with torch.no_grad(), intervene(reference.model, reference.neurons, operation):
            probability = reference.model(reference.images).softmax(1).gather(1, reference.labels[:, None])[:, 0]
        name = {"remove": "removed", "enhance": "enhanced", "keep": "kept"}[operation]
        torch.testing.assert_close(probability, reference.expected[f"{name}_probability"], rtol=1e-9, atol=1e-12)


def test_other_tokens_are_not_edited(vit: VisionTransformer, images: Tensor, neurons: Tensor) -> None:
    seen = {}
    vit.blocks[0].mlp.fc2.register_forward_pre_hook(lambda module, arguments: seen.update(clean=arguments[0]))
    with torch.no_grad(), intervene(vit, neurons, "keep"):
        vit.blocks[0].mlp.fc2.register_forward_pre_hook(lambda module, arguments: seen.update(edited=arguments[0]))
        vit(images)
    assert torch.equal(seen["edited"][:, 1:], seen["clean"][:, 1:])
    assert (seen["edited"][:, 0] != 0).sum(1).tolist() == [2] * 4


def test_nothing_is_left_after_an_error_inside(vit: VisionTransformer, images: Tensor, neurons: Tensor) -> None:
    clean = vit(images)
    with pytest.raises(ZeroDivisionError), intervene(vit, neurons, "remove"), record(vit):
        raise ZeroDivisionError
    assert hooks_of(vit) == 0
    assert torch.equal(vit(images), clean)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"neurons": torch.zeros(4, 3, 2)}, "`neurons` must be an int64 tensor, got torch.float32"),
        ({"neurons": [[1]]}, "`neurons` must be an int64 tensor, got list"),
        ({"neurons": torch.zeros(4, 2, 2, dtype=torch.int64)}, r"layers = 3 .* got \(4, 2, 2\)"),
        ({"neurons": torch.zeros(3, dtype=torch.int64)}, r"got \(3,\)"),
        ({"neurons": torch.zeros(3, 0, dtype=torch.int64)}, "K >= 1"),
        ({"neurons": torch.tensor([[0], [64], [0]])}, r"layer 1 must be in 0 … 63, got 64"),
        ({"neurons": torch.tensor([[0], [0], [-1]])}, r"layer 2 must be in 0 … 63, got -1"),
        ({"operation": "delete"}, "`operation` must be one of 'remove', 'enhance', 'keep', got 'delete'"),
        ({"fill": "average"}, "`fill` must be one of 'zero', 'mean', 'peak', 'resample', got 'average'"),
        ({"tokens": "some"}, "`tokens` must be one of 'path', 'all', got 'some'"),
        (
            {"fill": "peak"},
            r"needs `references`.* got None; gather them with nplight.references\(model, batches, 'peak'",
        ),
        ({"references": {}}, "`references` must be None for fill 'zero'"),
        ({"fill": "mean", "references": {1: torch.zeros(1, 1, 64)}}, "got none for layers 0, 2"),
        ({"fill": "mean", "references": {layer: torch.zeros(1, 64) for layer in range(3)}}, r"layer 0 must be .* 64\)"),
        ({"fill": "mean", "references": {layer: torch.zeros(1, 1, 63) for layer in range(3)}}, r"got \(1, 1, 63\)"),
        ({"fill": "mean", "references": ZEROS, "operation": "enhance"}, "got 'mean' with 'enhance'"),
        ({"operation": "keep", "fraction": 1.5}, r"`fraction` must be a fraction in \[0, 1\]"),
        ({"operation": "keep", "fraction": float("nan")}, "`fraction`"),
        ({"fraction": 0.5}, "`fraction` is for operation 'keep' only"),
    ],
)
def test_bad_arguments_are_refused_at_the_call(
    vit: VisionTransformer, neurons: Tensor, change: dict[str, object], reason: str
) -> None:
    arguments = {"neurons": neurons, "operation": "remove", **change}
    with pytest.raises(ArgumentError, match=reason):
        intervene(vit, **arguments)


def test_a_seed_fixes_which_neurons_a_fraction_prunes(vit: VisionTransformer, images: Tensor, neurons: Tensor) -> None:
    def kept(seed: int, fraction: float) -> Tensor:
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad(), intervene(vit, neurons, "keep", fraction=fraction, generator=draw), record(vit) as values:
            vit(images)
        return values[0][:, 0] != 0

    assert torch.equal(kept(1, 0.5), kept(1, 0.5))
    assert not torch.equal(kept(1, 0.5), kept(2, 0.5))
    assert (~kept(1, 0.5)).sum(1).tolist() == [31] * 4  # half of the 62 others
    assert kept(1, 0.0).all()
    assert kept(1, 0.5).gather(1, neurons[:, 0]).all()
