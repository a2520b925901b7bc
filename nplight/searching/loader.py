"""Search over a loader or a data set, batch by batch, in the order of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Literal, cast

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from nplight.errors import ArgumentError, NonFiniteError, check_choice, check_dense, described
from nplight.paths import PathBatch
from nplight.vit import OpenViT

Target = Literal["label", "prediction"]
Find = Callable[[Tensor, Tensor | None], PathBatch]

TARGETS: tuple[Target, ...] = ("label", "prediction")
BATCH_SIZE = 32
"""Images per batch of a data set given without a loader."""


def over_batches(
    vit: OpenViT, data: Any, targets: Tensor | Target | None, find: Find, *, progress: bool | None = None
) -> PathBatch:
    """Search every batch of a loader; only the paths are kept, on the CPU.

    Args:
        vit: the opened model; images are moved to its device.
        data: a DataLoader, a data set, or an iterable of batches that `nplight.data.read_batch` can read.
        targets: `label`, the label of each image; `prediction` or `None`, the predicted category; or (images,) int64.
        find: returns the paths of a batch: images and targets (`None`: predicted) on the model's device.
        progress: show a bar; `None`: on a terminal and in a notebook.

    Raises:
        ArgumentError: the loader does not give every image in the order of the data, or a batch cannot be read.
        NonFiniteError: NaN or infinite values appeared, naming the images by their position in the data.
    """
    from nplight.data.batch import ImageBatch, read_batch  # imports Lightning, which a search of tensors does not need

    if not isinstance(targets, Tensor) and targets is not None:
        check_choice("targets", targets, TARGETS)
    loader = _loader(data)
    total = _count(loader)
    if isinstance(targets, Tensor):
        check_dense("targets", targets)
        _check_number(targets, total)

    def targets_of(batch: ImageBatch, start: int) -> Tensor | None:
        if isinstance(targets, Tensor):
            if start + len(batch) > len(targets):
                _check_number(targets, start + len(batch))
            return targets[start : start + len(batch)]
        if targets == "label" and batch.labels is None:
            raise ArgumentError("`targets` must be None or 'prediction' where the batches have no labels, got 'label'")
        return batch.labels if targets == "label" else None

    device, done = vit.down[0].linear.weight.device, 0
    parts: list[PathBatch] = []
    with _bar(progress, total) as advance:
        for item in loader:
            batch = read_batch(item)
            check_dense("images", batch.images)
            try:
                parts.append(find(batch.images.to(device), targets_of(batch, done)).to("cpu"))
            except NonFiniteError as error:
                positions = [done + position for position in error.positions]
                raise NonFiniteError(error.what, positions, of="the data") from None
            done += len(batch)
            advance(len(batch))
    if not parts:
        raise ArgumentError("`images` must hold at least one image, got a loader without any")
    if isinstance(targets, Tensor):
        _check_number(targets, done)
    return PathBatch.cat(parts)


def _loader(data: Any) -> Iterable[Any]:
    """An iterable over the batches of `data`, with every image once and in order."""
    plain = isinstance(data, (str, bytes, Mapping, np.ndarray, type))
    sized = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    if isinstance(data, DataLoader):
        _check_order(data)
        return data
    if isinstance(data, Dataset) or (sized and not plain and not isinstance(data, (list, tuple))):
        return DataLoader(cast("Dataset[Any]", data), batch_size=BATCH_SIZE, collate_fn=_collate)
    if plain or not isinstance(data, Iterable):
        raise ArgumentError(
            f"`images` must be a floating-point tensor of normalised images, or a DataLoader or data set of them, "
            f"got {described(data)}"
        )
    return data


def _check_order(loader: DataLoader[Any]) -> None:
    """Refuse a loader that changes the order of its images, or drops some."""
    from nplight.data.sampler import shuffles  # imports Lightning, which a search of tensors does not need

    if shuffles(loader):
        raise ArgumentError(
            "`images` must be a loader that gives the images in the order of the data, got one that shuffles them; "
            "make it with shuffle=False, or give the data set itself"
        )
    images = _count(loader)
    if loader.drop_last and (images is None or images % (loader.batch_size or 1)):
        raise ArgumentError(
            "`images` must be a loader that gives every image, got one with drop_last=True; make it with False"
        )


def _count(loader: Iterable[Any]) -> int | None:
    """The number of images of a loader, if it is known."""
    if not isinstance(loader, DataLoader):
        return None
    sampler = loader.sampler if loader.batch_sampler is None else getattr(loader.batch_sampler, "sampler", None)
    try:
        len(cast(Any, loader.dataset))  # raises for data without a length, whose sampler may claim one
        return len(cast(Any, sampler))
    except (TypeError, NotImplementedError):
        return None


def _check_number(targets: Tensor, images: int | None) -> None:
    if targets.ndim != 1 or (images is not None and len(targets) != images):
        raise ArgumentError(
            f"`targets` must be an int64 tensor of one category for each of the {images or 'loader’s'} images, "
            f"got shape {tuple(targets.shape)}"
        )


def _collate(samples: list[Any]) -> Any:
    try:
        return default_collate(samples)
    except (TypeError, RuntimeError) as error:
        raise ArgumentError(
            f"a data set must give images that are tensors of one shape, got {described(samples[0])}: "
            f"{str(error).splitlines()[0]}; give it a transform, or give a DataLoader with a `collate_fn`"
        ) from error


@contextmanager
def _bar(show: bool | None, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar; call it with the number of images that were added."""
    if show is False:
        yield lambda images: None
        return
    import rich
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = rich.get_console()
    notebook = console.is_jupyter and find_spec("ipywidgets") is not None
    watched = (console.is_terminal and not console.is_jupyter) or notebook
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not (show or watched)) as bar:
        task = bar.add_task("Searching paths, images", total=total)
        yield lambda images: bar.advance(task, images)
