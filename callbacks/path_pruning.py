"""Prune neurons while a model trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn

from nplight.callbacks.averaged_models import averaged_models
from nplight.callbacks.discover_pass import discover_loader, discover_pass
from nplight.callbacks.lightning_private import set_up_validation
from nplight.callbacks.refusals import refuse_sharded
from nplight.callbacks.run_folders import run_folder
from nplight.callbacks.vit_callback import ViTCallback
from nplight.data import ImageBatch, batch_reader
from nplight.errors import ArgumentError, check_choice
from nplight.processes import on_first_process
from nplight.pruning import (
    REACTIVATIONS,
    SCHEDULES,
    CriterionSettings,
    NeuronMasks,
    Pruner,
    PruningSchedule,
    criterion_scores,
)
from nplight.pruning.pruner import Reactivation
from nplight.pruning.schedule import Kind, check_share
from nplight.shrinking import save_model
from nplight.store import RunFolder
from nplight.store.file_names import PRUNED, SHRUNK_MODEL
from nplight.vit import OpenViT


class PathPruning(ViTCallback):
    """Trains a model under masks of its neurons, and ends in a smaller model.

    In `fit` it chooses, in every layer, which neurons are in use at all tokens: all others write nothing to the
    residual stream. At the end of `fit` the model without the pruned neurons is written to `pruned/model.safetensors`
    of the run folder, and is available as `small`. Masks are parametrizations (`NeuronMasks`): optimizers, checkpoints,
    averaged weights and mixed precision work as without. A killed training resumes to the same weights and masks. With
    `share` 0 the training is bit for bit the one without the callback. It does nothing outside `fit`. Choices that the
    literature leaves open are this project's (docs/pruning.md).

    Args:
        share: of the neurons of every layer that are pruned in the end, in [0, 1).
        criterion: what ranks neurons, one of `nplight.pruning.CRITERIA`: `path`, `magnitude`, `random`, or a method,
            searched at all tokens with the model as it is.
        schedule: `constant`: all at once, at the step `begin`; `linear` or `cubic`: from `begin` to `end`.
        begin: the optimizer step at which pruning begins.
        end: the step of the last mask; `None`: half of the training.
        every: steps between masks; `None`: a twentieth of the training.
        reactivate: `False`: a pruned neuron stays pruned. `True`: masks are chosen among all neurons until the training
            ends, and the weights under a mask get gradients, so that pruned neurons return. `rigl`: likewise, but only
            so many neurons are exchanged as RigL's schedule allows.
        paths: for `criterion` `path`, the run folder of a search with `tokens: all`.
        search: for `criterion` `path`, the name of the search; `None`: the only one.
        images: for `magnitude` and methods: how many images of the first validation loader rank the neurons.
        steps: for methods, quadrature nodes.
        seed: for `random`.
        read_batch: a function, or its dotted name, that turns the project's batches into ones that
            `nplight.data.read_batch` takes; `None`: they are such.
        run_dir: where the smaller model goes; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule; `None`: that of the other callbacks, else the
            only one there is.

    Attributes:
        pruner: which chooses the masks, once `fit` has started.
        small: the model without the pruned neurons, once `fit` has ended.

    Raises:
        ArgumentError: an argument is wrong.

    Examples:
        >>> from nplight.callbacks import PathPruning
        >>> pruning = PathPruning(0.7, criterion="magnitude", schedule="cubic")
        >>> pruning.small is None  # the smaller model, once `fit` has ended
        True
    """

    def __init__(
        self,
        share: float,
        *,
        criterion: str = "joint_integrated_gradients",
        schedule: Kind = "cubic",
        begin: int = 0,
        end: int | None = None,
        every: int | None = None,
        reactivate: bool | str = False,
        paths: str | Path | None = None,
        search: str | None = None,
        images: int = 64,
        steps: int = 3,
        seed: int = 0,
        read_batch: str | Callable[[Any], Any] | None = None,
        run_dir: str | Path | None = None,
        vit: str | None = None,
    ) -> None:
        check_share(share)
        check_choice("schedule", schedule, SCHEDULES)
        self.share, self.schedule = share, schedule
        self.criterion = CriterionSettings(criterion, paths, search, images, steps, seed)
        self.reactivation = _reactivation(reactivate)
        self.begin, self.end, self.every = begin, end, every
        self.read = batch_reader(read_batch)
        self.run_dir, self.vit = run_dir, vit
        # A length that fits any setting: the training's own is known when it starts.
        self._schedule(1 << 40)
        self.pruner: Pruner | None = None
        self.small: nn.Module | None = None
        self._vit: OpenViT | None = None
        self._masks: NeuronMasks | None = None
        self._chosen = 0

    @property
    def state_key(self) -> str:
        return self._generate_state_key(vit=self.vit)

    def state_dict(self) -> dict[str, Any]:
        return {"chosen": self._chosen if self.pruner is None else self.pruner.chosen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._chosen = state_dict["chosen"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the model its masks: a checkpoint, which holds masks, is loaded after this."""
        if stage != "fit":
            return
        refuse_sharded(trainer)
        self.pruner, self.small, self._chosen = None, None, 0
        vit = self.open_vit(trainer, pl_module)
        if self._masks is None or self._masks.vit.transformer is not vit.transformer:
            self._refuse_copies(trainer, made=True)
            self._masks = NeuronMasks(vit, straight_through=self.reactivation is not None)
        self._vit = vit

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._masks is None:
            return
        self._refuse_copies(trainer, made=False)
        if self.share and self.criterion.needs_images:
            check_images(trainer, f"`criterion` {self.criterion.name!r} ranks neurons by", "path or random")
        self.pruner = Pruner(
            self._masks, self._schedule(trainer.estimated_stepping_batches), reactivation=self.reactivation
        )
        self.pruner.chosen = self._chosen

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        pruner, vit, masks = self.pruner, self._vit, self._masks
        if pruner is None or vit is None or masks is None or not pruner.due(trainer.global_step):
            return
        with isolate_rng(), trainer.precision_plugin.forward_context():
            if self.reactivation is None:
                scores = criterion_scores(vit, self.criterion, self._batches(trainer, pl_module), 1 - self.share)
            else:
                with masks.open():
                    scores = criterion_scores(vit, self.criterion, self._batches(trainer, pl_module), 1 - self.share)
        pruner.choose(trainer.global_step, scores)
        for _, copied in averaged_models(trainer):
            masks.copy_to(copied.module)
        pl_module.log_dict({"pruning/pruned": masks.pruned_share, "pruning/reactivated": pruner.reactivated})

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.pruner is None:
            return
        small = self.pruner.small_model()
        self.small = small
        folder = RunFolder(run_folder(trainer, self.run_dir).path / PRUNED)
        on_first_process(lambda: save_model(small, folder.path / SHRUNK_MODEL))

    def _schedule(self, total: float) -> PruningSchedule:
        return PruningSchedule.of_training(
            self.share,
            self.schedule,
            total,
            begin=self.begin,
            end=self.end,
            every=self.every,
            again=self.reactivation is not None,
        )

    def _batches(self, trainer: Trainer, pl_module: LightningModule) -> Callable[[], Iterator[ImageBatch]]:
        """This process's share of the images that rank neurons."""

        def images() -> Iterator[ImageBatch]:
            batches = discover_pass(trainer, pl_module, self.read, "Ranking neurons")
            return first_images(batches, share_of(trainer, self.criterion.images))

        return images

    def _refuse_copies(self, trainer: Trainer, *, made: bool) -> None:
        """Refuse averaged copies of the model without masks, into which masked weights would be mixed up."""
        for callback, averaged in averaged_models(trainer):
            if made or self._masks is None or not self._masks.copy_to(averaged.module):
                raise ArgumentError(
                    f"PathPruning must stand before {type(callback).__name__} in `callbacks`, so that the averaged "
                    f"copy of the model has masks too"
                )


