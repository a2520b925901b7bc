"""Training under masks of neurons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from torch import Tensor
from torch.nn.utils import parametrize
from torch.optim.swa_utils import get_ema_avg_fn
from torch.utils.data import DataLoader, TensorDataset

from nplight import open_vit
from nplight.callbacks import PathPruning
from nplight.errors import ArgumentError
from nplight.modules import load_weights
from nplight.pruning.masks import NeuronMask
from tests.callbacks.test_fit import CATEGORIES, Learner, data
from tests.conftest import make_vit

STEPS = 15  # of three epochs


class Repeatable(Learner):
    """Its dropout and noise depend on the step alone, so that a training can go on where it stopped."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        torch.manual_seed(self.global_step)
        return super().training_step(batch, batch_idx)


def fit(
    *callbacks: Callback,
    ckpt_path: Path | None = None,
    validated: bool = True,
    dtype: torch.dtype = torch.float64,
    **options: Any,
) -> tuple[Learner, Trainer]:
    seed_everything(1, verbose=False)
    module = Repeatable(dtype)
    settings = {"max_epochs": 3, "accelerator": "cpu", "devices": 1, "logger": False, "enable_progress_bar": False}
    checkpoints = any(isinstance(callback, ModelCheckpoint) for callback in callbacks)
    trainer = Trainer(
        callbacks=list(callbacks),
        enable_model_summary=False,
        enable_checkpointing=checkpoints,
        gradient_clip_val=0.1,
        **{**settings, **options},
    )
    train, validation = data(dtype)
    trainer.fit(
        module,
        DataLoader(TensorDataset(train.dataset.images, train.dataset.labels), batch_size=5),  # type: ignore[attr-defined]
        validation if validated else None,
        ckpt_path=ckpt_path,
        weights_only=False if ckpt_path else None,
    )
    return module, trainer


def pruning(folder: Path, share: float = 0.5, **options: Any) -> PathPruning:
    return PathPruning(share, run_dir=folder, **{"images": 7, "steps": 2, "every": 2, **options})


def masks_of(module: torch.nn.Module) -> list[Tensor]:
    return [inner.kept for inner in module.modules() if isinstance(inner, NeuronMask)]


def assert_same(one: Learner, other: Learner) -> None:
    assert one.losses == other.losses
    assert all(map(torch.equal, one.parameters(), other.parameters()))


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
@pytest.mark.parametrize("reactivate", [False, True])
def test_at_0_it_is_the_training_without_it(tmp_path: Path, precision: Any, reactivate: bool) -> None:
    dtype = torch.float64 if precision == "64-true" else torch.float32
    plain, _ = fit(precision=precision, dtype=dtype)
    masked, _ = fit(pruning(tmp_path, 0, reactivate=reactivate), precision=precision, dtype=dtype)
    assert_same(plain, masked)


def test_looking_at_images_changes_nothing_until_neurons_are_pruned(tmp_path: Path) -> None:
    """Ranking neurons draws no random number of the training's, and leaves no trace in the model."""
    plain, _ = fit()
    masked, _ = fit(pruning(tmp_path, schedule="constant", begin=9))
    assert plain.losses[:9] == masked.losses[:9]
    assert plain.losses[10:] != masked.losses[10:]


