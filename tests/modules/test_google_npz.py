from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from nplight.errors import CheckpointError
from nplight.modules import load_weights
from tests.conftest import make_vit

Arrays = dict[str, np.ndarray]


def google_layout(model: VisionTransformer) -> Arrays:
    """The weights of a timm model under the names, and in the axes, of Google's files."""
    state = {name: value.float().numpy() for name, value in model.state_dict().items()}
    heads = model.blocks[0].attn.num_heads
    width = state["norm.weight"].shape[0]
    arrays = {
        "embedding/kernel": state["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "cls": state["cls_token"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "head/kernel": state["head.weight"].T,
        "head/bias": state["head.bias"],
    }
    for number in range(len(model.blocks)):
        block, own = f"Transformer/encoderblock_{number}", f"blocks.{number}"
        for norm, name in (("LayerNorm_0", "norm1"), ("LayerNorm_2", "norm2")):
            arrays[f"{block}/{norm}/scale"] = state[f"{own}.{name}.weight"]
            arrays[f"{block}/{norm}/bias"] = state[f"{own}.{name}.bias"]
        for dense, name in (("Dense_0", "fc1"), ("Dense_1", "fc2")):
            arrays[f"{block}/MlpBlock_3/{dense}/kernel"] = state[f"{own}.mlp.{name}.weight"].T
            arrays[f"{block}/MlpBlock_3/{dense}/bias"] = state[f"{own}.mlp.{name}.bias"]
        attention = f"{block}/MultiHeadDotProductAttention_1"
        for part, name in enumerate(("query", "key", "value")):
            rows = slice(part * width, (part + 1) * width)
            arrays[f"{attention}/{name}/kernel"] = state[f"{own}.attn.qkv.weight"][rows].T.reshape(width, heads, -1)
            arrays[f"{attention}/{name}/bias"] = state[f"{own}.attn.qkv.bias"][rows].reshape(heads, -1)
        arrays[f"{attention}/out/kernel"] = state[f"{own}.attn.proj.weight"].T.reshape(heads, -1, width)
        arrays[f"{attention}/out/bias"] = state[f"{own}.attn.proj.bias"]
    return arrays


@pytest.fixture
def source() -> VisionTransformer:
    return make_vit(num_classes=5).float()


def fresh(**arguments: object) -> VisionTransformer:
    """A model of the same architecture with other weights, the size of its images aside."""
    settings = {"img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 5}
    torch.manual_seed(7)
    return VisionTransformer(**{**settings, **arguments}).eval()


def save(arrays: Arrays, folder: Path) -> Path:
    np.savez(folder / "weights.npz", **arrays)
    return folder / "weights.npz"


def test_the_logits_are_those_of_the_weights_the_file_was_made_from(
    source: VisionTransformer, images: Tensor, tmp_path: Path
) -> None:
    model = fresh()
    assert not torch.allclose(model(images.float()), source(images.float()))
    load_weights(model, save(google_layout(source), tmp_path))
    torch.testing.assert_close(model(images.float()), source(images.float()))


def test_position_embeddings_are_resized_to_another_image_size(source: VisionTransformer, tmp_path: Path) -> None:
    model = fresh(img_size=16)
    load_weights(model, save(google_layout(source), tmp_path))
    old, new = source.pos_embed[0], model.pos_embed[0]
    assert new.shape == (17, 16)
    torch.testing.assert_close(new[0], old[0])
    # The corners of a 2 x 2 grid lie nearest the corners of the 4 x 4 grid made from it.
    corners = new[1:].reshape(4, 4, 16)[[0, 0, 3, 3], [0, 3, 0, 3]]
    assert torch.cdist(corners, old[1:]).argmin(1).tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(model.head.weight, source.head.weight)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"num_classes": 7}, r"head/kernel \(16, 5\) for \(16, 7\)"),
        ({"patch_size": 2}, r"embedding/kernel \(4, 4, 3, 16\) for \(2, 2, 3, 16\)"),
        ({"embed_dim": 32}, r"cls \(1, 1, 16\) for \(1, 1, 32\)"),
        ({"num_heads": 4}, r"query/kernel \(16, 2, 8\) for \(16, 4, 4\)"),
        ({"depth": 4}, r"missing Transformer/encoderblock_3/MlpBlock_3/Dense_0/kernel, "),
        ({"depth": 2}, r"unexpected Transformer/encoderblock_2/LayerNorm_0/scale, "),
    ],
)
def test_weights_of_another_model_are_named_and_none_is_loaded(
    source: VisionTransformer, tmp_path: Path, arguments: dict[str, object], reason: str
) -> None:
    model = fresh(**arguments)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=rf"does not fit the model: .*{reason}"):
        load_weights(model, save(google_layout(source), tmp_path))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_damaged_missing_and_hostile_files_are_refused(source: VisionTransformer, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"must be a file that exists, got .*nowhere\.npz"):
        load_weights(fresh(), tmp_path / "nowhere.npz")
    path = save(google_layout(source), tmp_path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="cannot be read as arrays"):
        load_weights(fresh(), path)
    np.savez(path, cls=np.array([print], dtype=object))
    with pytest.raises(CheckpointError, match="cannot be read as arrays"):
        load_weights(fresh(), path)
    with pytest.raises(CheckpointError, match="fits timm VisionTransformers with a class token, not a Linear"):
        load_weights(torch.nn.Linear(2, 2), path)


