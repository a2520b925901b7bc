"""A smaller model elsewhere: torch.export, ONNX."""

from __future__ import annotations

import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import nn

from nplight import shrink
from nplight.errors import ArgumentError
from nplight.shrinking import export_onnx
from tests.conftest import make_vit
from tests.shrinking.test_shrink import logits_of, some_neurons

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def small(**arguments: object) -> nn.Module:
    model = make_vit(depth=2, **arguments).float()
    return shrink(model, some_neurons(model))


def test_onnxruntime_computes_the_same_and_nothing_else_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = small().train(), tmp_path / "model.onnx"
    difference = export_onnx(model, path, IMAGES[:2])
    assert model.training
    assert difference <= 1e-5
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 3, 4):
        (logits,) = session.run(None, {session.get_inputs()[0].name: IMAGES[:count].numpy()})
        expected = logits_of(model.eval(), IMAGES[:count])
        torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    content = path.read_bytes()
    monkeypatch.setattr("nplight.shrinking.onnx_export.onnx_bytes", lambda model, images: content)
    other = small()
    with torch.no_grad():
        next(other.parameters()).mul_(1.001)
    with pytest.raises(ArgumentError, match="must compute in onnxruntime what it computes here"):
        export_onnx(other, tmp_path / "other.onnx", IMAGES)
    assert list(tmp_path.iterdir()) == [path]


def test_torch_export_takes_it() -> None:
    model = small(scale_mlp_norm=True)
    program = torch.export.export(model, (IMAGES,))
    torch.testing.assert_close(program.module()(IMAGES), logits_of(model, IMAGES))


def test_what_cannot_be_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="at least 2, so that their number stays open, got 1"):
        export_onnx(small(), tmp_path / "model.onnx", IMAGES[:1])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ArgumentError, match=r"need nplight\[onnx\]"):
        export_onnx(small(), tmp_path / "model.onnx", IMAGES)
    assert list(tmp_path.iterdir()) == []
