"""Every family and variant that was tried: `python -m tests.vit.families` writes the table of docs/families.md.

Each row is tested by test_families.py: opened and exact, or refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timm.layers import GluMlp, SwiGLU, SwiGLUPacked
from timm.models import beit, cait, eva, naflexvit
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import ParallelScalingBlock, ParallelThingsBlock, ResPostBlock, VisionTransformer
from torch import nn

SMALL = {"img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 5}
PAGE = Path(__file__).parents[2] / "docs" / "families.md"
FC2 = "input of `mlp.fc2`"
CLASS = "class token"


@dataclass(frozen=True)
class Case:
    """One variant.

    Attributes:
        family: the class that people build.
        variant: what is particular, with models that are so.
        build: makes a tiny one, 3 x 8 x 8 images and 5 categories if it is supported.
        path_tokens: for people.
        tokens: which tokens those are in the tiny model.
        neurons: for people.
        refused: part of the reason, for a variant that cannot be opened.
    """

    family: str
    variant: str
    build: Callable[[], nn.Module]
    path_tokens: str = ""
    tokens: tuple[int, ...] = ()
    neurons: str = FC2
    refused: str | None = None


def randomised(model: nn.Module) -> nn.Module:
    """In float64 and evaluation mode, with weights such that every part matters."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.double().eval()


def timm_vit(**arguments: Any) -> Callable[[], nn.Module]:
    return lambda: randomised(VisionTransformer(**{**SMALL, **arguments}))


def timm_eva(**arguments: Any) -> Callable[[], nn.Module]:
    return lambda: randomised(eva.Eva(**{**SMALL, **arguments}))


def torchvision_vit() -> nn.Module:
    from torchvision.models import VisionTransformer as Torchvision

    return randomised(
        Torchvision(image_size=8, patch_size=4, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=64, num_classes=5)
    )


def hugging_face_vit() -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification

    settings = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    return randomised(ViTForImageClassification(ViTConfig(**settings, intermediate_size=64, num_labels=5)))


def hugging_face_deit(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import transformers

        settings = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 3}
        config = transformers.DeiTConfig(**settings, num_attention_heads=2, intermediate_size=64, num_labels=5)
        return randomised(getattr(transformers, name)(config))

    return build


VIT, EVA = "timm `VisionTransformer`", "timm `Eva`"
FOUR = (1, 2, 3, 4)

