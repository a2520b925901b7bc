"""Draw the neuron path of a digit, as the README shows it, from a finished run.

    python train.py validate --config configs/digits.yaml
    python -m benchmarks.path_picture

Six columns stand for the six layers. The circles of a column are 12 of its 288 neurons; the filled one is the neuron of
the path. Beneath it is the image, of those the model was not trained with, in which the neuron is largest at the class
token. The file names the neurons and the images (the text `Description` of the PNG), which a test compares.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from torch import Tensor, nn

import nplight
from nplight.data import DigitsDataModule
from nplight.modules import ViTClassifier
from nplight.report.theme import COLOURS, NEUTRAL

RUN = Path("runs/digits")
OUTPUT = Path("docs/figures/neuron_path.png")
DIGIT, SEARCH = 3, "joint_integrated_gradients"
_CIRCLES, _COLUMN, _ROW = 12, 1.5, 0.38


class DrivenPath(NamedTuple):
    """The path of a category, and the image that drives each of its neurons most."""

    neurons: list[int]
    images: Tensor
    labels: list[int]

    @property
    def text(self) -> str:
        """What is drawn, in one line."""
        return json.dumps({"digit": DIGIT, "search": SEARCH, "neurons": self.neurons, "labels": self.labels})


def bundled_model() -> nn.Module:
    """The digits model of `configs/digits.yaml`."""
    size = {"img_size": 16, "patch_size": 4, "embed_dim": 48, "depth": 6, "num_heads": 4, "mlp_ratio": 6}
    module = ViTClassifier(
        "vit_tiny_patch16_224", num_classes=10, model_args=size, checkpoint="bundled:digits_width_48"
    )
    return module.model.eval()


def driven(neurons: list[int]) -> DrivenPath:
    """The images in which the neurons are largest at the class token, of those the model was not trained with."""
    loaders = DigitsDataModule(batch_size=1000).val_dataloader()
    batches = [batch for loader in loaders for batch in loader]
    images, labels = (torch.cat([batch[name] for batch in batches]) for name in ("image", "label"))
    model = bundled_model()
    with torch.no_grad(), nplight.record(model) as values:
        model(images)
    best = [int(values[layer][:, 0, neuron].argmax()) for layer, neuron in enumerate(neurons)]
    return DrivenPath(neurons, images[best, 0], labels[best].tolist())


def draw(path: DrivenPath) -> Figure:
    """The figure: layers from left to right, the path's neurons joined by a line, and the digit at its end."""
    depth, top = len(path.neurons), _CIRCLES * _ROW
    figure = Figure(figsize=(1.06 * (depth + 2), 5.0), dpi=140, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-1.75, depth * _COLUMN + 0.9), ylim=(-2.5, top + 0.55), aspect="equal")
    axes.axis("off")
    heights = [_lit(neuron) * _ROW for neuron in path.neurons]
    ends = [(-0.78, top / 2), *((layer * _COLUMN, height) for layer, height in enumerate(heights))]
    for (left, low), (right, high) in zip(ends, [*ends[1:], (depth * _COLUMN - 0.28, top / 2)]):
        last = right == depth * _COLUMN - 0.28
        style = {"arrowstyle": "-|>" if last else "-", "color": COLOURS[0], "lw": 1.6, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (right, high), (left, low), arrowprops={**style, "mutation_scale": 16}, zorder=1)
    for layer, (neuron, label) in enumerate(zip(path.neurons, path.labels)):
        _column(axes, layer, _lit(neuron))
        _beneath(axes, layer, path.images[layer], f"neuron {neuron}", f"a {label}")
    _text(axes, -1.2, top / 2, "image", size=12)
    _text(axes, depth * _COLUMN + 0.3, top / 2, f"digit {DIGIT}", size=13, weight="bold", color=COLOURS[0])
    _text(axes, -1.1, -1.0, "drives\nit most", color=NEUTRAL)
    return figure


def _lit(neuron: int) -> int:
    """The row of a neuron among the circles of its column."""
    return neuron % _CIRCLES


def _column(axes: Axes, layer: int, lit: int) -> None:
    x = layer * _COLUMN
    axes.add_patch(Rectangle((x - 0.3, -0.3), 0.6, _CIRCLES * _ROW + 0.2, facecolor="#f4f4f6", lw=0, zorder=0))
    for row in range(_CIRCLES):
        colour = COLOURS[0] if row == lit else "white"
        edge = COLOURS[0] if row == lit else "#b8bcc4"
        axes.add_patch(Circle((x, row * _ROW), 0.135, facecolor=colour, edgecolor=edge, lw=1, zorder=2))
    _text(axes, x, _CIRCLES * _ROW + 0.15, f"layer {layer}", color=NEUTRAL)


def _beneath(axes: Axes, layer: int, image: Tensor, *lines: str) -> None:
    x = layer * _COLUMN
    axes.imshow(image, cmap="gray", extent=(x - 0.5, x + 0.5, -1.5, -0.5), zorder=2, vmin=-1, vmax=1)
    _text(axes, x, -1.78, lines[0], size=10)
    _text(axes, x, -2.12, lines[1], color=NEUTRAL)


def _text(axes: Axes, x: float, y: float, text: str, size: int = 9, **settings: str) -> None:
    axes.text(x, y, text, ha="center", va="center", fontsize=size, **settings)


def main() -> None:
    """Draw the picture of a run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--run_dir", type=Path, default=RUN)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    stored = json.loads((arguments.run_dir / "category_paths.json").read_text())["methods"][SEARCH]["1"]
    path = driven([layer[0] for layer in stored["neurons"][DIGIT]])
    with matplotlib.rc_context({"font.family": "DejaVu Sans"}):
        draw(path).savefig(arguments.output, metadata={"Description": path.text})


if __name__ == "__main__":
    main()
