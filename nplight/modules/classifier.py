"""A Vision Transformer as a LightningModule."""

from __future__ import annotations

import difflib
from typing import Any

import timm
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from timm.optim import create_optimizer_v2
from torch import Tensor
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torchmetrics.classification import MulticlassAccuracy

from nplight.data.batch import ImageBatch, read_batch
from nplight.errors import ArgumentError, UnsupportedModelError, listed
from nplight.modules.checkpoint import load_weights
from nplight.modules.weight_checks import check_values, short
from nplight.pruning import TokenMerging
from nplight.vit import open_vit


class ViTClassifier(LightningModule):
    """A timm model that classifies images, for training and evaluation.

    It is trained with AdamW (no weight decay on biases and norms), a warm-up and a cosine decay to zero.

    Args:
        model_name: a timm name, e.g. `vit_base_patch16_224`.
        num_classes: number of categories of the head.
        model_args: further arguments of the timm model, such as `img_size` or `depth`.
        pretrained: whether to start from timm's weights (downloaded).
        checkpoint: initial weights (`.safetensors`, `.pth`, `.ckpt`, Google's `.npz`), or `bundled:NAME`; see
            `load_weights`.
        learning_rate: maximum, reached after the warm-up.
        weight_decay: of AdamW.
        warmup: fraction of all steps in the warm-up.
        merge_tokens: patch tokens that are merged away before the first block, in training and evaluation
            (`nplight.pruning.TokenMerging`).
        compile_blocks: whether to compile the model's blocks (`torch.compile`), which takes a minute once; searches and
            the steps of this module then run compiled.

    Attributes:
        model: the timm model.
        head_is_new: whether the head is random because timm's weights are for other categories.

    Raises:
        ArgumentError: timm has no such model or cannot build it, or `open_vit` cannot open it.
        CheckpointError: the checkpoint does not fit, or holds NaN; also for checkpoints loaded by a Trainer.

    Examples:
        >>> from nplight.modules import ViTClassifier
        >>> size = {"img_size": 16, "patch_size": 4, "embed_dim": 48, "depth": 6, "num_heads": 4, "mlp_ratio": 6}
        >>> name = "vit_tiny_patch16_224"
        >>> digits = ViTClassifier(name, num_classes=10, model_args=size, checkpoint="bundled:digits_width_48")
        >>> digits.model.num_classes
        10
    """

    def __init__(
        self,
        model_name: str,
        *,
        num_classes: int,
        model_args: dict[str, Any] | None = None,
        pretrained: bool = False,
        checkpoint: str | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.05,
        warmup: float = 0.1,
        merge_tokens: int = 0,
        compile_blocks: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(model_name, str):
            raise ArgumentError(f"`model_name` must be the name of a timm model, got {model_name!r}")
        if not timm.is_model(model_name):
            similar = difflib.get_close_matches(model_name, timm.list_models(), n=5)
            raise ArgumentError(
                f"`model_name` must be a timm model, got {model_name!r}; similar names: {listed(similar) or 'none'}"
            )
        if pretrained and checkpoint:
            raise ArgumentError("`pretrained` and `checkpoint` exclude each other; give one of them")
        self.save_hyperparameters()
        try:
            self.model = timm.create_model(
                model_name, pretrained=pretrained, num_classes=num_classes, **(model_args or {})
            )
        except Exception as error:  # timm raises many kinds of errors for its arguments
            reason = short(str(error) or type(error).__name__, 500)
            what = "`model_args` do not fit, or `pretrained` weights cannot be had for," if pretrained else None
            raise ArgumentError(f"{what or '`model_args` do not fit'} {model_name}: {reason}") from error
        try:
            vit = open_vit(self.model)
        except UnsupportedModelError as error:
            raise ArgumentError(
                f"`model_name` must be a Vision Transformer that nplight opens, got {model_name!r}: {error}"
            ) from error
        published = getattr(self.model, "pretrained_cfg", {}).get("num_classes")
        self.head_is_new = pretrained and published != num_classes
        if checkpoint:
            load_weights(self.model, checkpoint)
        if merge_tokens:
            TokenMerging(self.model, merge_tokens)
        if compile_blocks:
            for block in vit.blocks():
                block.compile()
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.accuracy = MulticlassAccuracy(num_classes, average="micro")

    def forward(self, images: Tensor) -> Tensor:
        """Images (images, channels, height, width) -> logits (images, categories)."""
        logits: Tensor = self.model(images)
        return logits

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        check_values("`ckpt_path`", checkpoint.get("state_dict", {}))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        images = read_batch(batch)
        loss = functional.cross_entropy(self(images.images), _labels(images))
        self.log("train/loss", loss, prog_bar=True, batch_size=len(images))
        return loss

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._count(batch)

    def on_validation_epoch_end(self) -> None:
        self._report("val/accuracy")

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._count(batch)

    def on_test_epoch_end(self) -> None:
        self._report("test/accuracy")

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Probabilities (images, categories)."""
        probabilities: Tensor = self(read_batch(batch).images).softmax(-1)
        return probabilities

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = create_optimizer_v2(self.model, opt="adamw", lr=self.learning_rate, weight_decay=self.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        warm = max(1, round(self.warmup * steps))
        rise = LinearLR(optimizer, start_factor=1 / (warm + 1), total_iters=warm)
        fall = CosineAnnealingLR(optimizer, T_max=max(1, steps - warm))
        schedule = SequentialLR(optimizer, [rise, fall], milestones=[warm])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _count(self, batch: Any) -> None:
        images = read_batch(batch)
        self.accuracy.update(self(images.images), _labels(images))

    def _report(self, name: str) -> None:
        # Over the images of all loaders.
        self.log(name, self.accuracy, prog_bar=True)


def _labels(batch: ImageBatch) -> Tensor:
    if batch.labels is None:
        raise ArgumentError("the batch must have labels to train or evaluate with, got images alone")
    return batch.labels.to(torch.int64)
