"""Check of the checkpoint that a Trainer is to resume from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nplight.errors import CheckpointError

_RESOLVED_BY_LIGHTNING = ("last", "hpc")
_KEYS = ("state_dict", "pytorch-lightning_version")


def check_lightning_checkpoint(ckpt_path: str) -> None:
    """Refuse a `--ckpt_path` with which Lightning would fail during start-up.

    Values that Lightning resolves itself, `last`, `hpc` and addresses of other file systems, are not checked.

    Raises:
        CheckpointError: the file is missing, damaged, would run code, or was not written by Lightning.
    """
    if ckpt_path in _RESOLVED_BY_LIGHTNING or "://" in ckpt_path or ckpt_path.startswith("registry:"):
        return
    try:
        is_file = "\0" not in ckpt_path and Path(ckpt_path).is_file()
    except OSError:
        is_file = False
    if not is_file:
        raise CheckpointError(f"--ckpt_path must be a checkpoint file that exists, got {ckpt_path!r:.200}")
    content: Any
    try:
        content = torch.load(ckpt_path, map_location="meta", weights_only=True)
    except Exception as error:  # damaged files raise many kinds of errors
        raise CheckpointError(
            f"--ckpt_path {ckpt_path} cannot be read as a checkpoint: it is damaged, or would run code when loaded"
        ) from error
    if not isinstance(content, Mapping) or not all(key in content for key in _KEYS):
        raise CheckpointError(
            f"--ckpt_path {ckpt_path} must be a checkpoint that Lightning wrote, with {' and '.join(_KEYS)}; "
            f"give weights alone as --model.init_args.checkpoint"
        )
    if not isinstance(content.get("hyper_parameters", {}), Mapping):
        raise CheckpointError(f"--ckpt_path {ckpt_path} must hold its hyper_parameters as a mapping")
