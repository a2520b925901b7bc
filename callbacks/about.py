"""What a report says of a run that its other files do not."""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from nplight.vit import OpenViT

_LIBRARIES = ("nplight", "torch", "lightning", "timm", "torchmetrics")


def about_run(trainer: Trainer, vit: OpenViT, seconds: float) -> dict[str, Any]:
    """The model, the data's names, the machine and the versions, as plain values for `run.json`.

    Args:
        trainer: whose run it is.
        vit: the opened model.
        seconds: since the run began.
    """
    data = getattr(trainer, "datamodule", None)
    architecture = (getattr(vit.transformer, "pretrained_cfg", None) or {}).get("architecture")
    tokens = vit.path_tokens
    return {
        "names": list(map(str, getattr(data, "class_names", None) or range(vit.num_classes))),
        "model": " ".join(filter(None, [type(vit.transformer).__name__, architecture])),
        "parameters": sum(parameter.numel() for parameter in vit.searched.parameters()),
        "widths": list(vit.widths),
        "path_tokens": "the class token" if (tokens.start or 0, tokens.stop) == (0, 1) else "all pooled tokens",
        "command": shlex.join(["python", *sys.argv]) if Path(sys.argv[0]).name == "train.py" else None,
        "device": str(trainer.strategy.root_device.type),
        "processes": trainer.world_size,
        "seconds": round(seconds, 1),
        "versions": {name: version(name) for name in _LIBRARIES},
    }
