"""A callback whose work on the images of a loop is a run, made when the loop starts and dropped when it ends."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from lightning.pytorch import LightningModule, Trainer

from nplight.callbacks.ending import check_sigterm, end_together, release
from nplight.callbacks.own_step import OwnStep, check_entered
from nplight.callbacks.refusals import check_loaders, check_validation_loaders, refuse_idle, refuse_sharded
from nplight.callbacks.run_folders import fitting
from nplight.callbacks.vit_callback import ViTCallback
from nplight.data import ImageBatch, batch_reader
from nplight.runs import Run

AnyRun = TypeVar("AnyRun", bound=Run)


class RunCallback(ViTCallback, Generic[AnyRun]):
    """A callback that makes a run when a loop starts, gives it the loop's batches, and drops it when the loop ends.

    Args:
        read_batch: as `nplight.data.batch_reader` takes it.
        run_dir: where results go; `None`: `neuron_paths/` in the logger's folder.
        vit: dotted name of the Vision Transformer in the LightningModule, or `None`.

    Attributes:
        loader: the number of the validation loader whose batches it takes; in other loops it takes all.
    """

    loader: ClassVar[int]

    def __init__(
        self, read_batch: str | Callable[[Any], Any] | None, run_dir: str | Path | None, vit: str | None
    ) -> None:
        self.read = batch_reader(read_batch)
        self.run_dir = run_dir
        self.vit = vit
        self._run: AnyRun | None = None
        self._own_step = OwnStep()

    @abstractmethod
    def follows(self, trainer: Trainer) -> bool:
        """Whether it works in the Trainer's command, in some of its loops at least."""

    @abstractmethod
    def works(self, trainer: Trainer) -> bool:
        """Whether it works in the current loop."""

    @abstractmethod
    def make_run(self, trainer: Trainer, pl_module: LightningModule) -> AnyRun:
        """A run for the current loop."""

    @abstractmethod
    def conclude(self, trainer: Trainer, pl_module: LightningModule, run: AnyRun) -> None:
        """The loop has given all batches."""

    def loader_ended(self, trainer: Trainer, pl_module: LightningModule, run: AnyRun) -> None:
        """Its validation loader has given all batches; may be called more than once, also where there were none."""

    def check_model(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a model that the run would refuse, before `fit` trains it."""
        self.open_vit(trainer, pl_module)

    def watches(self, trainer: Trainer) -> bool:
        """Whether it holds the module's own step against what is run.

        A Vision Transformer that is named is run alone where the module's forward does not run it.
        """
        return self.vit_name(trainer) is None

    def start(self, trainer: Trainer, pl_module: LightningModule) -> AnyRun:
        """The run of the current loop, made at the first call. Not in `setup`: a `ckpt_path` is loaded after it."""
        if self._run is None:
            self._run = self.make_run(trainer, pl_module)
        return self._run

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._drop()
        if self.follows(trainer):
            refuse_sharded(trainer)
            self.refuse_double(trainer)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.follows(trainer):
            self.check_model(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if fitting(trainer):
            self._drop()
        if self.follows(trainer):
            check_validation_loaders(trainer, self, held_out=self.loader == 1)
            self._begin(trainer, pl_module, trainer.val_dataloaders, "validation loader")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.follows(trainer):
            self._begin(trainer, pl_module, trainer.test_dataloaders, "test loader")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.follows(trainer):
            self._begin(trainer, pl_module, trainer.predict_dataloaders, "predict loader")

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if dataloader_idx == self.loader:
            self._watch(trainer, pl_module, batch_idx)
        elif dataloader_idx > self.loader and self.works(trainer):
            self.loader_ended(trainer, pl_module, self.start(trainer, pl_module))

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._watch(trainer, pl_module, batch_idx)

    on_predict_batch_start = on_test_batch_start

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if dataloader_idx == self.loader and self.works(trainer):
            run = self.start(trainer, pl_module)
            self.update(trainer, run, self.read(batch), dataloader_idx)
            if batch_idx == trainer.num_val_batches[self.loader] - 1:
                self.loader_ended(trainer, pl_module, run)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self.works(trainer):
            self.update(trainer, self.start(trainer, pl_module), self.read(batch), dataloader_idx)

    on_predict_batch_end = on_test_batch_end

    def update(self, trainer: Trainer, run: AnyRun, batch: ImageBatch, loader: int) -> None:
        """Give the run a batch, once it is known that the module's own step gives its ViT the same images."""
        given = self._own_step.release()  # before the model runs: the hook is none of its own
        if given:
            with trainer.precision_plugin.forward_context():
                check_entered(given, run.vit, batch.images)
        run.update(batch, loader)
        check_sigterm(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.works(trainer):
            run = self.start(trainer, pl_module)  # also in a process that had no batch
            self.conclude(trainer, pl_module, run)
            if fitting(trainer):
                run.release()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.works(trainer):
            self.conclude(trainer, pl_module, self.start(trainer, pl_module))

    on_predict_end = on_test_end

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        idle = self._run is None
        self._drop()
        release(trainer)
        if idle and self.follows(trainer):
            refuse_idle(trainer, self)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._drop()
        release(trainer, exception)

    def _begin(self, trainer: Trainer, pl_module: LightningModule, loaders: Any, name: str) -> None:
        end_together(trainer)
        check_loaders(trainer, loaders, name)
        if fitting(trainer):
            # Another callback may put averaged weights in place after this.
            self.check_model(trainer, pl_module)
        else:
            self.start(trainer, pl_module)

    def _watch(self, trainer: Trainer, pl_module: LightningModule, batch_idx: int) -> None:
        if self.works(trainer):
            run = self.start(trainer, pl_module)
            if batch_idx == 0 and self.watches(trainer):
                self._own_step.watch(run.vit)

    def _drop(self) -> None:
        self._own_step.release()
        if self._run is not None:
            self._run.release()
            self._run = None
