from __future__ import annotations

from pathlib import Path

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight.modules import load_weights


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("nplight.modules.checkpoint.rank_zero_info", lines.append)
    return lines


@pytest.mark.parametrize("wrap", ["model_state_dict", "net", "ema", "state_dict_ema", "teacher", "model.module"])
@pytest.mark.parametrize("prefix", ["backbone.", "net.", "vit.", "encoder.", "_orig_mod.", "module.model."])
def test_wraps_and_prefixes_of_training_programs_are_found_and_said(
    vit: VisionTransformer, weights: dict[str, Tensor], tmp_path: Path, said: list[str], wrap: str, prefix: str
) -> None:
    content: dict[str, object] = {prefix + name: value for name, value in weights.items()}
    for key in reversed(wrap.split(".")):
        content = {key: content, "epoch": 3}
    torch.save(content, tmp_path / "weights.pth")
    load_weights(vit, tmp_path / "weights.pth")
    assert all(torch.equal(value, weights[name]) for name, value in vit.state_dict().items())
    parts = ", ".join(f"`{part}.`" for part in prefix.split(".")[:-1])
    if prefix == "module.model.":
        assert parts == "`module.`, `model.`"
    assert said == [f"Checkpoint {tmp_path}/weights.pth: weights under `{wrap}`, names without {parts}"]


def test_compiled_blocks_are_found_inside_the_names(
    vit: VisionTransformer, weights: dict[str, Tensor], tmp_path: Path, said: list[str]
) -> None:
    compiled = {name.replace("blocks.1.", "blocks.1._orig_mod."): value for name, value in weights.items()}
    torch.save(compiled, tmp_path / "weights.pth")
    load_weights(vit, tmp_path / "weights.pth")
    assert torch.equal(vit.blocks[1].mlp.fc2.weight, weights["blocks.1.mlp.fc2.weight"])
    assert said == [f"Checkpoint {tmp_path}/weights.pth: names without `_orig_mod.`"]


def test_a_model_that_has_such_names_itself_keeps_them(
    vit: VisionTransformer, weights: dict[str, Tensor], tmp_path: Path, said: list[str]
) -> None:
    wrapper = torch.nn.ModuleDict({"model": vit})
    torch.save({f"model.{name}": value for name, value in weights.items()}, tmp_path / "weights.pth")
    load_weights(wrapper, tmp_path / "weights.pth")
    assert torch.equal(vit.cls_token, weights["cls_token"])
    assert not said


def test_of_several_state_dicts_the_plain_one_is_taken_with_a_warning(
    vit: VisionTransformer, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    averaged = {name: value + 1 for name, value in weights.items()}
    torch.save({"ema": averaged, "model": weights, "net": {}}, tmp_path / "weights.pth")
    with pytest.warns(UserWarning, match=r"holds weights under `model` and `ema`; those under `model` are taken"):
        load_weights(vit, tmp_path / "weights.pth")
    assert torch.equal(vit.cls_token, weights["cls_token"])
