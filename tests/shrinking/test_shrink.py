"""A shrunk model equals the one that keeps the same neurons at all tokens."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from timm.layers import GatedMlp, SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from nplight import category_paths, intervene, open_vit, references, search, shrink
from nplight.errors import ArgumentError, UnsupportedModelError
from nplight.vit import KeptNorm
from tests.conftest import make_vit
from tests.vit.families import CASES, Case

OPENED = [case for case in CASES if case.refused is None]
IDS = [f"{case.family} {case.variant}" for case in OPENED]


def some_neurons(model: nn.Module, share: float = 0.3) -> list[Tensor]:
    """Random neurons, of another number in every layer."""
    generator = torch.Generator().manual_seed(1)
    widths = open_vit(model).widths
    counts = [max(1, round(width * share) + layer) for layer, width in enumerate(widths)]
    return [torch.randperm(width, generator=generator)[:count] for width, count in zip(widths, counts)]


def kept_by_hooks(model: nn.Module, kept: list[Tensor], images: Tensor, held: list[Tensor] | None = None) -> Tensor:
    """The logits where a hook writes constants (zeros) over all other neurons, at every token."""
    vit = open_vit(model)
    handles = []
    for layer, down in enumerate(vit.down):
        mask = torch.zeros(down.width, dtype=torch.bool)
        mask[kept[layer]] = True
        constants = torch.zeros(down.width, dtype=torch.float64) if held is None else held[layer]

        def write(module: nn.Module, arguments: Any, mask: Tensor = mask, constants: Tensor = constants) -> Any:
            return (torch.where(mask, arguments[0], constants),)

        handles.append(down.linear.register_forward_pre_hook(write))
    with torch.no_grad():
        logits = model(images)
    for handle in handles:
        handle.remove()
    return getattr(logits, "logits", logits)


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        output = model(images)
    return getattr(output, "logits", output)


@pytest.mark.parametrize("case", OPENED, ids=IDS)
def test_every_family_is_exact_and_smaller(case: Case, images: Tensor) -> None:
    model = case.build()
    before = copy.deepcopy(model.state_dict())
    kept = some_neurons(model)
    small = shrink(model, kept)
    torch.testing.assert_close(
        logits_of(small, images), kept_by_hooks(model, kept, images), rtol=0, atol=1e-9, check_dtype=True
    )
    opened = open_vit(small)
    assert type(small) is type(model)
    assert opened.widths == tuple(map(len, kept))
    for layer in range(opened.depth):
        ffn, full = opened.feed_forward(layer), open_vit(model).feed_forward(layer)
        assert ffn is not None
        assert full is not None
        rows = full.groups * len(kept[layer]) if full.norm is None else full.up[0].out_features
        assert {up.out_features for up in ffn.up} == {rows}
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any(module._forward_pre_hooks for module in [*model.modules(), *small.modules()])


@pytest.mark.parametrize("case", OPENED, ids=IDS)
def test_a_smaller_model_is_searched_as_any(case: Case, images: Tensor, targets: Tensor) -> None:
    small = shrink(case.build(), some_neurons(case.build()))
    paths = search(small, images, targets, steps=2)
    with torch.no_grad():
        logits = logits_of(small, images)
    torch.testing.assert_close(paths.probability, logits.softmax(1).gather(1, targets[:, None])[:, 0])
    assert all((paths.neurons[:, layer] < width).all() for layer, width in enumerate(open_vit(small).widths))


@pytest.mark.parametrize("fill", ["mean", "peak"])
@pytest.mark.parametrize(
    "arguments", [{}, {"proj_bias": False}, {"init_values": 0.5}, {"scale_mlp_norm": True}], ids=str
)
def test_the_effect_of_constants_is_in_the_bias(fill: Any, arguments: dict[str, Any], images: Tensor) -> None:
    model = make_vit(**arguments)
    kept = some_neurons(model)
    values = references(model, [images], fill, tokens="all")
    held = [values.of()[layer].flatten() for layer in range(3)]
    small = shrink(model, kept, fill=fill, references=values)
    expected = kept_by_hooks(model, kept, images, held)
    torch.testing.assert_close(logits_of(small, images), expected, rtol=0, atol=1e-9)
    assert (expected - kept_by_hooks(model, kept, images)).abs().max() > 1e-3


def test_it_equals_keeping_at_all_tokens(vit: VisionTransformer, images: Tensor) -> None:
    neurons = torch.tensor([[0, 5, 9], [1, 1, 3], [60, 2, 7]])
    with intervene(vit, neurons, "keep", tokens="all"):
        expected = logits_of(vit, images)
    small = shrink(vit, neurons)
    torch.testing.assert_close(logits_of(small, images), expected, rtol=0, atol=1e-9)
    assert open_vit(small).widths == (3, 2, 3)


def test_masks_and_indices_are_the_same(vit: VisionTransformer, images: Tensor) -> None:
    kept = some_neurons(vit)
    masks = [torch.zeros(64, dtype=torch.bool).index_fill(0, chosen, True) for chosen in kept]
    assert torch.equal(logits_of(shrink(vit, masks), images), logits_of(shrink(vit, kept), images))


def test_shrinking_in_two_steps_is_shrinking_in_one(images: Tensor) -> None:
    for arguments in ({}, {"scale_mlp_norm": True}, {"mlp_layer": SwiGLUPacked}):
        model = make_vit(**arguments)
        kept = [chosen.sort().values for chosen in some_neurons(model)]
        once = shrink(model, [chosen[::2] for chosen in kept])
        twice = shrink(shrink(model, kept), [torch.arange(0, len(chosen), 2) for chosen in kept])
        torch.testing.assert_close(logits_of(twice, images), logits_of(once, images), rtol=0, atol=1e-12)
        assert {name: value.shape for name, value in once.state_dict().items()} == {
            name: value.shape for name, value in twice.state_dict().items()
        }


def test_keeping_all_neurons_changes_no_bit(vit: VisionTransformer, images: Tensor) -> None:
    everything = shrink(vit, [torch.arange(64)] * 3)
    assert torch.equal(logits_of(everything, images), logits_of(vit, images))


def test_the_state_of_the_model_is_kept_and_shared_with_nothing(vit: VisionTransformer) -> None:
    vit.train()
    vit.blocks[0].mlp.fc1.weight.requires_grad_(False)
    vit.blocks[1].mlp.eval()
    small: Any = shrink(vit, some_neurons(vit))
    assert vit.training
    assert small.training
    assert not small.blocks[0].mlp.fc1.weight.requires_grad
    assert small.blocks[0].mlp.fc1.bias.requires_grad
    assert not small.blocks[1].mlp.fc1.training
    shared = {value.data_ptr() for value in vit.state_dict().values()}
    assert shared.isdisjoint(value.data_ptr() for value in small.state_dict().values())


def test_it_trains(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    with torch.inference_mode():
        small = shrink(vit, some_neurons(vit))
    nn.functional.cross_entropy(small(images), targets).backward()
    assert all(parameter.grad is not None for parameter in small.parameters())


def test_a_wrapper_is_copied_with_its_vit(vit: VisionTransformer, images: Tensor) -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = vit
            self.alias = vit.blocks[0].mlp.fc1

        def forward(self, images: Tensor) -> Tensor:
            return 2 * self.backbone(images.flip(-1))

    kept = some_neurons(vit)
    small: Any = shrink(Wrapper(), kept)
    expected = 2 * kept_by_hooks(vit, kept, images.flip(-1))
    torch.testing.assert_close(logits_of(small, images), expected, rtol=0, atol=1e-9)
    assert small.alias is small.backbone.blocks[0].mlp.fc1


def test_a_vit_that_was_opened_by_name_and_a_compiled_one(vit: VisionTransformer, images: Tensor) -> None:
    two = nn.ModuleDict({"first": make_vit(), "second": vit})
    kept = some_neurons(vit)
    expected = kept_by_hooks(vit, kept, images)
    for model in (open_vit(two, "second"), torch.compile(vit)):
        torch.testing.assert_close(logits_of(shrink(model, kept), images), expected, rtol=0, atol=1e-9)


def test_hugging_faces_configuration_says_a_width_that_all_layers_have(images: Tensor) -> None:
    (case,) = (case for case in OPENED if "ForImageClassification" in case.family and "ViT" in case.family)
    model: Any = case.build()
    small: Any = shrink(model, [torch.arange(9)] * 3)
    assert (model.config.intermediate_size, small.config.intermediate_size) == (64, 9)
    rebuilt = type(model)(small.config).double().eval()
    rebuilt.load_state_dict(small.state_dict())
    assert torch.equal(logits_of(rebuilt, images), logits_of(small, images))
    uneven: Any = shrink(model, some_neurons(model))
    assert uneven.config.intermediate_size == 64


def test_paths_of_a_model_whose_tokens_are_all_path_tokens(images: Tensor, targets: Tensor) -> None:
    model = make_vit(global_pool="avg", class_token=False)
    paths = search(model, images, targets, top_k=2, steps=2)
    union = [paths.neurons[:, layer].unique() for layer in range(3)]
    expected = logits_of(shrink(model, union), images)
    assert torch.equal(logits_of(shrink(model, paths), images), expected)
    categories = category_paths(paths.neurons, torch.tensor([0, 0, 1, 1]), num_classes=2, top_k=2)
    union = [categories.neurons[:, layer].unique() for layer in range(3)]
    assert torch.equal(logits_of(shrink(model, categories), images), logits_of(shrink(model, union), images))


@pytest.mark.parametrize(
    ("arguments", "tokens"),
    [({}, "tokens 0"), ({"global_pool": "avg"}, "tokens 1 and later")],
)
def test_paths_of_some_tokens_are_refused(arguments: dict[str, Any], tokens: str, images: Tensor) -> None:
    """Also those of all patch tokens: the class token beside them, which they attend to, uses every neuron."""
    model = make_vit(**arguments)
    paths = search(model, images, steps=2)
    with pytest.raises(ArgumentError, match=f"PathBatch, .* path tokens alone, {tokens}: its other tokens still use"):
        shrink(model, paths)
    categories = category_paths(paths, torch.zeros(4, dtype=torch.int64), num_classes=1)
    with pytest.raises(ArgumentError, match=f"CategoryPaths, .* path tokens alone, {tokens}"):
        shrink(model, categories)
    assert shrink(model, paths.neurons[0]) is not model


FIVE = [torch.arange(5)] * 3


@pytest.mark.parametrize(
    ("neurons", "message"),
    [
        (
            [torch.arange(5), torch.tensor([], dtype=torch.int64), torch.arange(5)],
            "none of layers 1",
        ),
        ([torch.zeros(64, dtype=torch.bool)] * 3, "at least one neuron of every layer, got none of layers 0, 1, 2"),
        (torch.zeros(3, 0, dtype=torch.int64), r"K >= 1, got \(3, 0\)"),
        (torch.zeros(4, 1, dtype=torch.int64), r"layers = 3"),
        (torch.zeros(2, 3, 1, dtype=torch.int64), "one path .* got paths of 2 images"),
        ([torch.arange(5)] * 4, "each of the 3 layers of the model, got 4"),
        (torch.full((3, 1), 64), "in 0 … 63, got 64"),
        ([torch.arange(5), torch.tensor([-1]), torch.arange(5)], "layer 1 must be in 0 … 63.*got -1"),
        ([torch.zeros(63, dtype=torch.bool)] * 3, r"a mask \(64,\) bool, got a torch.bool tensor of shape \(63,\)"),
        ([torch.rand(5)] * 3, "must be indices"),
        (FIVE[0], "must be"),
        ("paths", "got 'paths'"),
    ],
)
def test_neurons_that_are_not_the_models(vit: VisionTransformer, neurons: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        shrink(vit, neurons)


def test_constants_that_are_none(vit: VisionTransformer, images: Tensor) -> None:
    with pytest.raises(ArgumentError, match="constants that a bias can hold, got 'resample'"):
        shrink(vit, FIVE, fill="resample")
    with pytest.raises(ArgumentError, match="needs `references`"):
        shrink(vit, FIVE, fill="mean")
    with pytest.raises(ArgumentError, match="gathered for tokens='path', got tokens='all'"):
        shrink(vit, FIVE, fill="mean", references=references(vit, [images], "mean"))
    with pytest.raises(ArgumentError, match=r"layer 0 must be \(1, 1, 64\), one constant per neuron, got \(2, 1, 64\)"):
        shrink(vit, FIVE, fill="mean", references={layer: torch.zeros(2, 1, 64) for layer in range(3)})
    with pytest.raises(ArgumentError, match="layer 0 must be finite"):
        shrink(vit, FIVE, fill="mean", references={layer: torch.full((1, 1, 64), torch.nan) for layer in range(3)})


class _Weighted(nn.Module):
    """An activation with a weight for every neuron."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 2, 64, dtype=torch.float64))

    def forward(self, neurons: Tensor) -> Tensor:
        return neurons.relu() * self.weight


