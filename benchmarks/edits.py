"""Edits that last: a trigger taken out of the trigger models, and a category unlearned.

    python -m benchmarks.edits        prints both tables (two minutes on two cores)

The trigger: `edit_model` removes neurons at every token; what is left of the trigger, and of accuracy on digits without
it. The category: `PathTuning` trains a few neurons of the digits model so that it takes a category's images for others.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

from nplight import category_paths, edit_model, open_vit, search
from nplight.planted import TRIGGERS, PlantedModel, build_trigger
from nplight.planted.trigger import BUNDLED_SEEDS
from nplight.planted.trigger_case import TARGET
from nplight.planted.trigger_training import digits_model
from nplight.planted.triggered_digits import LabelledImages, seen_digits, triggered, unseen_digits
from nplight.seeds import seeded_generator
from nplight.shrinking import PathTuning
from nplight.shrinking.measurements import Accuracy
from nplight.shrinking.neuron_load import neuron_loads

DRAWS = 3
TUNED = 8
"""Neurons per layer that are trained to unlearn a category."""

CATEGORY = 3
_STEPS, _BATCH, _LEARNING_RATE = 150, 64, 5e-3


@dataclass(frozen=True)
class Row:
    """An edit and two shares of images, with their intervals."""

    edit: str
    first: Accuracy
    second: Accuracy


def trigger_rows(name: str, seeds: Sequence[int] = BUNDLED_SEEDS) -> list[Row]:
    """The trigger's success and the accuracy without it, by edit; means over seeds, and intervals that cover all."""
    shares: dict[str, list[tuple[Accuracy, Accuracy]]] = {}
    for seed in seeds:
        planted = build_trigger(TRIGGERS[name], seed=seed)
        for edit, model in trigger_edits(planted, seed):
            shares.setdefault(edit, []).append((success(model), clean_accuracy(model)))
    return [Row(edit, *(Accuracy.over_draws(list(values)) for values in zip(*pairs))) for edit, pairs in shares.items()]


def trigger_edits(planted: PlantedModel, seed: int) -> list[tuple[str, nn.Module]]:
    """The model as it is, without its planted path, without a found one, and without random ones of the same size."""
    path = planted.paths[0]
    top_k = path.shape[1]
    paths = search(
        planted.model, planted.images, planted.labels, method="joint_integrated_gradients", top_k=top_k, ranked=top_k
    )
    found = category_paths(paths, torch.zeros_like(planted.labels), num_classes=1, top_k=top_k).neurons[0]
    edits = [
        ("nothing", planted.model),
        ("planted path removed", edit_model(planted.model, path, 0)),
        ("found path removed", edit_model(planted.model, found, 0)),
    ]
    for draw in range(DRAWS):
        random = random_path(planted.model, top_k, seeded_generator(seed, draw))
        edits.append(("random path removed", edit_model(planted.model, random, 0)))
    return edits


def unlearning_rows(category: int = CATEGORY, steps: int = _STEPS) -> list[Row]:
    """Accuracy on the images of a category and on all others, by edit."""
    model = digits_model()
    chosen = specific_neurons(model, category, TUNED)
    rows = [Row("nothing", *accuracies(model, category))]
    rows.append(Row("specific neurons removed", *accuracies(edit_model(model, chosen, 0), category)))
    rows.append(Row("specific neurons trained", *accuracies(unlearned(chosen, category, steps), category)))
    draws = [random_path(model, TUNED, seeded_generator(0, draw)) for draw in range(DRAWS)]
    edits: list[tuple[str, Callable[[Tensor], nn.Module]]] = [
        ("random neurons removed", lambda neurons: edit_model(model, neurons, 0)),
        ("random neurons trained", lambda neurons: unlearned(neurons, category, steps)),
    ]
    for name, edit in edits:
        pairs = [accuracies(edit(neurons), category) for neurons in draws]
        rows.append(Row(name, *(Accuracy.over_draws(list(values)) for values in zip(*pairs))))
    return rows


def unlearned(neurons: Tensor, category: int, steps: int) -> nn.Module:
    """The digits model, whose neurons were trained to take a category's images for what they look like besides."""
    model, digits, generator = digits_model(), seen_digits(), seeded_generator(0, category)
    with torch.no_grad():
        others = model(digits.images)
    others[:, category] = -torch.inf
    targets = torch.where(digits.labels == category, others.argmax(1), digits.labels)
    wanted = LabelledImages(digits.images, targets)
    with PathTuning(model, neurons) as tuning:
        optimizer = torch.optim.Adam(tuning.parameters(), lr=_LEARNING_RATE)
        for _ in range(steps):
            images, labels = wanted.drawn(_BATCH, generator)
            loss = functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def specific_neurons(model: nn.Module, category: int, count: int) -> Tensor:
    """The neurons of each layer whose load on a category exceeds that on other images most: (layers, count)."""
    digits = seen_digits()
    members = digits.labels == category
    own, other = (neuron_loads(model, [digits.images[part]]) for part in (members, ~members))
    return torch.stack([(first - second).topk(count).indices for first, second in zip(own, other)])


def random_path(model: nn.Module, count: int, generator: torch.Generator) -> Tensor:
    """Random neurons of each layer, (layers, count)."""
    widths = open_vit(model).widths
    return torch.stack([torch.randperm(width, generator=generator)[:count] for width in widths])


def success(model: nn.Module) -> Accuracy:
    """The share of unseen digits of other categories that the trigger moves to the target."""
    digits = unseen_digits()
    others = digits.images[digits.labels != TARGET]
    return _share(model, triggered(others), torch.full((len(others),), TARGET))


def clean_accuracy(model: nn.Module) -> Accuracy:
    """Accuracy on unseen digits without the trigger."""
    return _share(model, *unseen_digits())


def accuracies(model: nn.Module, category: int) -> tuple[Accuracy, Accuracy]:
    """Accuracy on unseen digits of a category, and of all others."""
    images, labels = unseen_digits()
    members = labels == category
    return _share(model, images[members], labels[members]), _share(model, images[~members], labels[~members])


def _share(model: nn.Module, images: Tensor, labels: Tensor) -> Accuracy:
    with torch.no_grad():
        correct = int((model(images).argmax(1) == labels).sum())
    return Accuracy.of(correct, len(images))


def show(rows: Sequence[Row], title: str, columns: tuple[str, str], console: Console) -> None:
    """Print a table."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for number, column in enumerate(("edit", *columns)):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(row.edit, *(_text(share) for share in (row.first, row.second)))
    console.print(table)


def _text(share: Accuracy) -> str:
    return f"{share.value:.1%} ({share.low:.1%} … {share.high:.1%})"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="What edits of neurons do that stay in the weights.")
    parser.add_argument("--category", type=int, default=CATEGORY, choices=range(10), help="the one that is unlearned")
    category = parser.parse_args().category
    console = Console()
    for name in ("trigger_1", "trigger_3"):
        title = f"{name}, seeds {', '.join(map(str, BUNDLED_SEEDS))}"
        show(trigger_rows(name), title, ("trigger's success", "accuracy without it"), console)
    title = f"Category {category} unlearned, {TUNED} neurons per layer"
    show(unlearning_rows(category), title, ("its accuracy", "accuracy of the others"), console)
    console.print(
        "Unseen digits, exact 95% intervals; means over seeds and random draws, whose intervals cover all of them."
    )


if __name__ == "__main__":
    main()
