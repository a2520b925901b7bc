"""The images that are searched and tested are settings like others: other ones are noticed, and nothing is replaced."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from nplight.callbacks import NeuronPathSearch, PathEvaluation, PathSelectivity
from nplight.data import EachOnceSampler
from nplight.errors import RunFolderError
from tests.callbacks.test_callbacks import Foreign, contents, make_trainer, quiet
from tests.conftest import make_vit

__all__ = ["quiet"]

JOINT = {"name": "jointly", "method": "jas", "granularity": "category"}


def images(count: int = 8, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Two images of each of four categories at least, their labels, and their numbers from 10 x `seed` on."""
    pixels = torch.randn(count, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return pixels, torch.arange(count) % 4, torch.arange(count) + 100 * seed


DISCOVER, HELD_OUT = images(), images(4, seed=1)


def loader(columns: tuple[Tensor, ...], batch_size: int = 2, devices: int = 1) -> DataLoader[Any]:
    data = TensorDataset(*columns)
    return DataLoader(data, batch_size=batch_size, sampler=EachOnceSampler(data) if devices > 1 else None)


def stored(folder: Path, weight: float) -> PathEvaluation:
    """The paths of `run` tested with a model one of whose weights is another."""
    model = make_vit(num_classes=4)
    with torch.no_grad():
        model.head.weight[0, 0] += weight
    evaluation = PathEvaluation(paths=folder / "run", run_dir=folder / f"test {weight}", replicates=5)
    make_trainer(evaluation).test(Foreign(model), loader(HELD_OUT), verbose=False)
    return evaluation


def validate(
    run: Path,
    discover: tuple[Tensor, ...] = DISCOVER,
    held_out: tuple[Tensor, ...] = HELD_OUT,
    *,
    methods: tuple[Any, ...] = ("activation",),
    batch_size: int = 2,
    overwrite: bool = False,
    **options: Any,
) -> None:
    devices = options.get("devices", 1)
    callbacks = [
        NeuronPathSearch(run_dir=run, methods=list(methods), steps=2, kept=(2,), overwrite=overwrite),
        PathEvaluation(run_dir=run, fractions=(0.5,), replicates=5, overwrite=overwrite),
    ]
    loaders = [loader(part, batch_size, devices) for part in (discover, held_out)]
    trainer = make_trainer(*callbacks, **({"strategy": "ddp_fork"} if devices > 1 else {}), **options)
    trainer.validate(Foreign(make_vit(num_classes=4)), loaders, verbose=False)


def refused(run: Path, reason: str, *arguments: Any, **options: Any) -> None:
    before = contents(run)
    with pytest.raises(RunFolderError, match=reason):
        validate(run, *arguments, **options)
    assert contents(run) == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"limit_val_batches": 3}, "limit_val_batches: None there, 3 batches of 2 images on 1 process now"),
        ({"limit_val_batches": 0.75}, "limit_val_batches: None there, 3 batches of 2 images on 1 process now"),
        ({"fast_dev_run": 3}, "limit_val_batches: None there, 3 batches of 2 images on 1 process now"),
        ({"overfit_batches": 3}, "limit_val_batches: None there, 3 batches of 2 images on 1 process now"),
    ],
)
def test_a_limit_on_the_batches_is_a_setting(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    validate(tmp_path)
    refused(tmp_path, rf"other settings \({told}\)", **options)


def test_a_run_with_a_limit_goes_on_with_it_and_not_without(tmp_path: Path) -> None:
    discover = images(12)
    validate(tmp_path / "run", discover, limit_val_batches=4)
    before = contents(tmp_path / "run")
    validate(tmp_path / "run", discover, limit_val_batches=4)
    assert contents(tmp_path / "run") == before
    refused(tmp_path / "run", r"limit_val_batches: 4 batches of 2 images on 1 process there, None now", discover)
    told = r"limit_val_batches: 4 batches of 2 images on 1 process there, 4 batches of 3 images on 1 process now"
    refused(tmp_path / "run", told, images(15), limit_val_batches=4, batch_size=3)
    # And with the limit it is what a folder of its own would hold.
    validate(tmp_path / "run", discover, overwrite=True)
    validate(tmp_path / "fresh", discover)
    assert contents(tmp_path / "run") == contents(tmp_path / "fresh")


def test_a_limit_that_leaves_nothing_out_is_none(tmp_path: Path) -> None:
    validate(tmp_path)
    before = contents(tmp_path)
    validate(tmp_path, limit_val_batches=4)
    validate(tmp_path, limit_val_batches=100)
    assert contents(tmp_path) == before


def test_a_limit_on_the_held_out_images_alone_is_one_of_the_evaluation(tmp_path: Path) -> None:
    longer = images(12, seed=1)
    validate(tmp_path, held_out=longer)
    told = r"other settings \(limit_val_batches: None there, 4 batches of 2 images on 1 process now\)"
    refused(tmp_path, told, held_out=longer, limit_val_batches=4)


@pytest.mark.parametrize("command", ["test", "predict"])
def test_limits_of_the_other_commands_are_settings(tmp_path: Path, command: str) -> None:
    validate(tmp_path / "run")

    def run(**options: Any) -> None:
        if command == "test":
            callback: Any = PathEvaluation(paths=tmp_path / "run", run_dir=tmp_path / "out", replicates=5)
        else:
            callback = NeuronPathSearch(run_dir=tmp_path / "out", method="activation", kept=())
        options = {} if command == "test" else options
        trainer = make_trainer(callback, **({f"limit_{command}_batches": 1} if limit else {}))
        getattr(trainer, command)(Foreign(make_vit(num_classes=4)), loader(HELD_OUT))

    limit = False
    run()
    before = contents(tmp_path / "out")
    limit = True
    with pytest.raises(RunFolderError, match=rf"limit_{command}_batches: None there, 1 batch of 2 images on 1 process"):
        run()
    assert contents(tmp_path / "out") == before


def test_fewer_images_than_a_folder_holds_are_refused(tmp_path: Path) -> None:
    """Its category paths would be those of images that this run does not have."""
    validate(tmp_path, images(10))
    refused(
        tmp_path, r"other images than this run's \(10, digest \w{16} there, 8, digest \w{16} now\); name", images(8)
    )
    validate(tmp_path, images(8), overwrite=True)


@pytest.mark.parametrize("method", ["activation", JOINT])
def test_other_labels_of_images_that_are_stored_are_refused(tmp_path: Path, method: Any) -> None:
    pixels, labels, index = images()
    validate(tmp_path, methods=(method,))
    told = r"paths of other images than this run's \(8, digest \w{16} there, 8, digest \w{16} now\)"
    refused(tmp_path, told, (pixels, labels.flip(0), index), methods=(method,))


def changed(held_out: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    pixels = held_out[0].clone()
    pixels[1, 0, 0, 0] += 1
    return pixels, *held_out[1:]


def swapped(held_out: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    return held_out[0][[1, 0, 2, 3]], *held_out[1:]


def relabelled(held_out: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    return held_out[0], held_out[1][[1, 0, 2, 3]], held_out[2]


def renumbered(held_out: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    return held_out[0], held_out[1], held_out[2][[1, 0, 2, 3]]


def unnumbered(held_out: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    return swapped(held_out)[:2]


@pytest.mark.parametrize("change", [changed, swapped, relabelled, renumbered])
def test_other_held_out_images_are_refused_and_their_metrics_stay(tmp_path: Path, change: Any) -> None:
    validate(tmp_path)
    told = r"other settings \(held_out_images: 4, digest \w{16} there, 4, digest \w{16} now\); name another --run_dir"
    refused(tmp_path, told, held_out=change(HELD_OUT))
    validate(tmp_path, held_out=change(HELD_OUT), overwrite=True)


def test_held_out_images_without_numbers_are_known_by_pixels_and_labels(tmp_path: Path) -> None:
    plain, order = HELD_OUT[:2], [2, 0, 3, 1]
    validate(tmp_path, held_out=plain)
    before = contents(tmp_path)
    validate(tmp_path, held_out=tuple(column[order] for column in plain))
    assert contents(tmp_path).keys() == before.keys()
    refused(tmp_path, "held_out_images: 4, digest", held_out=unnumbered(HELD_OUT))


def test_the_images_of_several_processes_are_those_of_one(tmp_path: Path) -> None:
    validate(tmp_path, methods=("activation", JOINT))
    before = contents(tmp_path)
    validate(tmp_path, methods=("activation", JOINT), devices=2)
    after = contents(tmp_path)
    assert {name for name in after if after[name] != before.get(name)} <= {"metrics.json", "metrics.csv"}
    with pytest.raises(Exception, match="held_out_images: 4, digest"):
        validate(tmp_path, held_out=swapped(HELD_OUT), methods=("activation", JOINT), devices=2)


def test_selectivity_of_other_held_out_images_is_refused(tmp_path: Path) -> None:
    def run(held_out: tuple[Tensor, ...]) -> None:
        search = NeuronPathSearch(run_dir=tmp_path, method="activation", kept=(2,))
        selectivity = PathSelectivity(run_dir=tmp_path, replicates=5)
        loaders = [loader(DISCOVER), loader(held_out)]
        make_trainer(search, selectivity).validate(Foreign(make_vit(num_classes=4)), loaders, verbose=False)

    run(HELD_OUT)
    before = contents(tmp_path)
    run(HELD_OUT)
    assert contents(tmp_path) == before
    with pytest.raises(RunFolderError, match="held_out_images: 4, digest"):
        run(swapped(HELD_OUT))
    assert contents(tmp_path) == before


def test_other_weights_than_the_paths_were_found_with_are_said(tmp_path: Path) -> None:
    validate(tmp_path / "run")
    stored(tmp_path, 0.0)
    assert json.loads((tmp_path / "test 0.0" / "metrics.json").read_text())["notes"] == []
    told = r"paths of .*run were found with other weights \(model: \w{16} there, \w{16} now\)"
    with pytest.warns(UserWarning, match=told):
        stored(tmp_path, 0.5)
    (note,) = json.loads((tmp_path / "test 0.5" / "metrics.json").read_text())["notes"]
    assert re.search(told, note)
