"""The rows of metrics.json by hooks of the tests' own and numpy, without the edits of nplight."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.integrate import trapezoid
from torch import Tensor, nn

import nplight

VALUES = ("log_probability", "logit", "margin")
NAMES = (
    *("accuracy", "probability", "probability_deviation", "accuracy_deviation"),
    *VALUES,
    *(f"{name}_deviation" for name in VALUES),
)
"""The columns of the recomputed values."""

Change = Callable[[int, Tensor], Tensor]


def predicted(model: Any, images: Tensor, changes: list[Change], tokens: slice) -> np.ndarray:
    """Logits of images, each with its own change of (layer, its neurons at the tokens, (tokens, width))."""

    def hook(layer: int) -> Callable[[nn.Module, tuple[Tensor]], tuple[Tensor]]:
        def edit(_: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
            neurons = arguments[0].clone()
            for number, change in enumerate(changes):
                neurons[number, tokens] = change(layer, neurons[number, tokens])
            return (neurons,)

        return edit

    handles = [block.mlp.fc2.register_forward_pre_hook(hook(layer)) for layer, block in enumerate(model.blocks)]
    try:
        with torch.no_grad():
            logits: np.ndarray = model.eval()(images).double().numpy()
            return logits
    finally:
        for handle in handles:
            handle.remove()


def of_labels(logits: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Of each image: whether the label is told, its probability, log-probability, logit and margin."""
    rows = np.arange(len(labels))
    of_label = logits[rows, labels]
    log_probability = of_label - np.log(np.exp(logits - logits.max(1)[:, None]).sum(1)) - logits.max(1)
    margin = of_label - [np.delete(row, label).max() for row, label in zip(logits, labels)]
    right = 1.0 * (logits.argmax(1) == labels)
    return [right, np.exp(log_probability), log_probability, of_label, margin]


def normalised(rows: list[dict[str, Any]], method: str, measure: str, tokens: str, width: int) -> dict[str, Any]:
    """The curve of normalised faithfulness from the rows of metrics.json."""
    whole = [row for row in rows if row["tokens"] == tokens and row["layers"] is None and row["scale"] is None]
    (none,) = (row[measure] for row in whole if row["condition"] == "none")
    (clean,) = (row[measure] for row in rows if row["condition"] == "clean")
    kept = {
        row["kept"]: row[measure]
        for row in whole
        if row["method"] == method and row["condition"] == "kept" and row["pruned"] == 1
    }
    sizes = [0, *sorted(kept), width]
    curve = (np.array([none, *(kept[size] for size in sorted(kept)), clean]) - none) / (clean - none)
    places = np.log1p(sizes)
    areas = [trapezoid(values, places) / places[-1] for values in (curve, np.abs(1 - curve))]
    return {"sizes": sizes, "values": curve.tolist(), "cpr": areas[0], "cmd": areas[1]}


def generator(*numbers: int) -> torch.Generator:
    digest = hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


def random_path(widths: list[int], size: int, *numbers: int) -> list[list[int]]:
    """Per layer the neurons with the smallest of the numbers drawn for them."""
    drawn = torch.rand(1, sum(widths), generator=generator(*numbers))[0].split(widths)
    return [layer.argsort(stable=True)[:size].tolist() for layer in drawn]


def change_of(row: Mapping[str, Any], path: list[list[int]], priority: list[np.ndarray]) -> Change:
    """What a row's condition does to the neurons of a layer."""
    factors = {"removed": 0.0, "enhanced": 2.0, "scaled": row["scale"]}
    name = row["condition"].removeprefix("own ")

    def change(layer: int, neurons: Tensor) -> Tensor:
        if name == "clean" or (row["layers"] is not None and layer >= row["layers"]):
            return neurons
        if name == "none":
            return neurons * 0
        multiplied = neurons.clone()
        if name in factors:
            multiplied[:, path[layer]] *= factors[name]
            return multiplied
        others = [neuron for neuron in np.argsort(priority[layer], kind="stable") if neuron not in path[layer]]
        multiplied[:, others[: int(len(others) * row["pruned"] + 0.5)]] = 0
        return multiplied

    return change


class SlowEvaluation:
    """Recomputes the rows of a run of `Halves`: even images to discover, odd ones held out.

    Args:
        folder: the run folder.
        reference: model, images and labels.
        path_tokens: of the model.
        draws: of the control under the main conditions.
    """

    def __init__(self, folder: Path, reference: Any, path_tokens: slice, draws: int) -> None:
        self.model, self.images, self.labels = reference.model, reference.images, reference.labels.tolist()
        self.widths = [block.mlp.fc2.in_features for block in self.model.blocks]
        self.methods = json.loads((folder / "category_paths.json").read_text())["methods"]
        self.table = nplight.read_paths(folder)
        self.tokens = {"path": path_tokens, "all": slice(None), None: slice(None)}
        self.draws = draws

    def measures(self, row: Mapping[str, Any]) -> dict[str, float]:
        """The measures of a row, from all its images."""
        own = row["condition"].startswith("own")
        numbers = range(0, 80, 2) if own else range(1, 80, 2)
        main = row["layers"] is None and row["scale"] is None and row["pruned"] in (None, 1)
        few = 5 if own else self.draws if main else max(1, self.draws // 4)
        draws = range(min(self.draws, few) if row["method"] == "random" else 1)
        values = np.mean([self._of_draw(row, numbers, draw) for draw in draws], 0)
        means = dict(zip(NAMES, values.mean(0), strict=True))
        labels = np.array(self.labels)[list(numbers)]
        means["accuracy_macro"] = np.mean([values[labels == label, 0].mean() for label in sorted(set(labels))])
        return means

    def _of_draw(self, row: Mapping[str, Any], numbers: range, draw: int) -> np.ndarray:
        """(images, names)."""
        images, labels = self.images[list(numbers)], np.array(self.labels)[list(numbers)]
        clean = predicted(self.model, images, [], slice(None))
        changes = [self._change(row, number, draw) for number in numbers]
        edited = predicted(self.model, images, changes, self.tokens[row["tokens"]])
        (right, after, *values), (was_right, before, *clean_values) = (
            of_labels(edited, labels),
            of_labels(clean, labels),
        )
        differences = [value - clean_value for value, clean_value in zip(values, clean_values)]
        return np.stack([right, after, (after - before) / before, right - was_right, *values, *differences], 1)

    def _change(self, row: Mapping[str, Any], number: int, draw: int) -> Change:
        label = self.labels[number]
        drawn = torch.rand(1, sum(self.widths), generator=torch.Generator().manual_seed(label))[0].split(self.widths)
        return change_of(row, self._path(row, number, draw), [layer.numpy() for layer in drawn])

    def _path(self, row: Mapping[str, Any], number: int, draw: int) -> list[list[int]]:
        size, label = row["kept"], self.labels[number]
        if size is None:
            return [[] for _ in self.widths]
        own = row["condition"].startswith("own")
        if row["method"] == "random":
            checksum = zlib.crc32(self.images[number].float().contiguous().numpy().tobytes())
            return random_path(self.widths, size, 0, draw, checksum if own else label)
        if own:
            rows = self.table.where(search=row["method"])
            at = rows["index"].tolist().index(number)  # type: ignore[union-attr]
            found: list[list[int]] = rows["neurons"][at].tolist()  # type: ignore[union-attr]
            return found
        layers: list[list[int]] = self.methods[row["method"]][str(size)]["neurons"][label]
        return layers
