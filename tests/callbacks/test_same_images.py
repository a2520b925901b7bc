"""The images that are searched and tested are settings like others: other ones are noticed, and nothing is replaced."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nplight.callbacks import PathEvaluation
from tests.callbacks.foreign_project import Foreign, contents, make_trainer
from tests.callbacks.small_runs import HELD_OUT, JOINT, images, loader, refused, swapped, validate
from tests.conftest import make_vit


def stored(folder: Path, weight: float) -> PathEvaluation:
    """The paths of `run` tested with a model one of whose weights is another."""
    model = make_vit(num_classes=4)
    with torch.no_grad():
        model.head.weight[0, 0] += weight
    evaluation = PathEvaluation(paths=folder / "run", run_dir=folder / f"test {weight}", replicates=5)
    make_trainer(evaluation).test(Foreign(model), loader(HELD_OUT), verbose=False)
    return evaluation


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
    reason = r"paths of other images than this run's \(8, digest \w{16} there, 8, digest \w{16} now\)"
    refused(tmp_path, reason, (pixels, labels.flip(0), index), methods=(method,))


def changed(held_out: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    pixels = held_out[0].clone()
    pixels[1, 0, 0, 0] += 1
    return pixels, *held_out[1:]


def relabelled(held_out: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    return held_out[0], held_out[1][[1, 0, 2, 3]], held_out[2]


def renumbered(held_out: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    return held_out[0], held_out[1], held_out[2][[1, 0, 2, 3]]


def unnumbered(held_out: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    return swapped(held_out)[:2]


@pytest.mark.parametrize("change", [changed, swapped, relabelled, renumbered])
def test_other_held_out_images_are_refused_and_their_metrics_stay(tmp_path: Path, change: Any) -> None:
    validate(tmp_path)
    reason = r"other settings \(held_out_images: 4, digest \w{16} there, 4, digest \w{16} now\); name another --run_dir"
    refused(tmp_path, reason, held_out=change(HELD_OUT))
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


def test_other_weights_than_the_paths_were_found_with_are_said(tmp_path: Path) -> None:
    validate(tmp_path / "run")
    stored(tmp_path, 0.0)
    assert json.loads((tmp_path / "test 0.0" / "metrics.json").read_text())["notes"] == []
    reason = r"paths of .*run were found with other weights \(model: \w{16} there, \w{16} now\)"
    with pytest.warns(UserWarning, match=reason):
        stored(tmp_path, 0.5)
    (note,) = json.loads((tmp_path / "test 0.5" / "metrics.json").read_text())["notes"]
    assert re.search(reason, note)