@pytest.mark.parametrize("criterion", ["joint_integrated_gradients", "magnitude", "random"])
@pytest.mark.parametrize("reactivate", [False, True, "rigl"])
def test_a_training_under_masks_ends_in_a_smaller_model(tmp_path: Path, criterion: str, reactivate: bool | str) -> None:
    callback = pruning(tmp_path, 0.75, criterion=criterion, reactivate=reactivate)
    module, _ = fit(callback)
    assert [int(kept.sum()) for kept in masks_of(module)] == [16, 16]
    module.eval()
    images = data()[1][0].dataset.tensors[0]  # type: ignore[attr-defined]
    assert callback.small is not None
    assert open_vit(callback.small).widths == (16, 16)
    with torch.no_grad():
        torch.testing.assert_close(callback.small.eval()(images), module.network(images), rtol=1e-9, atol=1e-9)
    stored = make_vit(num_classes=CATEGORIES, depth=2)
    load_weights(stored, str(tmp_path / "pruned" / "model.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(stored(images), module.network(images), rtol=1e-9, atol=1e-9)


def test_pruned_neurons_return_and_stay_away(tmp_path: Path) -> None:
    class Watch(Callback):
        def __init__(self) -> None:
            self.seen: list[list[Tensor]] = []

        def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
            self.seen.append([kept.clone() for kept in masks_of(pl_module)])

    for reactivate in (False, True):
        watch = Watch()
        fit(pruning(tmp_path, reactivate=reactivate, criterion="magnitude"), watch)
        returned = sum(
            int((now & ~before).sum()) for one, two in zip(watch.seen, watch.seen[1:]) for before, now in zip(one, two)
        )
        assert (returned > 0) is reactivate


@pytest.mark.filterwarnings("ignore:The dirpath has changed", "ignore:Checkpoint directory")
@pytest.mark.parametrize("reactivate", [False, True, "rigl"])
def test_a_killed_training_resumes_to_the_same_weights_and_masks(tmp_path: Path, reactivate: bool | str) -> None:
    options: dict[str, Any] = {"reactivate": reactivate, "criterion": "magnitude", "end": 12}
    keep = ModelCheckpoint(tmp_path / "kept", save_top_k=-1, every_n_epochs=1, save_on_train_epoch_end=True)
    whole, _ = fit(pruning(tmp_path / "whole", **options), keep)
    checkpoints = sorted((tmp_path / "kept").glob("epoch=[01]*.ckpt"))
    assert len(checkpoints) == 2
    for checkpoint in checkpoints:
        again = ModelCheckpoint(tmp_path / "again", save_top_k=-1, every_n_epochs=1, save_on_train_epoch_end=True)
        resumed, _ = fit(pruning(tmp_path / "resumed", **options), again, ckpt_path=checkpoint)
        assert 0 < len(resumed.losses) < STEPS
        assert all(map(torch.equal, masks_of(whole), masks_of(resumed)))
        assert all(map(torch.equal, whole.parameters(), resumed.parameters()))
        assert whole.losses[-len(resumed.losses) :] == resumed.losses


def test_averaged_weights_have_the_masks(tmp_path: Path) -> None:
    callback = pruning(tmp_path, 0.75)
    average = WeightAveraging(avg_fn=get_ema_avg_fn(0.9))
    module, _ = fit(callback, average)
    assert [int(kept.sum()) for kept in masks_of(module)] == [16, 16]
    for inner, kept in zip(open_vit(module.network).down, masks_of(module)):
        assert torch.equal((inner.linear.weight != 0).any(0), kept)
    with pytest.raises(ArgumentError, match="PathPruning must stand before WeightAveraging in `callbacks`"):
        fit(WeightAveraging(avg_fn=get_ema_avg_fn(0.9)), pruning(tmp_path))


def test_a_module_is_trained_again(tmp_path: Path) -> None:
    callback = pruning(tmp_path, schedule="constant")
    module, trainer = fit(callback)
    first = [kept.clone() for kept in masks_of(module)]
    trainer.fit_loop.max_epochs = 4
    trainer.fit(module, *data())
    assert all(map(torch.equal, first, masks_of(module)))
    assert all(len(down.linear.parametrizations.weight) == 1 for down in open_vit(module).down)  # type: ignore[index,arg-type,union-attr]
    assert parametrize.is_parametrized(module.network.blocks[0].mlp.fc2)


@pytest.mark.filterwarnings("ignore:.*Skipping val loop", "ignore:Checkpoint directory")
def test_what_cannot_be_pruned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=f"`end` must be a step of the training, which has {STEPS}, got 99"):
        fit(pruning(tmp_path, end=99))
    with pytest.raises(ArgumentError, match=f"`begin` must be a step of the training, which has {STEPS}, got 15"):
        fit(pruning(tmp_path, begin=15, schedule="constant"))
    with pytest.raises(ArgumentError, match="`criterion` 'magnitude' ranks neurons by images of the first validation"):
        fit(pruning(tmp_path, criterion="magnitude"), validated=False)
    fit(pruning(tmp_path, criterion="random"), validated=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"share": 1.0}, "`share` must be the pruned share"),
        ({"share": 0.5, "criterion": "size"}, "`criterion` must be one of"),
        ({"share": 0.5, "schedule": "square"}, "`schedule` must be one of"),
        ({"share": 0.5, "begin": -1}, "`begin` must be an integer of at least 0"),
        ({"share": 0.5, "begin": 5, "end": 5}, "`end` must be after `begin`"),
        ({"share": 0.5, "reactivate": "always"}, "`reactivate` must be true, false, 'free' or 'rigl', got 'always'"),
        ({"share": 0.5, "criterion": "path"}, "`paths` must be given for criterion 'path'"),
    ],
)
def test_bad_arguments_are_refused_when_the_callback_is_made(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        PathPruning(**arguments)