def _weighted(model: Any) -> None:
    model.blocks[1].mlp.act = _Weighted()


def _softmax(model: Any) -> None:
    model.blocks[1].mlp.act = nn.Softmax(-1)


@pytest.mark.parametrize("change", [_weighted, _softmax])
def test_neurons_that_depend_on_one_another(vit: VisionTransformer, change: Callable[[Any], None]) -> None:
    change(vit)
    with pytest.raises(UnsupportedModelError, match="block 1 whose neurons depend on one another"):
        shrink(vit, FIVE)


def test_ffns_that_are_not_known(vit: VisionTransformer) -> None:
    shared: Any = make_vit()
    shared.blocks[2] = shared.blocks[1]
    hooked: Any = make_vit()
    hooked.blocks[0].mlp.fc1.register_forward_hook(lambda *arguments: None)
    gated: Any = make_vit()
    gated.blocks[1].mlp = GatedMlp(16, 64, gate_layer=lambda width, **others: nn.GLU()).double()
    gated.blocks[1].mlp.fc2 = nn.Linear(32, 16).double()
    for model, message in (
        (gated, "layers 1 are not known"),
        (shared, "blocks that share an FFN"),
        (hooked, "no hooks"),
    ):
        with pytest.raises(UnsupportedModelError, match=message):
            shrink(model, FIVE)
    with intervene(vit, torch.zeros(3, 1, dtype=torch.int64), "remove"):
        with pytest.raises(UnsupportedModelError, match="no hooks"):
            shrink(vit, FIVE)
        vit(torch.zeros(1, 3, 8, 8, dtype=torch.float64))


def test_a_norm_over_neurons_stays_whole(images: Tensor) -> None:
    """Its mean and variance are over all neurons: a norm over the kept alone would be another."""
    model = make_vit(scale_mlp_norm=True)
    small: Any = shrink(model, FIVE)
    mlp = small.blocks[0].mlp
    assert isinstance(mlp.norm, KeptNorm)
    assert (mlp.fc1.out_features, mlp.fc2.in_features) == (64, 5)
