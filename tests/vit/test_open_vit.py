from __future__ import annotations

import pytest
import timm
import torch
from timm.layers import GluMlp, SwiGLU, SwiGLUPacked
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import ParallelScalingBlock, ResPostBlock, VisionTransformer
from torch import Tensor, nn

from nplight import UnsupportedModelError, open_vit
from nplight.errors import ArgumentError
from nplight.vit import fingerprint, gradients, undisturbed
from tests.conftest import make_vit

VARIANTS = {
    "plain": {},
    "layer scale": {"init_values": 0.5},
    "registers": {"reg_tokens": 3},
    "registers without position": {"reg_tokens": 2, "no_embed_class": True},
    "query and key norms": {"qk_norm": True},
    "norm before the blocks": {"pre_norm": True},
    "norm before the down projection": {"scale_mlp_norm": True},
    "any image size": {"dynamic_img_size": True},
    "mean of the patch tokens": {"global_pool": "avg"},
    "mean, norm before the blocks' output": {"global_pool": "avg", "fc_norm": False},
    "mean without a class token": {"global_pool": "avg", "class_token": False},
    "mean with registers": {"global_pool": "avg", "reg_tokens": 2},
    "attention pool": {"global_pool": "map", "class_token": False},
    "gated FFN": {"mlp_layer": GluMlp},
    "SwiGLU": {"mlp_layer": SwiGLU},
    "packed SwiGLU": {"mlp_layer": SwiGLUPacked, "mlp_ratio": 4},
    "distilled": {"cls": VisionTransformerDistilled},
}
PATH_TOKENS = {"plain": [0], "registers": [0], "mean of the patch tokens": [1, 2, 3, 4], "distilled": [0, 1],
               "mean without a class token": [0, 1, 2, 3], "mean with registers": [3, 4, 5, 6],
               "attention pool": [0, 1, 2, 3]}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_pieces_in_order_are_the_model(variant: str, images: Tensor) -> None:
    model = make_vit(**VARIANTS[variant])
    vit = open_vit(model)
    torch.testing.assert_close(vit.forward(images), model(images), rtol=0, atol=0)
    assert vit.depth == 3
    assert vit.widths == tuple(block.mlp.fc2.in_features for block in model.blocks)
    assert vit.num_classes == 5
    if variant in PATH_TOKENS:
        assert list(range(vit.embed(images).shape[1]))[vit.path_tokens] == PATH_TOKENS[variant]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_down_projection_is_what_the_neurons_add_to_the_stream(variant: str, images: Tensor) -> None:
    vit = open_vit(make_vit(**VARIANTS[variant]))
    block, down = vit.model.blocks[1], vit.down[1]
    change = torch.randn(4, down.width, dtype=torch.float64)
    neurons = torch.randn(4, down.width, dtype=torch.float64)
    added = block.ls2(block.mlp.fc2(neurons + change)) - block.ls2(block.mlp.fc2(neurons))
    torch.testing.assert_close(down.increment(change), added)
    gradient = torch.randn(4, 16, dtype=torch.float64)
    torch.testing.assert_close((down.pull_back(gradient) * change).sum(), (gradient * added).sum())


class _Changed(VisionTransformer):
    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        return 2 * super().forward_head(x, pre_logits)


