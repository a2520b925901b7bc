"""The values that travel: paths of images, paths of categories."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nplight.errors import ArgumentError, PositionError, check_dense, described, listed
from nplight.path_file import PathLike, read_tensors, write_tensors
from nplight.path_views import category_lines, frame, image_lines, path_figure, summary

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["CategoryPaths", "PathBatch", "check_labels", "check_neurons", "one_path_per_image"]


def check_neurons(neurons: Tensor, widths: Sequence[int], *, images: int | None = None, distinct: bool = False) -> None:
    """Refuse neurons that are no indices into layers of `widths` neurons.

    Args:
        neurons: (images, layers, K) or (layers, K), int64.
        widths: neurons in each layer.
        images: if given, also refuse paths for another number of images.
        distinct: also refuse a neuron that stands twice in one layer.

    Raises:
        ArgumentError: naming the rule that is broken.
    """
    if not isinstance(neurons, Tensor) or neurons.dtype != torch.int64:
        kind = neurons.dtype if isinstance(neurons, Tensor) else type(neurons).__name__
        raise ArgumentError(f"`neurons` must be an int64 tensor, got {kind}")
    check_dense("neurons", neurons)
    shape = tuple(neurons.shape)
    if neurons.ndim not in (2, 3) or shape[-2] != len(widths) or 0 in shape:
        raise ArgumentError(
            f"`neurons` must be (images, layers, K) or (layers, K) with layers = {len(widths)} and K >= 1, got {shape}"
        )
    if images is not None and neurons.ndim == 3 and len(neurons) != images:
        raise ArgumentError(
            f"`neurons` must hold one path for each of the {images} images, or be one (layers, K) path for all, "
            f"got {len(neurons)} paths"
        )
    limits = torch.tensor(list(widths), device=neurons.device).unsqueeze(-1)
    outside = ((neurons < 0) | (neurons >= limits)).nonzero().tolist()
    if outside:
        layer = outside[0][-2]
        raise ArgumentError(
            f"`neurons` of layer {layer} must be in 0 … {widths[layer] - 1}, got {neurons[tuple(outside[0])].item()}"
        )
    if distinct:
        ordered = neurons.sort(dim=-1).values
        repeated = (ordered[..., 1:] == ordered[..., :-1]).nonzero().tolist()
        if repeated:
            raise ArgumentError(
                f"`neurons` of a layer must be distinct, got neuron {ordered[tuple(repeated[0])].item()} "
                f"twice in layer {repeated[0][-2]}"
            )


def check_labels(labels: Tensor, images: int, num_classes: int) -> None:
    """Refuse labels that are not one category for each of `images` images.

    Raises:
        ArgumentError: naming the rule that is broken.
    """
    if isinstance(labels, Tensor):
        check_dense("labels", labels)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (images,):
        got = f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise ArgumentError(f"`labels` must be an int64 tensor of shape ({images},), got {got}")
    outside = ((labels < 0) | (labels >= num_classes)).nonzero().flatten().tolist()
    if outside:
        raise ArgumentError(
            f"`labels` must be in 0 … {num_classes - 1}, got {labels[outside[0]].item()} for image {outside[0]}"
        )


@dataclass(frozen=True, slots=True, repr=False)
class PathBatch:
    """The neuron paths of a batch of images.

    It is indexed and iterated by image, saved and loaded, drawn and turned into pandas, and stands wherever `neurons`
    are asked for.

    `scores` are of the whole path: its neurons are scaled from 0 to their clean values together, and the other neurons
    of its layers at the path tokens are held at their clean values. `neuron_scores` are those of the search step that
    chose the neuron: for `jas` with the whole layer scaled, and the neurons chosen in the layers before it. They order
    the neurons of a layer; they are no shares of `scores` and do not add up to it.

    Attributes:
        neurons: (images, layers, K) int64, the path: K neurons a layer, best first.
        neuron_scores: (images, layers, K), the score by which each was chosen.
        scores: (images,), the joint attribution score of the whole path.
        targets: (images,) int64, the category whose probability was attributed.
        probability: (images,), of the target on the clean pass, in [0, 1].
        predictions: (images,) int64, the most probable category on the clean pass.
        ranking: (images, layers, R) int64, the R best candidates of each layer, best first.
        ranking_scores: (images, layers, R), their scores.
    """

    neurons: Tensor
    neuron_scores: Tensor
    scores: Tensor
    targets: Tensor
    probability: Tensor
    predictions: Tensor
    ranking: Tensor
    ranking_scores: Tensor

    def __post_init__(self) -> None:
        images, layers, _ = _checked("neurons", self.neurons, (None, None, None), whole=True)
        _checked("neuron_scores", self.neuron_scores, tuple(self.neurons.shape))
        for name in ("scores", "probability"):
            _checked(name, getattr(self, name), (images,))
        for name in ("targets", "predictions"):
            _checked(name, getattr(self, name), (images,), whole=True)
        _checked("ranking", self.ranking, (images, layers, None), whole=True)
        _checked("ranking_scores", self.ranking_scores, tuple(self.ranking.shape))

    def __len__(self) -> int:
        return len(self.neurons)

    def __repr__(self) -> str:
        images, layers, size = self.neurons.shape
        mean = f", mean score {self.scores.mean().item():.4g}" if images else ""
        title = f"PathBatch: {images} images, {layers} layers, K = {size}, R = {self.ranking.shape[-1]}{mean}"
        lines = image_lines(self.neurons, self.targets, self.probability, self.scores)
        return summary(title, lines, images - len(lines))

    def __getitem__(self, images: int | slice | Sequence[int] | Tensor) -> PathBatch:
        """Some of the images, as a batch of copies: `batch[0]` is a batch of one image.

        Args:
            images: a position, a slice, several positions, or a bool mask (images,).

        Raises:
            PositionError: a position is none of the images.
            ArgumentError: it is none of these.
        """
        chosen = _positions(images, len(self))
        return PathBatch(**{name: values[chosen.to(values.device)] for name, values in self._tensors().items()})

    def __iter__(self) -> Iterator[PathBatch]:
        """Each image as a batch of one."""
        return (self[image] for image in range(len(self)))

    def to_pandas(self) -> pd.DataFrame:
        """One row per image, the columns as `nplight.read_paths` has them; tensors as one NumPy array per row."""
        return frame(
            {
                "target": self.targets,
                "prediction": self.predictions,
                "probability": self.probability,
                "score": self.scores,
                "neurons": self.neurons,
                "neuron_scores": self.neuron_scores,
                "ranking": self.ranking,
                "ranking_scores": self.ranking_scores,
            }
        )

    def plot(self, image: int = 0) -> go.Figure:
        """The path of one image as a Plotly figure: neuron index against layer.

        Raises:
            PositionError: there is no such image.
        """
        if not _is_position(image):
            raise ArgumentError(f"`image` must be the position of one image, got {described(image)}")
        paths = self[image]
        title = f"Neuron path of image {image}: target {paths.targets.item()}, score {paths.scores.item():.4g}"
        return path_figure(paths.neurons[0], paths.neuron_scores[0], title)

    def save(self, path: PathLike) -> None:
        """Write the paths to a safetensors file, which appears whole or not at all; `load` reads it.

        Raises:
            ArgumentError: the file cannot be written.
        """
        write_tensors(path, self._tensors(), "PathBatch")

    @staticmethod
    def load(path: PathLike) -> PathBatch:
        """Read what `save` wrote, onto the CPU; no code in the file is run.

        Raises:
            ArgumentError: there is no such file, it is damaged, or it holds something else.
        """
        return PathBatch(**read_tensors(path, [field.name for field in fields(PathBatch)], "PathBatch"))

    def _tensors(self) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to(self, device: torch.device | str) -> PathBatch:
        """The same paths on another device."""
        try:
            there = torch.device(device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ArgumentError(f"`device` must be a device, such as 'cpu', got {described(device)}") from error
        return PathBatch(**{name: values.to(there) for name, values in self._tensors().items()})

    @staticmethod
    def cat(batches: Sequence[PathBatch]) -> PathBatch:
        """Several batches as one, in order.

        Raises:
            ArgumentError: there are none, or their layers, K or R differ.
        """
        several = isinstance(batches, (list, tuple)) and len(batches) > 0
        if not several or not all(isinstance(batch, PathBatch) for batch in batches):
            raise ArgumentError(f"`batches` must be at least one PathBatch, in a list, got {described(batches)}")
        shapes = {(tuple(batch.neurons.shape[1:]), batch.ranking.shape[-1]) for batch in batches}
        if len(shapes) > 1:
            raise ArgumentError(
                f"`batches` must be of the same layers, K and R, got ((layers, K), R) of {listed(sorted(shapes))}"
            )
        return PathBatch(
            **{field.name: torch.cat([getattr(batch, field.name) for batch in batches]) for field in fields(PathBatch)}
        )


@dataclass(frozen=True, slots=True, repr=False)
class CategoryPaths:
    """One neuron path for every category.

    Attributes:
        neurons: (categories, layers, K) int64.
        votes: (categories, layers, K), what chose each neuron: how many images' paths hold it (`frequency`,
            `rank-mode`) or its mean score over the category's images (`mean-score`, `joint`).
        images: (categories,) int64, how many images each path was formed from.
        method: `frequency`, `rank-mode` or `mean-score`; `joint` for one path of a category's images together.
    """

    neurons: Tensor
    votes: Tensor
    images: Tensor
    method: str

    def __post_init__(self) -> None:
        categories, *_ = _checked("neurons", self.neurons, (None, None, None), whole=True)
        _checked("votes", self.votes, tuple(self.neurons.shape))
        _checked("images", self.images, (categories,), whole=True)
        empty = (self.images == 0).nonzero().flatten().tolist()
        if empty:
            raise ArgumentError(
                f"every category must have at least one image to form its path, "
                f"but categories {listed(empty)} have none; give them images or leave the categories out"
            )

    def __len__(self) -> int:
        return len(self.neurons)

    def __repr__(self) -> str:
        categories, layers, size = self.neurons.shape
        title = f"CategoryPaths: {categories} categories, {layers} layers, K = {size}, by {self.method}"
        lines = category_lines(self.neurons, self.images)
        return summary(title, lines, categories - len(lines))

    @property
    def top_k(self) -> int:
        """Neurons a layer."""
        return self.neurons.shape[-1]

    def of(self, labels: Tensor) -> Tensor:
        """The path of each image's category: labels (images,) int64 -> neurons (images, layers, K).

        Raises:
            ArgumentError: a label is no category that has a path here.
        """
        (images,) = _checked("labels", labels, (None,), whole=True)
        outside = ((labels < 0) | (labels >= len(self))).nonzero().flatten().tolist()
        if outside:
            raise ArgumentError(
                f"`labels` must be in 0 … {len(self) - 1}, the categories that have a path, "
                f"got {labels[outside[0]].item()} for image {outside[0]} of {images}"
            )
        return self.neurons.to(labels.device)[labels]


def one_path_per_image(neurons: Tensor | PathBatch | CategoryPaths) -> Tensor:
    """The neurons of a path for each image, (images, layers, K), or of one for all, (layers, K).

    Raises:
        ArgumentError: they are the paths of several categories, and it is not said which image is of which.
    """
    if isinstance(neurons, PathBatch):
        return neurons.neurons
    if not isinstance(neurons, CategoryPaths):
        return neurons
    if len(neurons) > 1:
        raise ArgumentError(
            f"`neurons` must hold a path for each image, got the paths of {len(neurons)} categories; "
            f"give those of the images' categories, category_paths.of(labels)"
        )
    return neurons.neurons[0]


def _positions(images: Any, count: int) -> Tensor:
    """Positions in 0 … `count` - 1, (chosen,) int64, from what stands between the brackets."""
    if isinstance(images, slice):
        try:
            return torch.arange(count)[list(range(*images.indices(count)))]
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"a slice of images must be of whole numbers, got {images}: {error}") from error
    if isinstance(images, Tensor) and images.dtype == torch.bool and images.shape == (count,):
        check_dense("images", images)
        return images.cpu().nonzero().flatten()
    if isinstance(images, Tensor):
        check_dense("images", images)
        images = images.tolist()
    several = list(images) if isinstance(images, (list, tuple, range)) else [images]
    if not all(map(_is_position, several)):
        raise ArgumentError(
            f"images must be chosen by a position, a slice, several positions or a mask of {count} images, "
            f"got {described(images)}"
        )
    positions = list(map(operator.index, several))
    if outside := [position for position in positions if not -count <= position < count]:
        raise PositionError(f"the position of an image must be in 0 … {count - 1}, got {outside[0]}")
    return torch.tensor([position % count for position in positions], dtype=torch.int64)


def _is_position(value: object) -> bool:
    if isinstance(value, (bool, Tensor)):
        return False
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _checked(name: str, value: Tensor, shape: tuple[int | None, ...], *, whole: bool = False) -> tuple[int, ...]:
    """The shape of a dense tensor that has `shape`, `None` for any size; `whole`: and is of int64.

    Raises:
        ArgumentError: it is something else.
    """
    if not isinstance(value, Tensor):
        raise ArgumentError(f"`{name}` must be a tensor, got {described(value)}")
    check_dense(name, value)
    found = tuple(value.shape)
    if len(found) != len(shape) or any(size not in (None, there) for size, there in zip(shape, found)):
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise ArgumentError(f"`{name}` must have shape ({sizes}), got {found}")
    if whole and value.dtype != torch.int64:
        raise ArgumentError(f"`{name}` must be int64, got {value.dtype}")
    return found
