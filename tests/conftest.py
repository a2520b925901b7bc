"""Models and reference values that the tests share."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # forked processes hang when the parent has computed with several threads

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

torch.set_num_threads(1)

pytest_plugins = ["tests.finished_run"]

WORKERS = 2  # processes that share the whole suite
REFERENCE = Path(__file__).parent / "data" / "reference"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the whole suite on `WORKERS` processes, unless `-n` or `--pdb` is given; chosen files run in this process."""
    options = config.option
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not hasattr(config, "workerinput")
    if whole and getattr(options, "numprocesses", 0) is None and not options.usepdb:
        options.numprocesses = WORKERS
        if options.dist == "no":
            options.dist = "worksteal"


@dataclass(frozen=True)
class Reference:
    """What the paper's published program computes, in float64, for a small ViT on 80 digits."""

    model: VisionTransformer
    expected: dict[str, Tensor]

    @property
    def images(self) -> Tensor:
        return self.expected["images"].double()

    @property
    def labels(self) -> Tensor:
        return self.expected["labels"].long()

    @property
    def neurons(self) -> Tensor:
        """(80, layers, 1)."""
        return self.expected["jas_neurons"].long().unsqueeze(-1)


@pytest.fixture
def reference() -> Reference:
    """A model that classifies from its class token."""
    return read_reference("class_token")


@pytest.fixture
def pooled_reference() -> Reference:
    """A model that averages its patch tokens."""
    return read_reference("patch_mean")


def read_reference(name: str) -> Reference:
    folder = REFERENCE / name
    arguments = json.loads((folder / "model.json").read_text())["timm_vision_transformer"]
    model = VisionTransformer(**arguments)
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    return Reference(model.double(), load_file(folder / "expected.safetensors"))


def make_vit(cls: type[VisionTransformer] = VisionTransformer, **arguments: object) -> VisionTransformer:
    """A tiny random ViT in float64, evaluation mode, whose FFNs matter."""
    torch.manual_seed(0)
    settings = {"img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 3, "num_heads": 2, "num_classes": 5}
    model = cls(**{**settings, **arguments}).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


@pytest.fixture
def vit() -> VisionTransformer:
    return make_vit()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def targets() -> Tensor:
    return torch.tensor([0, 3, 4, 3])


@pytest.fixture(scope="module")
def quick_planes() -> Iterator[None]:
    """t-SNE in a quarter of its iterations: with all of them it takes half of the time of a small run with a report."""
    from sklearn.manifold import TSNE

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn.manifold.TSNE", partial(TSNE, max_iter=250))
        yield


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quick_planes: None) -> Iterator[None]:
    """For `nplight.cli.main` in this process: in an empty folder, and what it does to Lightning's logger undone."""
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.chdir(tmp_path)
    yield
    logging.getLogger("lightning.pytorch").setLevel(logging.INFO)
