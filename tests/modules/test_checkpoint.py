from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight.errors import CheckpointError
from nplight.modules import ViTClassifier, load_weights
from tests.conftest import make_vit


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".ckpt"])
@pytest.mark.parametrize("nested", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "model.", "module.", "model.module."])
def test_every_format_gives_the_same_weights(
    vit: VisionTransformer, weights: dict[str, Tensor], tmp_path: Path, suffix: str, nested: str | None, prefix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    named = {prefix + name: value for name, value in weights.items()}
    if suffix == ".safetensors":
        safetensors.torch.save_file(named, path)
    else:
        torch.save(named if nested is None else {nested: named, "epoch": 3}, path)
    load_weights(vit, path)
    assert all(torch.equal(value, weights[name]) for name, value in vit.state_dict().items())


def test_bundled_weights_fit_their_model() -> None:
    arguments = {"img_size": 16, "patch_size": 4, "embed_dim": 64, "depth": 6, "num_heads": 4}
    ViTClassifier("vit_tiny_patch16_224", num_classes=10, model_args=arguments, checkpoint="bundled:digits")
    choices = "bundled:digits, bundled:digits_width_48"
    with pytest.raises(CheckpointError, match=f"must be a file or one of {choices}, got bundled:letters"):
        load_weights(make_vit(), "bundled:letters")


def test_weights_of_another_model_are_all_named_and_none_is_loaded(
    vit: VisionTransformer, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in vit.state_dict().items()}
    del weights["cls_token"], weights["norm.bias"]
    weights["head.weight"] = torch.zeros(7, 16)
    weights["extra"] = torch.zeros(1)
    torch.save(weights, tmp_path / "other.pth")
    with pytest.raises(
        CheckpointError,
        match=r"missing cls_token, norm\.bias; unexpected extra; of another shape head\.weight \(7, 16\) for \(5, 16\)",
    ):
        load_weights(vit, tmp_path / "other.pth")
    assert all(torch.equal(value, before[name]) for name, value in vit.state_dict().items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".ckpt"])
def test_a_missing_or_cut_off_file_is_refused(
    vit: VisionTransformer, weights: dict[str, Tensor], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    with pytest.raises(CheckpointError, match=r"`checkpoint` must be a file that exists, got .*weights"):
        load_weights(vit, path)
    if suffix == ".safetensors":
        safetensors.torch.save_file(weights, path)
    else:
        torch.save(weights, path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"cannot be read as weights \(it may be cut off"):
        load_weights(vit, path)


class _Hostile:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.target,))


def test_a_checkpoint_that_would_run_code_is_refused(vit: VisionTransformer, tmp_path: Path) -> None:
    target = tmp_path / "was here"
    path = tmp_path / "hostile.pth"
    torch.save({"state_dict": _Hostile(target)}, path)
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        load_weights(vit, path)
    path.write_bytes(pickle.dumps(_Hostile(target)))
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        load_weights(vit, path)
    assert not target.exists()


def test_a_file_without_weights_is_refused(vit: VisionTransformer, tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(
        CheckpointError, match=r"holds no state dict, neither alone nor under state_dict, model.*; it has epoch"
    ):
        load_weights(vit, tmp_path / "empty.pth")
    itself: dict[str, object] = {}
    itself["model"] = itself
    torch.save(itself, tmp_path / "endless.pth")
    with pytest.raises(CheckpointError, match=r"holds no state dict"):
        load_weights(vit, tmp_path / "endless.pth")


@pytest.mark.parametrize("content", ["a class in an archive", "a pickle"])
def test_the_refusal_of_a_pickle_does_not_advise_to_load_it_unsafely(
    vit: VisionTransformer, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "hostile.pth"
    if content == "a pickle":
        path.write_bytes(pickle.dumps(_Hostile(tmp_path / "never")))
    else:
        torch.save({"model": {}, "args": Path("x")}, path)
    with pytest.raises(CheckpointError, match=r"save the weights alone, with torch\.save") as caught:
        load_weights(vit, path)
    assert not re.search(r"weights_only|safe_globals|trust|PyTorch 2\.6", str(caught.value))
    assert "\n" not in str(caught.value)


def test_an_archive_that_expands_is_refused_before_it_is_unpacked(vit: VisionTransformer, tmp_path: Path) -> None:
    torch.save({"bomb": torch.zeros(1 << 20)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry.filename))
    assert (tmp_path / "bomb.pth").stat().st_size < 1 << 16
    with pytest.raises(CheckpointError, match="it is compressed, which PyTorch's own files never are"):
        load_weights(vit, tmp_path / "bomb.pth")