def test_a_checkpoint_as_mae_writes_it_gives_the_same_logits(images: Tensor, tmp_path: Path) -> None:
    source = make_vit(global_pool="avg").float()
    assert "fc_norm.weight" in source.state_dict()
    torch.save({"model": source.state_dict(), "epoch": 99}, tmp_path / "mae_finetuned.pth")
    model = fresh(global_pool="avg")
    load_weights(model, tmp_path / "mae_finetuned.pth")
    torch.testing.assert_close(model(images.float()), source(images.float()), rtol=0, atol=0)


def npy_head(shape: tuple[int, ...], kind: str = "<f4") -> bytes:
    """The beginning of an array file that claims a shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue()


def bomb(arrays: Arrays, member: str, content: bytes, folder: Path) -> Path:
    """The arrays as a compressed `.npz`, one of them replaced by what unpacks to 16 MB of zeros."""
    path = folder / "weights.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                if name == member:
                    file.write(content + bytes(16 << 20))
                else:
                    np.save(file, value)
    return path


@pytest.mark.parametrize(
    ("member", "content", "reason"),
    [
        ("cls", npy_head((1, 1, 4 << 20)), r"cls \(1, 1, 4194304\) for \(1, 1, 16\)"),
        (
            "Transformer/posembed_input/pos_embedding",
            npy_head((1, 1 << 20, 16)),
            r"pos_embedding must have shape \(1, positions, 16\).*got \(1, 1048576, 16\)",
        ),
        ("cls", b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "cannot be read as arrays"),
    ],
)
def test_a_file_that_expands_is_refused_before_it_is_unpacked(
    source: VisionTransformer, tmp_path: Path, member: str, content: bytes, reason: str
) -> None:
    path = bomb(google_layout(source), member, content, tmp_path)
    assert path.stat().st_size < 1 << 20
    model = fresh()
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=reason):
            load_weights(model, path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(1, 5, 1), (1, 6, 16), (5, 16), (2, 5, 16)])
def test_position_embeddings_that_cannot_be_resized_are_refused(
    source: VisionTransformer, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    arrays = google_layout(source)
    arrays["Transformer/posembed_input/pos_embedding"] = np.zeros(shape, dtype=np.float32)
    with pytest.raises(CheckpointError, match=r"pos_embedding must have shape \(1, positions, 16\)"):
        load_weights(fresh(), save(arrays, tmp_path))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(source: VisionTransformer, tmp_path: Path, value: float) -> None:
    arrays = google_layout(source)
    arrays["head/bias"] = np.full(5, value, dtype=np.float32)
    with pytest.raises(CheckpointError, match=r"NaN or infinite values are in head/bias"):
        load_weights(fresh(), save(arrays, tmp_path))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"init_values": 0.5}, r"blocks\.0\.ls1\.gamma"),
        ({"global_pool": "avg"}, r"fc_norm\.bias, fc_norm\.weight, norm\.bias"),
        ({"qkv_bias": False}, r"blocks\.0\.attn\.qkv\.bias"),
    ],
)
def test_a_model_with_weights_that_the_layout_has_no_place_for_is_refused(
    source: VisionTransformer, tmp_path: Path, arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=rf"which fits plain ViTs, .*{reason}"):
        load_weights(fresh(**arguments), save(google_layout(source), tmp_path))