def share_of(trainer: Trainer, images: int) -> int:
    """This process's number of the first `images` of the first validation loader, which samplers deal out in turn."""
    with suppress(TypeError):  # a stream has no length
        # What a sampler repeats to give every process the same number counts once.
        images = min(images, len(discover_loader(trainer).dataset))
    return len(range(trainer.global_rank, images, trainer.world_size))


def first_images(batches: Iterator[ImageBatch], count: int) -> Iterator[ImageBatch]:
    """The first `count` images of batches; no further batch is read."""
    for batch in batches if count else ():
        yield batch if len(batch) <= count else batch.select(torch.arange(count, device=batch.images.device))
        count -= len(batch)
        if count <= 0:
            return


def check_images(trainer: Trainer, purpose: str, otherwise: str = "") -> None:
    """Refuse a `fit` without validation images.

    Args:
        trainer: in `fit`, at the start of the training.
        purpose: what they are for, for the message.
        otherwise: the criteria that need none, for the message.

    Raises:
        ArgumentError: there are none.
    """
    set_up_validation(trainer)
    if not trainer.val_dataloaders or not trainer.num_val_batches or not trainer.num_val_batches[0]:
        raise ArgumentError(
            f"{purpose} images of the first validation loader, but the training has none; give trainer.fit one"
            + (f", or take criterion {otherwise}" if otherwise else "")
        )


def _reactivation(reactivate: bool | str) -> Reactivation | None:
    if isinstance(reactivate, bool):
        return "free" if reactivate else None
    if reactivate not in REACTIVATIONS:
        raise ArgumentError(f"`reactivate` must be true, false, 'free' or 'rigl', got {reactivate!r}")
    return "rigl" if reactivate == "rigl" else "free"
