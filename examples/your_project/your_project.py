"""A LightningCLI project with a module and data of its own; nplight's callbacks come from its configuration alone.

cd examples/your_project
python your_project.py fit --config config.yaml         # trains; keeps the checkpoint in runs/
python your_project.py validate --config config.yaml --ckpt_path runs/last.ckpt
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningCLI
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import VisionTransformer

from nplight.data import EachOnceSampler


class Views(NamedTuple):
    """A batch in a shape of the project's own."""

    crops: tuple[Tensor, Tensor]
    target: dict[str, Tensor]


def centre_crops(batch: Views) -> dict[str, Tensor]:
    """What the callbacks shall see of a batch: named in config.yaml as `read_batch`."""
    return {"image": batch.crops[0], "label": batch.target["digit"], "index": batch.target["number"]}


class TwoViews(LightningModule):
    """Reads a digit from two crops.

    Args:
        width: features of a token.
        learning_rate: of AdamW.
    """

    def __init__(self, width: int = 32, learning_rate: float = 3e-3) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.encoder = VisionTransformer(
            image_size=8, patch_size=4, num_layers=3, num_heads=2, hidden_dim=width, mlp_dim=4 * width, num_classes=10
        )

    def training_step(self, batch: Views, batch_idx: int) -> Tensor:
        """Cross-entropy of both crops."""
        losses = [functional.cross_entropy(self.encoder(crop), batch.target["digit"]) for crop in batch.crops]
        return torch.stack(losses).mean()

    def validation_step(self, batch: Views, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Accuracy on the first crop."""
        correct = (self.encoder(batch.crops[0]).argmax(1) == batch.target["digit"]).float()
        self.log("accuracy", correct.mean(), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.learning_rate)


class DigitCrops(LightningDataModule):
    """scikit-learn's digits, each as it is and shifted.

    Args:
        batch_size: digits a batch.
    """

    def __init__(self, batch_size: int = 64) -> None:
        super().__init__()
        self.batch_size = batch_size
        scans = load_digits()
        images = torch.from_numpy(scans.images).float().unsqueeze(1).expand(-1, 3, -1, -1) / 8 - 1
        labels = torch.from_numpy(scans.target).long()
        self.data = TensorDataset(images, images.roll(1, dims=3), labels, torch.arange(len(labels)))

    def train_dataloader(self) -> DataLoader[Any]:
        """The first 1,400."""
        return self._loader(range(1400), shuffle=True)

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """Images to find paths with, and others to test them with."""
        parts = [range(1400, 1700), range(1700, 1797)]
        return [self._loader(part, sampler=EachOnceSampler(part)) for part in parts]

    def _loader(self, numbers: range, **options: Any) -> DataLoader[Any]:
        part = torch.utils.data.Subset(self.data, numbers)
        return DataLoader(part, self.batch_size, collate_fn=_collate, **options)


def _collate(samples: list[tuple[Tensor, ...]]) -> Views:
    centre, shifted, labels, numbers = map(torch.stack, zip(*samples))
    return Views((centre, shifted), {"digit": labels, "number": numbers})


def main(args: list[str] | None = None) -> None:
    """The command line."""
    LightningCLI(TwoViews, DigitCrops, save_config_callback=None, args=args)


if __name__ == "__main__":
    main()
