"""Projects of nplight's own: digits, and a folder of images; and what it means that two runs are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from PIL import Image
from torch.utils.data import Subset

import nplight
from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathSanity, PathSelectivity, PathStability
from nplight.data import DigitsDataModule, ImageFolderDataModule
from nplight.modules import ViTClassifier
from tests.callbacks.foreign_project import OPTIONS, make_trainer

METHODS: list[Any] = [
    "jas",
    {"method": "activation", "objective": "margin"},
    {"name": "jointly", "method": "jas", "granularity": "category"},
]


def model(num_classes: int) -> ViTClassifier:
    torch.manual_seed(0)
    sizes = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}
    classifier = ViTClassifier("vit_tiny_patch16_224", num_classes=num_classes, model_args=sizes)
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return classifier.double()


class Doubled:
    """Images in float64, where no order of summation can choose between two neurons."""

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        return {**batch, "image": batch["image"].double()}


class FewDigits(Doubled, DigitsDataModule):
    def evaluation_data(self) -> Any:
        data, labels = super().evaluation_data()
        return Subset(data, range(60)), labels[:60]


class Folder(Doubled, ImageFolderDataModule):
    pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Categories of 2, 3, 4 and 11 images: no process but one has an image of each."""
    draw = np.random.default_rng(0)
    for name, count in {"ant": 2, "bee": 11, "cat": 3, "dog": 4}.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(count):
            pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    return tmp_path / "images"


def validate(module: LightningModule, data: LightningDataModule, run: Path, devices: int, **options: Any) -> None:
    shared = {} if devices == 1 else {"strategy": "ddp_fork", "devices": devices}
    callbacks = [
        NeuronPathSearch(run_dir=run, methods=METHODS, **OPTIONS),
        PathEvaluation(run_dir=run, fractions=(0.5, 1.0), fill="peak", replicates=20, draws=2),
        PathSelectivity(run_dir=run, replicates=20),
        PathStability(run_dir=run, perturbations=["noise", "jpeg"], images=7, searches=["jas"]),
        PathSanity(run_dir=run, images=7),
    ]
    make_trainer(*callbacks, **shared, **options).validate(module, data, verbose=False)


def assert_same(one: Path, other: Path) -> None:
    first, second = (nplight.read_paths(run) for run in (one, other))
    assert first.searches == second.searches
    for method in first.searches:
        rows, others = first.where(search=method).to_pandas(), second.where(search=method).to_pandas()
        for column in ("index", "file", "label", "target", "prediction"):
            assert rows[column].tolist() == others[column].tolist(), column
        for column in ("neurons", "ranking"):
            assert np.array_equal(np.stack(rows[column]), np.stack(others[column])), column
        for column in ("score", "probability"):
            np.testing.assert_allclose(rows[column], others[column], rtol=1e-9)
        # A difference of two objectives, of which rounding is a share.
        np.testing.assert_allclose(rows["effect"], others["effect"], rtol=1e-9, atol=1e-9)
    assert (one / "category_paths.json").read_bytes() == (other / "category_paths.json").read_bytes()
    for name in ("metrics.json", "selectivity.json", "stability.json", "sanity.json"):
        if not (one / name).exists():
            assert not (other / name).exists()
            continue
        texts = [_flat(json.loads((run / name).read_text())) for run in (one, other)]
        assert texts[0] == pytest.approx(texts[1], rel=1e-6, abs=1e-9), name


def _flat(content: Any, at: str = "") -> dict[str, Any]:
    """Every value of nested mappings and lists under its place; texts count as equal to themselves alone."""
    if isinstance(content, (dict, list)):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        return {place: value for key, part in items for place, value in _flat(part, f"{at}/{key}").items()}
    return {f"{at}={content}": 0.0} if content is None or isinstance(content, str) else {at: float(content)}
