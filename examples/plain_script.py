"""Neuron paths in a Lightning script of your own: fine-tune a small ViT and watch its paths move, epoch by epoch.

    python examples/plain_script.py                # one process
    python examples/plain_script.py --devices 2    # two, each image searched and counted once

Nothing here is nplight's but the two callbacks and the sampler.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from sklearn.datasets import load_digits
from timm import create_model
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, StackDataset

from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.data import EachOnceSampler


class DigitReader(LightningModule):
    """A module as many projects have it: a ViT somewhere inside, batches as mappings."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = create_model(
            "vit_tiny_patch16_224", img_size=8, patch_size=4, in_chans=1, embed_dim=32, depth=3, num_heads=2,
            num_classes=10,
        )  # fmt: skip

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(self.backbone(batch["pixel_values"]), batch["labels"])

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Accuracy."""
        correct = (self.backbone(batch["pixel_values"]).argmax(1) == batch["labels"]).float()
        self.log("accuracy", correct.mean(), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def digits(numbers: range) -> StackDataset:
    """Some of scikit-learn's digits; `index` tells every image from every other."""
    scans = load_digits()
    images = torch.from_numpy(scans.images).float().unsqueeze(1) / 8 - 1
    return StackDataset(
        pixel_values=images[numbers.start : numbers.stop],
        labels=torch.from_numpy(scans.target).long()[numbers.start : numbers.stop],
        index=torch.arange(numbers.start, numbers.stop),
    )


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--run_dir", type=Path, default=Path("runs/plain_script"))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--devices", type=int, default=1)
    arguments = parser.parse_args()
    seed_everything(0)

    discover, held_out = digits(range(1400, 1700)), digits(range(1700, 1797))
    loaders = [DataLoader(data, batch_size=32, sampler=EachOnceSampler(data)) for data in (discover, held_out)]
    trainer = Trainer(
        accelerator="cpu",
        devices=arguments.devices,
        max_epochs=arguments.epochs,
        logger=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        callbacks=[
            NeuronPathSearch(
                run_dir=arguments.run_dir, steps=4, kept=[1, 5], every_n_epochs=max(1, arguments.epochs // 2)
            ),
            PathEvaluation(run_dir=arguments.run_dir, fractions=[1.0]),
        ],
    )
    trainer.fit(DigitReader(), DataLoader(digits(range(1400)), batch_size=64, shuffle=True), loaders)


if __name__ == "__main__":
    main()