CASES = [
    Case(VIT, "class token (ViT, DeiT, AugReg, DINO)", timm_vit(), CLASS, (0,)),
    Case(VIT, "LayerScale (DINOv2, DeiT-3)", timm_vit(init_values=0.5), CLASS, (0,)),
    Case(VIT, "register tokens", timm_vit(reg_tokens=2), f"{CLASS}; registers unedited", (0,)),
    Case(VIT, "query and key norms", timm_vit(qk_norm=True), CLASS, (0,)),
    Case(VIT, "norm before the blocks (CLIP)", timm_vit(pre_norm=True), CLASS, (0,)),
    Case(VIT, "any image size (`dynamic_img_size`)", timm_vit(dynamic_img_size=True), CLASS, (0,)),
    Case(VIT, "norm before `fc2`", timm_vit(scale_mlp_norm=True), CLASS, (0,), f"{FC2}, after the norm"),
    Case(VIT, "`GluMlp`", timm_vit(mlp_layer=GluMlp), CLASS, (0,), f"{FC2}, after the gate"),
    Case(VIT, "`SwiGLU`", timm_vit(mlp_layer=SwiGLU), CLASS, (0,), f"{FC2}, after the gate"),
    Case(VIT, "`SwiGLUPacked`", timm_vit(mlp_layer=SwiGLUPacked), CLASS, (0,), f"{FC2}, after the gate"),
    Case(VIT, "mean of the patch tokens (MAE fine-tunes)", timm_vit(global_pool="avg"), "every patch token", FOUR),
    Case(
        VIT, "mean, without a class token", timm_vit(global_pool="avg", class_token=False), "every token", (0, 1, 2, 3)
    ),
    Case(
        VIT,
        "mean, with registers",
        timm_vit(global_pool="avg", reg_tokens=2),
        "every patch token; registers unedited",
        (3, 4, 5, 6),
    ),
    Case(
        VIT,
        "attention pool (SigLIP)",
        timm_vit(global_pool="map", class_token=False),
        "every token the pool reads",
        (0, 1, 2, 3),
    ),
    Case(VIT, "largest value of the tokens (`max`)", timm_vit(global_pool="max"), refused="pools tokens by 'max'"),
    Case(VIT, "norms after attention and FFN", timm_vit(block_fn=ResPostBlock), refused="ResPostBlock"),
    Case(VIT, "attention and FFN in parallel", timm_vit(block_fn=ParallelScalingBlock), refused="ParallelScalingBlock"),
    Case(VIT, "several FFNs a block", timm_vit(block_fn=ParallelThingsBlock), refused="ParallelThingsBlock"),
    Case(VIT, "no head (`num_classes=0`)", timm_vit(num_classes=0), refused="at least 2 are needed"),
    Case(
        "timm `VisionTransformerDistilled`",
        "two heads (DeiT distilled)",
        lambda: randomised(VisionTransformerDistilled(**SMALL)),
        "class and distillation token",
        (0, 1),
    ),
    Case(EVA, "class token", timm_eva(global_pool="token"), CLASS, (0,)),
    Case(
        EVA,
        "rope, SwiGLU, norm before `fc2` (EVA-02)",
        timm_eva(global_pool="token", use_rot_pos_emb=True, swiglu_mlp=True, scale_mlp=True),
        CLASS,
        (0,),
        f"{FC2}, after gate and norm",
    ),
    Case(EVA, "mean of the patch tokens", timm_eva(global_pool="avg", use_rot_pos_emb=True), "every patch token", FOUR),
    Case(EVA, "norms after attention and FFN", timm_eva(use_post_norm=True), refused="EvaBlockPostNorm"),
    Case(
        "torchvision `VisionTransformer`", "`vit_b_16` … `vit_h_14`", torchvision_vit, CLASS, (0,), "input of `mlp[3]`"
    ),
    Case(
        "Hugging Face `ViTForImageClassification`",
        "needs `nplight[huggingface]`",
        hugging_face_vit,
        CLASS,
        (0,),
        "input of the FFN's output projection",
    ),
    Case(
        "Hugging Face `DeiTForImageClassification`",
        "needs `nplight[huggingface]`",
        hugging_face_deit("DeiTForImageClassification"),
        CLASS,
        (0,),
        "input of the FFN's output projection",
    ),
    Case(
        "Hugging Face `DeiTForImageClassificationWithTeacher`",
        "two heads, needs `nplight[huggingface]`",
        hugging_face_deit("DeiTForImageClassificationWithTeacher"),
        "class and distillation token",
        (0, 1),
        "input of the FFN's output projection",
    ),
    Case("timm `Beit`", "", lambda: beit.Beit(**SMALL), refused="Beit"),
    Case("timm `Cait`", "", lambda: cait.Cait(**SMALL), refused="Cait"),
    Case(
        "timm `NaFlexVit`",
        "",
        lambda: naflexvit.NaFlexVit(naflexvit.NaFlexVitCfg(embed_dim=16, depth=1, num_heads=2, patch_size=4)),
        refused="NaFlexVit",
    ),
]


def table() -> str:
    """The page: one row a case."""
    rows = [
        "| model | variant | path tokens | neurons | |",
        "|---|---|---|---|---|",
        *(
            f"| {case.family} | {case.variant} | {case.path_tokens} | {'' if case.refused else case.neurons} | "
            f"{'refused: ' + case.refused if case.refused else 'exact'} |"
            for case in CASES
        ),
    ]
    return "\n".join(
        [
            "# Which models open",
            "",
            "Written by `python -m tests.vit.families` from the cases that the tests run. *Exact*: the unedited pieces",
            "equal the model's own forward, the engine equals the oracle in float64, and nothing is left in the model",
            "afterwards. *Refused*: `open_vit` raises `UnsupportedModelError` with the reason. A model inside another",
            "module (a LightningModule, say) is found when it is the only one there, and asked for by name otherwise.",
            "",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(table(), encoding="utf-8")
