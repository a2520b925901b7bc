from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nplight import UnsupportedModelError, intervene, joint_score, open_vit, search
from nplight.attribution import plain_search
from nplight.vit import undisturbed
from nplight.vit.hf_vit import HuggingFaceDeiT, HuggingFaceViT
from tests.neurons.test_intervene import hooks_of
from tests.searching.test_search import EXACT, assert_same
from tests.vit.activations import ByPosition, Mixing, slopes_by_token
from tests.vit.test_refusals import Adapter

pytest.importorskip("transformers")

from transformers import (
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    DeiTForMaskedImageModeling,
    ViTForImageClassification,
    ViTForMaskedImageModeling,
)
from transformers.models.vit.modeling_vit import ViTLayer, ViTModel

# Each class with what opens it and how many of the first tokens it classifies from.
KINDS: dict[str, tuple[Any, type[HuggingFaceViT], int]] = {
    "vit": (ViTForImageClassification, HuggingFaceViT, 1),
    "deit": (DeiTForImageClassification, HuggingFaceDeiT, 1),
    "deit with teacher": (DeiTForImageClassificationWithTeacher, HuggingFaceDeiT, 2),
}


def make_hf(kind: Any = ViTForImageClassification, attention: str = "sdpa", **arguments: Any) -> Any:
    """A tiny random ViT in float64, evaluation mode, whose FFNs matter."""
    torch.manual_seed(0)
    settings = {
        "image_size": 8,
        "patch_size": 4,
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "num_labels": 5,
    }
    config = kind.config_class(**{**settings, "attn_implementation": attention, **arguments})
    model = kind(config).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias in the attention": {"qkv_bias": False},
    "another activation": {"hidden_act": "relu"},
    "dropout": {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5},
    "hidden states as well": {"output_hidden_states": True},
}


@pytest.fixture
def neurons() -> Tensor:
    """(4 images, 3 layers, 2 neurons)."""
    draw = torch.Generator().manual_seed(2)
    return torch.stack([torch.randperm(24, generator=draw)[:2] for _ in range(12)]).view(4, 3, 2)


def forward_by_hand(model: Any, images: Tensor, edit: Callable[[int, Tensor], Tensor]) -> Tensor:
    """The model's arithmetic written out, with the path tokens' neurons passed through `edit`."""
    body = model.vit if hasattr(model, "vit") else model.deit
    embeddings, heads = body.embeddings, [head for head in model.children() if isinstance(head, nn.Linear)]
    tokens = [getattr(embeddings, name, None) for name in ("cls_token", "distillation_token")]
    stream = embeddings.patch_embeddings.projection(images).flatten(2).mT
    first = [token.expand(len(images), -1, -1) for token in tokens if token is not None]
    stream = torch.cat([*first, stream], dim=1) + embeddings.position_embeddings
    for layer, block in enumerate(body.layers):
        stream = stream + attention_by_hand(block.attention, block.layernorm_before(stream))
        neurons = nn.functional.gelu(block.mlp.fc1(block.layernorm_after(stream)))
        edited = [edit(layer, neurons[:, token]).unsqueeze(1) for token in range(len(heads))]
        stream = stream + block.mlp.fc2(torch.cat([*edited, neurons[:, len(heads) :]], dim=1))
    normed = body.layernorm(stream)
    return sum(head(normed[:, token]) for token, head in enumerate(heads)) / len(heads)


