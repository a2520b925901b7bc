from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.trainer.states import TrainerFn

from nplight.callbacks import NeuronPathSearch, PathEvaluation
from nplight.callbacks.data_settings import data_identity, data_limit
from nplight.data import DigitsDataModule
from nplight.errors import RunFolderError
from tests.callbacks.foreign_project import Foreign, contents, make_trainer
from tests.callbacks.small_runs import HELD_OUT, images, loader, refused, validate
from tests.conftest import make_vit


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"limit_val_batches": 3}, "limit_val_batches: None there, 3 batches of 2 images on 1 process now"),
        ({"limit_val_batches": 0.75}, "limit_val_batches: None there, 3 batches of 2 images on 1 process now"),
        ({"fast_dev_run": 3}, "limit_val_batches: None there, 3 batches of 2 images on 1 process now"),
        ({"overfit_batches": 3}, "limit_val_batches: None there, 3 batches of 2 images on 1 process now"),
    ],
)
def test_a_limit_on_the_batches_is_a_setting(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    validate(tmp_path)
    refused(tmp_path, rf"other settings \({reason}\)", **options)


def test_a_run_with_a_limit_goes_on_with_it_and_not_without(tmp_path: Path) -> None:
    discover = images(12)
    validate(tmp_path / "run", discover, limit_val_batches=4)
    before = contents(tmp_path / "run")
    validate(tmp_path / "run", discover, limit_val_batches=4)
    assert contents(tmp_path / "run") == before
    refused(tmp_path / "run", r"limit_val_batches: 4 batches of 2 images on 1 process there, None now", discover)
    reason = r"limit_val_batches: 4 batches of 2 images on 1 process there, 4 batches of 3 images on 1 process now"
    refused(tmp_path / "run", reason, images(15), limit_val_batches=4, batch_size=3)
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
    reason = r"other settings \(limit_val_batches: None there, 4 batches of 2 images on 1 process now\)"
    refused(tmp_path, reason, held_out=longer, limit_val_batches=4)


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


@pytest.mark.parametrize(
    ("loaders", "counts", "limit"),
    [
        (loader(images(8)), [4], None),
        (loader(images(8)), [1], "1 batch of 2 images on 3 processes"),
        ([loader(images(8)), loader(images(8))], [2, 3],
         "2 batches of 2 images on 3 processes, 3 batches of 2 images on 3 processes"),
        ({"one": loader(images(8)), "other": loader(images(8), 4)}, [2, 1],
         "2 batches of 2 images on 3 processes, 1 batch of 4 images on 3 processes"),
        ([[1, 2, 3]], [2], "2 batches on 3 processes"),
        (iter([1, 2, 3]), [2], "2 batches on 3 processes"),
    ],
    ids=["whole", "one", "list", "mapping", "batches", "without a length"],
)  # fmt: skip
def test_a_limit_names_batches_images_and_processes(loaders: Any, counts: list[int], limit: str | None) -> None:
    state = SimpleNamespace(fn=TrainerFn.TESTING)
    trainer: Any = SimpleNamespace(state=state, test_dataloaders=loaders, num_test_batches=counts, world_size=3)
    assert data_limit(trainer, slice(None)) == ({} if limit is None else {"limit_test_batches": limit})


def test_only_nplights_own_data_have_an_identity() -> None:
    assert data_identity(SimpleNamespace()) == {}  # type: ignore[arg-type]
    data = DigitsDataModule()
    assert data_identity(SimpleNamespace(datamodule=data)) == data.identity() != {}  # type: ignore[arg-type]
