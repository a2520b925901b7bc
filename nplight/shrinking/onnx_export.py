"""A model as an ONNX file, compared with the model."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nplight.errors import ArgumentError
from nplight.store import write_whole
from nplight.vit import OpenViT, open_vit, undisturbed

TOLERANCE = 1e-5
"""Largest difference of logits, relative to the largest logit, at which a file is written."""


def export_onnx(model: nn.Module | OpenViT, path: str | Path, images: Tensor) -> float:
    """Write a model as ONNX for any number of images, once onnxruntime computes the same logits from it.

    Args:
        model: a supported model in float32 whose forward returns logits, in any mode; exported for evaluation.
        path: of the file.
        images: (2 or more, channels, height, width), with which the file is tried.

    Returns:
        The largest difference of logits, relative to the largest logit.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: `nplight[onnx]` is not installed, there are fewer than two images, or the logits differ by more
            than `TOLERANCE`.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (torch's exporter needs it)
    except ImportError as error:
        raise ArgumentError(f"ONNX files need nplight[onnx], which is not installed: {error}") from error
    vit = open_vit(model)
    vit.check_images(images)
    if len(images) < 2:
        raise ArgumentError(f"`images` must be at least 2, so that their number stays open, got {len(images)}")
    with undisturbed(vit.model), torch.no_grad():
        expected = vit.model(images)
        expected = getattr(expected, "logits", expected)
        content = onnx_bytes(vit.model, images)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    logits = session.run(None, {session.get_inputs()[0].name: images.cpu().numpy()})[0]
    scale = expected.abs().amax()
    difference = float((torch.from_numpy(logits).to(expected) - expected).abs().amax() / scale)
    if not difference <= TOLERANCE:
        raise ArgumentError(
            f"`model` must compute in onnxruntime what it computes here, but its logits differ by {difference:.1e} of "
            f"the largest, more than {TOLERANCE:g}; export it in float32"
        )
    write_whole(Path(path), lambda file: file.write_bytes(content))
    return difference


def onnx_bytes(model: nn.Module, images: Tensor) -> bytes:
    """The ONNX file of a model in evaluation mode, for any number of images."""
    open_number = ({0: torch.export.Dim("images")},)
    program = torch.onnx.export(model, (images,), dynamo=True, dynamic_shapes=open_number, verbose=False)
    if program is None:
        raise ArgumentError(f"`model` could not be exported as ONNX, got a {type(model).__name__}")
    content: bytes = program.model_proto.SerializeToString()
    return content