def attention_by_hand(attention: Any, stream: Tensor) -> Tensor:
    query, key, value = (
        projection(stream).unflatten(2, (2, -1)).transpose(1, 2)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
    return attention.o_proj((weights @ value).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_pieces_in_order_are_the_model(kind: str, variant: str, attention: str, images: Tensor) -> None:
    build, family, tokens = KINDS[kind]
    model = make_hf(build, attention=attention, **VARIANTS[variant])
    vit = open_vit(model)
    assert type(vit) is family
    for mode in (torch.no_grad, torch.enable_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(vit.forward(images), model(images).logits, rtol=1e-12, atol=1e-12)
    assert vit.depth == 3
    assert vit.widths == (24, 24, 24)
    assert vit.num_classes == 5
    assert vit.path_tokens == slice(0, tokens)
    assert vit.image_shape() == (3, 8, 8)


def test_images_may_be_oblong() -> None:
    model = make_hf(image_size=(8, 12))
    assert HuggingFaceViT(model).image_shape() == (3, 8, 12)
    images = torch.randn(2, 3, 8, 12, dtype=torch.float64)
    torch.testing.assert_close(HuggingFaceViT(model).forward(images), model(images).logits, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_engine_equals_the_oracle(kind: str, variant: str, images: Tensor, targets: Tensor) -> None:
    vit = open_vit(make_hf(KINDS[kind][0], **VARIANTS[variant]))
    assert vit.parts(0) is not None  # the fast way
    with undisturbed(vit.model):
        expected = plain_search(vit, images, targets, top_k=2, steps=3)
    assert_same(search(vit, images, targets, top_k=2, steps=3), expected)
    actual = joint_score(vit, images, targets, expected.neurons, steps=3)
    torch.testing.assert_close(actual, expected.scores, **EXACT)


@pytest.mark.parametrize(("operation", "inside", "outside"), [("remove", 0, 1), ("keep", 1, 0)])
@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_equals_a_forward_written_by_hand(
    images: Tensor, neurons: Tensor, kind: str, operation: str, inside: int, outside: int
) -> None:
    model = make_hf(KINDS[kind][0])

    def edit(layer: int, values: Tensor) -> Tensor:
        return values * torch.full_like(values, outside).scatter(1, neurons[:, layer], inside)

    with torch.no_grad():
        with intervene(model, neurons, operation):
            edited = model(images).logits
        torch.testing.assert_close(edited, forward_by_hand(model, images, edit), rtol=1e-12, atol=1e-12)
        assert not torch.allclose(edited, model(images).logits)


def test_the_model_is_left_as_it_was_found(images: Tensor, targets: Tensor, neurons: Tensor) -> None:
    model = make_hf().train()
    model.vit.layernorm.eval()
    model.classifier.weight.requires_grad_(False)
    modes = [module.training for module in model.modules()]
    wants = [parameter.requires_grad for parameter in model.parameters()]
    search(HuggingFaceViT(model), images, targets, steps=2)
    with intervene(HuggingFaceViT(model), neurons, "remove"):
        model(images)
    assert hooks_of(model) == 0
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == wants


class _Unchanged(ViTForImageClassification):
    pass


class _Changed(ViTForImageClassification):
    def forward(self, *arguments: Any, **options: Any) -> Any:
        return super().forward(*arguments, **options)


class _OtherBackbone(ViTModel):
    def forward(self, *arguments: Any, **options: Any) -> Any:
        return super().forward(*arguments, **options)


class _OtherLayer(ViTLayer):
    pass


def _changed(change: Callable[[Any], None]) -> Any:
    model = make_hf()
    change(model)
    return model


def test_models_are_told_by_name() -> None:
    assert HuggingFaceViT.matches(make_hf())
    assert HuggingFaceViT.matches(make_hf(_Unchanged))
    assert not HuggingFaceViT.matches(make_hf(ViTForMaskedImageModeling))
    for build in (DeiTForImageClassification, DeiTForImageClassificationWithTeacher):
        assert HuggingFaceDeiT.matches(make_hf(build))
        assert not HuggingFaceViT.matches(make_hf(build))
    assert not HuggingFaceDeiT.matches(make_hf())
    assert not HuggingFaceDeiT.matches(make_hf(DeiTForMaskedImageModeling))
    assert not HuggingFaceViT.matches(type("ViTForImageClassification", (nn.Module,), {})())


def test_a_classifier_that_was_replaced_counts() -> None:
    assert HuggingFaceViT(make_hf(_Unchanged)).num_classes == 5
    replaced = _changed(lambda model: setattr(model, "classifier", nn.Linear(16, 7)))
    assert HuggingFaceViT(replaced).num_classes == 7


UNSUPPORTED = {
    "a forward of its own": (lambda: make_hf(_Changed), "it, a _Changed, overrides forward"),
    "another backbone": (
        lambda: _changed(lambda model: setattr(model.vit, "__class__", _OtherBackbone)),
        "its backbone, a _OtherBackbone, overrides forward",
    ),
    "another block": (
        lambda: _changed(lambda model: setattr(model.vit.layers[1], "__class__", _OtherLayer)),
        "block 1 is a _OtherLayer",
    ),
    "another down projection": (
        lambda: _changed(lambda model: setattr(model.vit.layers[2].mlp, "fc2", nn.Identity())),
        "the FFN of block 2 has no linear down projection",
    ),
    "an attention without forward-mode derivative": (
        lambda: _changed(lambda model: setattr(model.config, "_attn_implementation", "flex_attention")),
        r"its attention is 'flex_attention'.*model\.set_attn_implementation\('sdpa'\)",
    ),
    "no head": (
        lambda: make_hf(num_labels=0),
        "has 0 categories.*a backbone opens inside the module that holds",
    ),
    "a projection with an adapter": (
        lambda: _changed(lambda model: setattr(model.vit.layers[2].mlp, "fc2", Adapter(model.vit.layers[2].mlp.fc2))),
        r"FFN of block 2 has no linear down projection: it is a .*\.Adapter, an adapter .* merge_and_unload\(\)",
    ),
    "one logit": (lambda: make_hf(num_labels=1), "has 1 categories, at least 2"),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_cannot_be_opened_is_named_with_what_can(case: str) -> None:
    build, reason = UNSUPPORTED[case]
    model = build()
    assert HuggingFaceViT.matches(model)
    with pytest.raises(UnsupportedModelError, match=rf"{reason}.*Supported: transformers ViTForImageClassification"):
        open_vit(model)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda model: setattr(model, "distillation_classifier", nn.Linear(16, 7)),
            "its heads have different numbers of categories, 5 and 7",
        ),
        (
            lambda model: setattr(model, "distillation_classifier", nn.Identity()),
            "its heads have different numbers of categories, 5 and 0",
        ),
        (
            lambda model: setattr(model, "distillation_classifier", nn.Sequential(nn.Linear(16, 5))),
            "its distillation_classifier is a Sequential and not linear",
        ),
        (
            lambda model: setattr(model.deit.layers[1], "__class__", _OtherLayer),
            "block 1 is a _OtherLayer",
        ),
    ],
)
def test_a_deit_that_cannot_be_opened_is_named(change: Callable[[Any], None], reason: str) -> None:
    model = make_hf(DeiTForImageClassificationWithTeacher)
    change(model)
    with pytest.raises(UnsupportedModelError, match=rf"{reason}.*Supported: transformers DeiTForImageClassification"):
        open_vit(model)


@pytest.mark.parametrize("activation", [ByPosition(), Mixing(), slopes_by_token(5)])
def test_a_block_whose_activation_may_depend_on_the_token_is_run_whole(
    activation: nn.Module, images: Tensor, targets: Tensor
) -> None:
    model = make_hf()
    for layer in model.vit.layers:
        layer.mlp.activation_fn = activation
    vit = open_vit(model)
    assert vit.parts(0) is None
    with undisturbed(model):
        expected = plain_search(vit, images, targets)
    assert_same(search(model, images, targets, tolerance=0), expected)


def test_a_block_whose_ffn_or_scale_is_another_is_run_whole() -> None:
    model = make_hf()
    assert open_vit(model).parts(0) is not None
    first, second, third = model.vit.layers
    first.mlp.__class__ = type("Other", (type(first.mlp),), {})
    second.attention.scaling *= 2
    third.attention.is_causal = True
    assert [open_vit(model).parts(layer) for layer in range(3)] == [None] * 3
