"""Keep a trained model as safetensors."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info

from nplight.callbacks.run_folders import run_folder
from nplight.callbacks.vit_callback import ViTCallback
from nplight.processes import on_first_process
from nplight.shrinking import model_bytes
from nplight.store import write_whole


class WeightsExport(ViTCallback):
    """Writes the Vision Transformer's weights to `model.safetensors` in the run folder when `fit` ends.

    Args:
        run_dir: where; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the other callbacks,
            else the only one there is.

    Examples:
        >>> from lightning.pytorch import Trainer
        >>> from nplight.callbacks import WeightsExport
        >>> trainer = Trainer(accelerator="cpu", logger=False, callbacks=[WeightsExport(run_dir="runs/mine")])
    """

    def __init__(self, *, run_dir: str | Path | None = None, vit: str | None = None) -> None:
        self.run_dir = run_dir
        self.vit = vit

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse before the training what could not be exported after it."""
        self.refuse_double(trainer)
        self.open_vit(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write them."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        content = model_bytes(self.open_vit(trainer, pl_module), {"epochs": str(trainer.current_epoch)})
        path = run_folder(trainer, self.run_dir).path / "model.safetensors"
        on_first_process(lambda: write_whole(path, lambda file: file.write_bytes(content)))
        rank_zero_info(f"Weights: {path}")
