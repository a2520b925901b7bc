"""Neuron paths without Lightning: a plain loop over batches finds paths on some digits and tests them on others.

    python examples/plain_loop.py

The runs are the ones that the callbacks drive inside a Trainer, so that the run folder is the same:
`python train.py report runs/plain_loop` makes its page.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import rich
import timm
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional

import nplight
from nplight.data import ImageBatch
from nplight.report.terminal_tables import findings_tables
from nplight.runs import EvaluationRun, EvaluationSettings, RunContext, SearchRun, SearchSettings
from nplight.store import RunFolder


def digits(numbers: range, batch_size: int = 64) -> Iterator[ImageBatch]:
    """Batches of scikit-learn's digits; `index` tells every image from every other."""
    scans = load_digits()
    images, labels = torch.from_numpy(scans.images).float()[:, None] / 8 - 1, torch.from_numpy(scans.target).long()
    for index in torch.arange(numbers.start, numbers.stop).split(batch_size):
        yield ImageBatch(images[index], labels[index], index)


def train(model: torch.nn.Module, epochs: int) -> None:
    """Cross-entropy and AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in digits(range(1400)):
            loss: Tensor = functional.cross_entropy(model(batch.images), batch.labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def main() -> None:
    """Train a small ViT, find its paths, test them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--run_dir", type=Path, default=Path("runs/plain_loop"))
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=8, patch_size=4, in_chans=1, embed_dim=32, depth=3, num_heads=2, num_classes=10
    )
    train(model, arguments.epochs)
    model.eval()

    vit, folder, discover = nplight.open_vit(model), RunFolder(arguments.run_dir), range(1400, 1700)
    context = RunContext(discover_pass=lambda purpose: digits(discover), data={"images": f"{discover}"})
    methods = ["jas", "random", {"name": "jointly", "method": "jas", "granularity": "category"}]
    with SearchRun(vit, folder, SearchSettings.of(methods, kept=(1, 5), steps=4), context) as search:
        for batch in digits(discover):
            search.update(batch)
        search.conclude()
    with EvaluationRun(vit, folder, search, EvaluationSettings(fractions=(1.0,), fill="mean"), context) as evaluation:
        for batch in digits(range(1700, 1797)):
            evaluation.update(batch)
        findings = evaluation.conclude()
    for table in findings_tables(findings, folder.path):
        rich.print(table)


if __name__ == "__main__":
    main()
