from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight.errors import CheckpointError
from nplight.modules import load_weights


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_that_are_not_finite_are_refused_and_none_is_loaded(
    vit: VisionTransformer, weights: dict[str, Tensor], tmp_path: Path, suffix: str, value: float
) -> None:
    before = vit.norm.weight.clone()
    weights["blocks.2.norm1.bias"][3] = value
    path = tmp_path / f"weights{suffix}"
    safetensors.torch.save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    with pytest.raises(CheckpointError, match=r"NaN or infinite values are in blocks\.2\.norm1\.bias; take"):
        load_weights(vit, path)
    assert torch.equal(vit.norm.weight, before)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda value: value.to(torch.int8), r"of another: cls_token \(torch.int8\)"),
        (lambda value: value.to(torch.complex64), r"of another: cls_token \(torch.complex64\)"),
        (lambda value: value.to("meta"), "these are meta or sparse: cls_token"),
        (lambda value: value.to_sparse(), "these are meta or sparse: cls_token"),
    ],
)
def test_weights_that_are_no_plain_numbers_are_refused(
    vit: VisionTransformer,
    weights: dict[str, Tensor],
    tmp_path: Path,
    change: Callable[[Tensor], Tensor],
    reason: str,
) -> None:
    weights["cls_token"] = change(weights["cls_token"])
    torch.save(weights, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=reason):
        load_weights(vit, tmp_path / "weights.pth")


def test_a_refusal_names_a_few_weights_on_one_short_line(vit: VisionTransformer, tmp_path: Path) -> None:
    names = [f"layers.{number}.{'x' * 1000}\n\x1b[31m" for number in range(200)]
    torch.save({name: torch.zeros(2) for name in names}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError) as caught:
        load_weights(vit, tmp_path / "other.pth")
    message = str(caught.value)
    assert len(message) < 1200
    assert message.isprintable()
    assert "and 195 more" in message
    assert f"(200 weights, the model has {len(vit.state_dict())})" in message
