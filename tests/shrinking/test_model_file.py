"""A smaller model in a file, opened again into a model of the original size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from timm.layers import SwiGLUPacked
from torch import Tensor

from nplight import open_vit, references, shrink
from nplight.errors import CheckpointError, RunFolderError
from nplight.modules import ViTClassifier, load_weights
from nplight.shrinking import save_model, stored_widths
from tests.conftest import make_vit
from tests.shrinking.test_shrink import OPENED, logits_of, some_neurons
from tests.vit.families import Case


@pytest.mark.parametrize("case", OPENED, ids=lambda case: f"{case.family} {case.variant}")
def test_every_family_comes_back_bit_for_bit(case: Case, images: Tensor, tmp_path: Path) -> None:
    model = case.build()
    kept = some_neurons(model)
    small = shrink(model, kept)
    save_model(small, tmp_path / "small.safetensors")
    with safe_open(tmp_path / "small.safetensors", "pt") as file:
        assert json.loads(file.metadata()["widths"]) == list(map(len, kept))
    again = case.build()
    load_weights(again, tmp_path / "small.safetensors")
    assert torch.equal(logits_of(again, images), logits_of(small, images))
    assert open_vit(again).widths == tuple(map(len, kept))
    # Into a model that is as small already.
    load_weights(again, tmp_path / "small.safetensors")
    assert torch.equal(logits_of(again, images), logits_of(small, images))


@pytest.mark.parametrize("arguments", [{"proj_bias": False}, {"scale_mlp_norm": True}, {"mlp_layer": SwiGLUPacked}])
def test_a_bias_that_a_fill_made_comes_back(arguments: dict[str, Any], images: Tensor, tmp_path: Path) -> None:
    model = make_vit(**arguments)
    kept = some_neurons(model)
    kept[1] = torch.arange(open_vit(model).widths[1])
    small = shrink(model, kept, fill="mean", references=references(model, [images], "mean", tokens="all"))
    save_model(small, tmp_path / "small.safetensors")
    again = make_vit(**arguments)
    load_weights(again, tmp_path / "small.safetensors")
    assert torch.equal(logits_of(again, images), logits_of(small, images))


def test_a_classifier_takes_it_as_its_checkpoint(tmp_path: Path) -> None:
    settings = {"img_size": 16, "patch_size": 4, "embed_dim": 64, "depth": 6, "num_heads": 4}
    arguments: dict[str, Any] = {"model_name": "vit_tiny_patch16_224", "num_classes": 10, "model_args": settings}
    full = ViTClassifier(**arguments, checkpoint="bundled:digits").eval()
    small = shrink(full, [torch.arange(10 + layer) for layer in range(6)])
    path = tmp_path / "small.safetensors"
    save_model(small, path)
    again = ViTClassifier(**arguments, checkpoint=str(path)).eval()
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(logits_of(again, images), logits_of(small, images))
    assert open_vit(again).widths == (10, 11, 12, 13, 14, 15)


def test_a_file_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    small = shrink(make_vit(), some_neurons(make_vit()))
    path = tmp_path / "small.safetensors"
    save_model(small, path)
    for other, message in (
        (make_vit(depth=2), r"neurons in its layers, .* this one has \[64, 64\]"),
        (make_vit(mlp_ratio=0.25), r"no more than those .* this one has \[4, 4, 4\]"),
        (make_vit(qk_norm=True), "missing blocks.0.attn.q_norm"),
    ):
        before = {name: value.clone() for name, value in other.state_dict().items()}
        widths = open_vit(other).widths
        with pytest.raises(CheckpointError, match=message):
            load_weights(other, path)
        assert open_vit(other).widths == widths
        assert all(torch.equal(other.state_dict()[name], value) for name, value in before.items())


@pytest.mark.parametrize("text", ["[1, 2", "3", "[1.5]", "[0]", "[true]"])
def test_damaged_widths(tmp_path: Path, text: str) -> None:
    save_file(make_vit().state_dict(), tmp_path / "model.safetensors", {"widths": text})
    with pytest.raises(CheckpointError, match="must say its widths as a list of numbers of neurons"):
        load_weights(make_vit(), tmp_path / "model.safetensors")


def test_files_without_widths(tmp_path: Path) -> None:
    save_file(make_vit().state_dict(), tmp_path / "model.safetensors")
    assert stored_widths(tmp_path / "model.safetensors") is None
    (tmp_path / "text.safetensors").write_text("no tensors")
    assert stored_widths(tmp_path / "text.safetensors") is None
    load_weights(make_vit(), tmp_path / "model.safetensors")
    with pytest.raises(RunFolderError, match="cannot be written"):
        save_model(make_vit(), tmp_path / "model.safetensors" / "no folder")