UNSUPPORTED = {
    "no ViT": (lambda: timm.create_model("resnet18"), "ResNet"),
    "largest token": (lambda: make_vit(global_pool="max"), "pools tokens by 'max'"),
    "norm after the FFN": (lambda: make_vit(block_fn=ResPostBlock), "ResPostBlock"),
    "parallel attention and FFN": (lambda: make_vit(block_fn=ParallelScalingBlock), "ParallelScalingBlock"),
    "no head": (lambda: make_vit(num_classes=0), "at least 2"),
    "one logit": (lambda: make_vit(num_classes=1), "at least 2"),
    "a forward of its own": (
        lambda: _Changed(img_size=8, patch_size=4, embed_dim=16, depth=1, num_heads=2),
        "_Changed.*overrides forward_head",
    ),
    "a function": (lambda: len, "builtin_function_or_method"),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_cannot_be_opened_is_named_with_what_can(case: str) -> None:
    build, reason = UNSUPPORTED[case]
    with pytest.raises(UnsupportedModelError, match=rf"(?s){reason}.*Supported: timm "):
        open_vit(build())


def test_opening_twice_is_opening_once(vit: VisionTransformer) -> None:
    assert open_vit(open_vit(vit)).model is vit


@pytest.mark.parametrize(
    ("shape", "dtype", "reason"),
    [
        ((3, 8, 8), torch.float64, "shape"),
        ((2, 1, 8, 8), torch.float64, r"\(images, 3, 8, 8\)"),
        ((2, 3, 8, 12), torch.float64, r"got \(2, 3, 8, 12\)"),
        ((0, 3, 8, 8), torch.float64, "at least one image"),
        ((2, 3, 8, 8), torch.uint8, "floating-point"),
        ((2, 3, 8, 8), torch.float32, "dtype torch.float64"),
    ],
)
def test_images_of_a_wrong_kind_are_refused(
    vit: VisionTransformer, shape: tuple[int, ...], dtype: torch.dtype, reason: str
) -> None:
    with pytest.raises(ArgumentError, match=rf"`images` must .*{reason}"):
        open_vit(vit).check_images(torch.zeros(shape, dtype=dtype))


def test_the_only_vit_in_a_module_is_found(vit: VisionTransformer) -> None:
    outer = nn.ModuleDict({"backbone": nn.ModuleDict({"vit": vit}), "other": nn.Linear(2, 2)})
    assert open_vit(outer).model is vit
    assert open_vit(outer, "backbone.vit").model is vit
    assert open_vit(vit).model is vit


def test_two_vits_must_be_told_apart(vit: VisionTransformer) -> None:
    both = nn.ModuleDict({"student": vit, "teacher": make_vit()})
    assert open_vit(both, "student").model is vit
    with pytest.raises(UnsupportedModelError, match=r"holds 2 Vision Transformers, student, teacher; name one"):
        open_vit(both)
    with pytest.raises(UnsupportedModelError, match="`vit` must name a module inside ModuleDict, got 'pupil'"):
        open_vit(both, "pupil")
    with pytest.raises(UnsupportedModelError, match="Linear, which cannot be opened"):
        open_vit(nn.Linear(2, 2))


def test_a_guarded_model_is_left_as_found_also_after_an_error(vit: VisionTransformer) -> None:
    vit.train()
    vit.blocks[1].eval()
    vit.head.weight.requires_grad_(False)
    modes = [module.training for module in vit.modules()]
    wants = [parameter.requires_grad for parameter in vit.parameters()]
    with pytest.raises(KeyError), undisturbed(vit):  # noqa: PT012
        assert not any(module.training for module in vit.modules())
        assert not any(parameter.requires_grad for parameter in vit.parameters())
        raise KeyError
    assert [module.training for module in vit.modules()] == modes
    assert [parameter.requires_grad for parameter in vit.parameters()] == wants


def test_gradients_work_under_every_mode() -> None:
    for mode in (torch.inference_mode, torch.no_grad, torch.enable_grad):
        with mode(), gradients():
            leaf = torch.ones(2, requires_grad=True)
            (found,) = torch.autograd.grad((leaf**2).sum(), leaf)
            assert found.tolist() == [2, 2]


def test_a_model_built_under_inference_mode_is_refused() -> None:
    with torch.inference_mode():
        model = make_vit()
    with pytest.raises(UnsupportedModelError, match=r"built under torch\.inference_mode"), undisturbed(model):
        pass


def test_a_fingerprint_tells_weights_apart(vit: VisionTransformer) -> None:
    before = fingerprint(vit)
    assert before == fingerprint(make_vit())
    with torch.no_grad():
        vit.head.bias[0] += 1e-12
    assert fingerprint(vit) != before


class _LoRA(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x[..., : self.out_features]


def test_a_projection_with_a_forward_of_its_own_is_refused(vit: VisionTransformer) -> None:
    vit.blocks[1].mlp.fc2 = _LoRA(64, 16).double()
    with pytest.raises(UnsupportedModelError, match="the FFN of block 1, a Mlp, has no linear down projection"):
        open_vit(vit)


class Adapter(nn.Module):
    """A low-rank adapter (LoRA) as peft puts it around a linear layer."""

    def __init__(self, base_layer: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.lora_A = nn.ModuleDict({"default": nn.Linear(base_layer.in_features, 2, bias=False).double()})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, base_layer.out_features, bias=False).double()})

    def forward(self, x: Tensor) -> Tensor:
        return self.base_layer(x) + self.lora_B["default"](self.lora_A["default"](x))

    def merge_and_unload(self) -> nn.Linear:
        with torch.no_grad():
            self.base_layer.weight += self.lora_B["default"].weight @ self.lora_A["default"].weight
        return self.base_layer


def test_an_adapter_on_a_down_projection_is_refused_until_it_is_merged(vit: VisionTransformer, images: Tensor) -> None:
    adapter = Adapter(vit.blocks[1].mlp.fc2)
    vit.blocks[1].mlp.fc2 = adapter
    logits = vit(images)
    with pytest.raises(
        UnsupportedModelError,
        match=r"block 1, a Mlp, .*`fc2`: it is a .*\.Adapter, an adapter .* first, with merge_and_unload\(\)",
    ):
        open_vit(vit)
    vit.blocks[1].mlp.fc2 = adapter.merge_and_unload()
    torch.testing.assert_close(open_vit(vit).forward(images), logits)
