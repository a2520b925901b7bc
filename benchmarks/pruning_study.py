"""Neurons pruned while a model trains: accuracy, neural burden and re-activation, on digits.

    python -m benchmarks.pruning_study        trains what is not trained yet, and writes docs/pruning.md

Every training is stored by itself in `--folder`, so that a stopped study goes on. The page is written at
the end; about 11 minutes on two cores.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset, default_collate

from benchmarks.pruning_page import write_page
from nplight import open_vit
from nplight.callbacks import PathBurden, PathPruning
from nplight.data import DigitsDataModule, ImageBatch
from nplight.modules import ViTClassifier
from nplight.runs import SearchRun, SearchSettings
from nplight.store import RunFolder, write_whole

SEEDS = (0, 1, 2)
SHARES = (0.5, 0.7, 0.9, 0.95)
EPOCHS = 20
MASKS = 10
"""Masks of a training: half of them while the pruned share grows, with re-activation as many after."""

RANKED_BY = 32
"""Training images that rank neurons and whose loads are measured."""

MERGED = 4
"""Of 16 patch tokens."""

MODEL: dict[str, Any] = {
    "model_name": "vit_tiny_patch16_224",
    "num_classes": 10,
    "model_args": {"img_size": 16, "patch_size": 4, "embed_dim": 32, "depth": 4, "num_heads": 4},
    "learning_rate": 5e-3,
}
_JOINT = "joint_integrated_gradients"


@dataclass(frozen=True)
class Training:
    """One training of the study.

    Attributes:
        criterion: of `PathPruning`; "none" for a dense one.
        share: of the neurons that are pruned in the end.
        reactivate: of `PathPruning`.
        merged: patch tokens that are merged.
        seed: of weights and batches.
    """

    criterion: str
    share: float
    reactivate: bool | str
    merged: int
    seed: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.criterion}-{self.share:g}-{self.reactivate}-{self.merged}-{self.seed}".lower()


# Scores that never change choose the same neurons again: re-activation would do nothing.
VARIANTS: Sequence[tuple[str, bool | str, int]] = (
    (_JOINT, False, 0),
    ("magnitude", False, 0),
    ("random", False, 0),
    (_JOINT, True, 0),
    ("magnitude", True, 0),
    (_JOINT, False, MERGED),
    (_JOINT, True, MERGED),
    ("path", False, 0),
    (_JOINT, "rigl", 0),
)


def trainings(seeds: Sequence[int] = SEEDS, shares: Sequence[float] = SHARES) -> Iterator[Training]:
    """All trainings; the dense ones of a seed, which the others are compared with, come first."""
    for seed in seeds:
        for merged in (0, MERGED):
            yield Training("none", 0.0, False, merged, seed)
        for criterion, reactivate, merged in VARIANTS:
            for share in shares:
                yield Training(criterion, share, reactivate, merged, seed)


class ReturnedNeurons(Callback):
    """Notes which neurons have been pruned at any time.

    Args:
        pruning: the callback that prunes.
    """

    def __init__(self, pruning: PathPruning) -> None:
        self._pruning = pruning
        self._pruned: list[Tensor] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """Add those that are pruned now."""
        pruner = self._pruning.pruner
        if pruner is not None:
            gone = [~kept for kept in pruner.masks.kept]
            self._pruned = [was | now for was, now in zip(self._pruned, gone)] if self._pruned else gone

    def share(self) -> float:
        """Share of the neurons in use at the end that had been pruned before."""
        pruner = self._pruning.pruner
        kept = [] if pruner is None else pruner.masks.kept
        returned = sum(int((now & was).sum()) for now, was in zip(kept, self._pruned))
        return returned / max(1, sum(int(mask.sum()) for mask in kept))


class Study:
    """Trains and measures.

    Args:
        folder: of the results and of what later trainings need of earlier ones.
        epochs: of every training.
    """

    def __init__(self, folder: Path, epochs: int = EPOCHS) -> None:
        self.folder, self.epochs = folder, epochs
        data = DigitsDataModule()
        data.setup("fit")
        train: Any = data.train_data()
        train._augment = None  # the augmentation of an image takes longer than its training
        self._train = _tensors(train)
        self.images, self.labels = _tensors(data.evaluation_data()[0])

    def run(self, training: Training) -> dict[str, Any]:
        """The result of a training: stored, or trained now."""
        path = self.folder / f"{training.name}.json"
        if path.exists():
            return dict(json.loads(path.read_text()))
        result = {**asdict(training), **self._trained(training)}
        write_whole(path, lambda file: file.write_text(json.dumps(result, indent=1) + "\n"))
        return result

    def _trained(self, training: Training) -> dict[str, Any]:
        began = time.perf_counter()
        seed_everything(training.seed, verbose=False)
        module = ViTClassifier(**MODEL, merge_tokens=training.merged)
        ranking = self._ranking_images(training.seed)
        with tempfile.TemporaryDirectory() as scratch:
            dense = training.criterion == "none"
            twin = self.folder / f"twin-{training.merged}-{training.seed}"
            burden = PathBurden(
                run_dir=twin if dense else scratch, twin="before" if dense else twin, images=RANKED_BY, every_n_epochs=2
            )
            callbacks: list[Callback] = [burden]
            returned = None
            if not dense:
                stored = {"paths": twin / "found"} if training.criterion == "path" else {}
                pruning = PathPruning(
                    training.share,
                    criterion=training.criterion,
                    reactivate=training.reactivate,
                    images=RANKED_BY,
                    steps=2,
                    every=max(1, self.epochs * (len(self._train[1]) // 64) // MASKS),
                    seed=training.seed,
                    run_dir=scratch,
                    **stored,
                )
                returned = ReturnedNeurons(pruning)
                callbacks = [pruning, burden, returned]
            trainer = Trainer(
                accelerator="cpu", devices=1, max_epochs=self.epochs, callbacks=callbacks, logger=False,
                enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
                num_sanity_val_steps=0, check_val_every_n_epoch=self.epochs,
            )  # fmt: skip
            loader = DataLoader(TensorDataset(*self._train), batch_size=64, shuffle=True, drop_last=True)
            trainer.fit(module, loader, DataLoader(TensorDataset(*ranking), batch_size=RANKED_BY))
        module.eval()
        with torch.no_grad():
            correct = int((module(self.images).argmax(1) == self.labels).sum())
        if dense:
            self._store_path(module, twin / "found", *ranking)
        return {
            "correct": correct,
            "images": len(self.labels),
            "burden": burden.records[-1]["burden"],
            "by_layer": burden.records[-1]["by_layer"],
            "curve": [[record["step"], record["burden"], record["pruned"]] for record in burden.records],
            "returned": 0.0 if returned is None else returned.share(),
            "widths": list(open_vit(module).widths),
            "seconds": round(time.perf_counter() - began, 1),
        }

    def _ranking_images(self, seed: int) -> tuple[Tensor, Tensor]:
        """Training images, the same for all trainings of a seed."""
        images, labels = self._train
        chosen = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:RANKED_BY]
        return images[chosen], labels[chosen]

    @staticmethod
    def _store_path(module: ViTClassifier, folder: Path, images: Tensor, labels: Tensor) -> None:
        """A search of the trained dense model at all tokens, for the criterion `path`."""
        vit = open_vit(module.model)
        options: dict[str, Any] = {"tokens": "all", "steps": 3, "rule": "gauss-legendre", "tolerance": 0}
        settings = SearchSettings.of([_JOINT], kept=(min(vit.widths),), labelled=False, **options)
        with SearchRun(vit, RunFolder(folder), settings, overwrite=True) as run:
            run.update(ImageBatch(images, labels))


def _tensors(digits: Any) -> tuple[Tensor, Tensor]:
    batch = default_collate(list(digits))
    return batch["image"], batch["label"]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/pruning_study"), help="of the results")
    parser.add_argument("--processes", type=int, default=2, help="that train at the same time, one thread each")
    parser.add_argument("--write", action="store_true", help="write the page from what is there, and say so on it")
    chosen = parser.parse_args(arguments)
    planned = list(trainings())
    if not chosen.write:
        # The others are compared with the dense ones, and rank by what those found.
        dense = [training for training in planned if training.criterion == "none"]
        with ProcessPoolExecutor(chosen.processes, multiprocessing.get_context("spawn")) as pool:
            for trained in (dense, [training for training in planned if training not in dense]):
                for line in pool.map(_run, trained, [chosen.folder] * len(trained)):
                    print(line, flush=True)
    stored = [chosen.folder / f"{training.name}.json" for training in planned]
    results = [json.loads(path.read_text()) for path in stored if path.exists()]
    write_page(results, len(planned))


@functools.cache
def _study(folder: Path) -> Study:
    """Of this process."""
    torch.set_num_threads(1)
    return Study(folder)


def _run(training: Training, folder: Path) -> str:
    """Train in a process of the pool; a line about it."""
    result = _study(folder).run(training)
    return f"{training.name}: {result['correct']} of {result['images']}, burden {result['burden']:+.3f}"


if __name__ == "__main__":
    main()
