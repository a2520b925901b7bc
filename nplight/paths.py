"""The value types of the library: paths of images (`PathBatch`) and of categories (`CategoryPaths`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nplight.errors import ArgumentError, check_choice, described, listed
from nplight.path_checks import (
    TOKENS,
    Tokens,
    check_labels,
    check_neurons,
    check_no_category_empty,
    checked_shape,
    is_position,
    positions_of,
)
from nplight.path_file import PathLike, read_tensors, write_tensors
from nplight.path_views import category_lines, frame, image_lines, path_figure, summary

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["CategoryPaths", "PathBatch", "check_labels", "check_neurons", "one_path_per_image", "tokens_of_paths"]


# In a file of `save`; left out for the path tokens, as in files of older versions.
_ALL_TOKENS = "all_tokens"


@dataclass(frozen=True, slots=True, repr=False)
class PathBatch:
    """The neuron paths of a batch of images.

    A batch is indexed and iterated by image, saved and loaded, plotted, converted to pandas, and accepted wherever
    `neurons` are an argument.

    `scores` belong to the whole path: its neurons are scaled from 0 to their clean values together, and the other
    neurons of its layers at the path tokens are held at their clean values. `neuron_scores` come from the search step
    that chose the neuron: for `jas` the whole layer is scaled, with the neurons already chosen in earlier layers. They
    order the neurons of a layer; they are not shares of `scores` and do not add up to it.

    Attributes:
        neurons: (images, layers, K) int64, the path: K neurons per layer, best first.
        neuron_scores: (images, layers, K), the score by which each neuron was chosen.
        scores: (images,), the joint attribution score of the whole path.
        targets: (images,) int64, the attributed category.
        probability: (images,), of the target on the clean pass, in [0, 1].
        predictions: (images,) int64, the most probable category on the clean pass.
        ranking: (images, layers, R) int64, the R best candidates of each layer, best first.
        ranking_scores: (images, layers, R), their scores.
        effect: (images,), measured: the objective on the clean pass minus that with the path removed at the path
            tokens, all other neurons free.
        evaluations: (images,) int64, the quadrature nodes that were differentiated to choose the neurons, summed over
            the layers; a node that serves all layers counts once. 0 for a method without an integral. With `tolerance`
            0 of `jas` layers times `steps`. Left out: 0.
        margin: (images, layers), the K-th largest score of the layer minus the next one; infinite where all neurons
            are chosen. Left out: NaN.
        tokens: at which the neurons were read and edited: `path`, the model's path tokens; or `all`.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> paths = nplight.search(planted.model, planted.images, planted.labels, method="joint_integrated_gradients")
        >>> paths.neurons.shape  # (images, layers, K)
        torch.Size([16, 4, 1])
        >>> paths[0].neurons.flatten().tolist() == planted.paths[0].flatten().tolist()
        True
        >>> len(paths.to_pandas())
        16
    """

    neurons: Tensor
    neuron_scores: Tensor
    scores: Tensor
    targets: Tensor
    probability: Tensor
    predictions: Tensor
    ranking: Tensor
    ranking_scores: Tensor
    effect: Tensor
    evaluations: Tensor = None  # type: ignore[assignment]
    margin: Tensor = None  # type: ignore[assignment]
    tokens: Tokens = "path"

    def __post_init__(self) -> None:
        images, layers, _ = checked_shape("neurons", self.neurons, (None, None, None), integer=True)
        if self.evaluations is None:
            object.__setattr__(self, "evaluations", self.neurons.new_zeros(images))
        if self.margin is None:
            unknown = torch.full((images, layers), torch.nan, device=self.neurons.device)
            object.__setattr__(self, "margin", unknown)
        checked_shape("neuron_scores", self.neuron_scores, tuple(self.neurons.shape))
        for name in ("scores", "effect", "probability"):
            checked_shape(name, getattr(self, name), (images,))
        for name in ("targets", "predictions", "evaluations"):
            checked_shape(name, getattr(self, name), (images,), integer=True)
        checked_shape("ranking", self.ranking, (images, layers, None), integer=True)
        checked_shape("margin", self.margin, (images, layers))
        checked_shape("ranking_scores", self.ranking_scores, tuple(self.ranking.shape))
        check_choice("tokens", self.tokens, TOKENS)

    def __len__(self) -> int:
        return len(self.neurons)

    def __repr__(self) -> str:
        images, layers, size = self.neurons.shape
        mean = f", mean score {self.scores.mean().item():.4g}" if images else ""
        title = f"PathBatch: {images} images, {layers} layers, K = {size}, R = {self.ranking.shape[-1]}"
        title += f"{_at_tokens(self.tokens)}{mean}"
        lines = image_lines(self.neurons, self.targets, self.probability, self.scores)
        return summary(title, lines, images - len(lines))

    def __getitem__(self, images: int | slice | Sequence[int] | Tensor) -> PathBatch:
        """The chosen images as a batch of copies: `batch[0]` is a batch of one image.

        Args:
            images: a position, a slice, several positions, or a bool mask (images,).

        Raises:
            PositionError: a position is out of range.
            ArgumentError: `images` is of another kind.
        """
        chosen = positions_of(images, len(self))
        tensors = {name: values[chosen.to(values.device)] for name, values in self._tensors().items()}
        return PathBatch(**tensors, tokens=self.tokens)

    def __iter__(self) -> Iterator[PathBatch]:
        """Each image as a batch of one."""
        return (self[image] for image in range(len(self)))

    def to_pandas(self) -> pd.DataFrame:
        """One row per image, with the columns of `nplight.read_paths`; tensors are one NumPy array per row."""
        return frame(
            {
                "target": self.targets,
                "prediction": self.predictions,
                "probability": self.probability,
                "score": self.scores,
                "effect": self.effect,
                "neurons": self.neurons,
                "neuron_scores": self.neuron_scores,
                "ranking": self.ranking,
                "ranking_scores": self.ranking_scores,
                "evaluations": self.evaluations,
            }
        )

    def plot(self, image: int = 0) -> go.Figure:
        """The path of one image as a Plotly figure: neuron index against layer.

        Raises:
            PositionError: the position is out of range.
        """
        if not is_position(image):
            raise ArgumentError(f"`image` must be the position of one image, got {described(image)}")
        paths = self[image]
        title = f"Neuron path of image {image}: target {paths.targets.item()}, score {paths.scores.item():.4g}"
        return path_figure(paths.neurons[0], paths.neuron_scores[0], title)

    def save(self, path: PathLike) -> None:
        """Write the paths to a safetensors file, atomically; `load` reads it.

        Raises:
            ArgumentError: the file cannot be written.
        """
        marked = {_ALL_TOKENS: torch.tensor(True)} if self.tokens == "all" else {}
        write_tensors(path, {**self._tensors(), **marked}, "PathBatch")

    @staticmethod
    def load(path: PathLike) -> PathBatch:
        """Read a file of `save` onto the CPU, without running code from it.

        Raises:
            ArgumentError: the file is missing, damaged, or holds something else.
        """
        names = [field.name for field in fields(PathBatch) if field.name != "tokens"]
        tensors = read_tensors(path, names, "PathBatch", optional=[_ALL_TOKENS])
        tokens: Tokens = "path" if tensors.pop(_ALL_TOKENS, None) is None else "all"
        return PathBatch(**tensors, tokens=tokens)

    def _tensors(self) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "tokens"}

    def to(self, device: torch.device | str) -> PathBatch:
        """The same paths on another device."""
        try:
            target = torch.device(device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ArgumentError(f"`device` must be a device, such as 'cpu', got {described(device)}") from error
        tensors = {name: values.to(target) for name, values in self._tensors().items()}
        return PathBatch(**tensors, tokens=self.tokens)

    @staticmethod
    def cat(batches: Sequence[PathBatch]) -> PathBatch:
        """Concatenate batches, in order.

        Raises:
            ArgumentError: there is no batch, or their layers, K, R or tokens differ.
        """
        if (
            not isinstance(batches, (list, tuple))
            or not batches
            or not all(isinstance(batch, PathBatch) for batch in batches)
        ):
            raise ArgumentError(f"`batches` must be at least one PathBatch, in a list, got {described(batches)}")
        shapes = {(tuple(batch.neurons.shape[1:]), batch.ranking.shape[-1]) for batch in batches}
        if len(shapes) > 1:
            raise ArgumentError(
                f"`batches` must be of the same layers, K and R, got ((layers, K), R) of {listed(sorted(shapes))}"
            )
        if len({batch.tokens for batch in batches}) > 1:
            raise ArgumentError("`batches` must be of one kind of `tokens`, got paths at path tokens and at all tokens")
        parts = [batch._tensors() for batch in batches]
        tensors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return PathBatch(**tensors, tokens=batches[0].tokens)


@dataclass(frozen=True, slots=True, repr=False)
class CategoryPaths:
    """One neuron path per category.

    Attributes:
        neurons: (categories, layers, K) int64.
        votes: (categories, layers, K), the support of each neuron: the number of images whose paths contain it
            (`frequency`, `rank-mode`) or its mean score over the category's images (`mean-score`, `joint`).
        images: (categories,) int64, the number of images that each path was formed from.
        method: `frequency`, `rank-mode` or `mean-score`; `joint` for one path of a category's images together.
        tokens: at which the neurons were read and edited: `path`, the model's path tokens; or `all`.

    Examples:
        >>> import torch
        >>> import nplight
        >>> paths = torch.tensor([[[0], [3]], [[0], [4]], [[1], [4]]])  # (3 images, 2 layers, 1 neuron)
        >>> category = nplight.category_paths(paths, torch.tensor([0, 0, 0]), num_classes=1)
        >>> category.neurons.tolist()
        [[[0], [4]]]
        >>> category.votes.tolist()
        [[[2.0], [2.0]]]
        >>> category.of(torch.tensor([0, 0])).shape
        torch.Size([2, 2, 1])
    """

    neurons: Tensor
    votes: Tensor
    images: Tensor
    method: str
    tokens: Tokens = "path"

    def __post_init__(self) -> None:
        categories, *_ = checked_shape("neurons", self.neurons, (None, None, None), integer=True)
        checked_shape("votes", self.votes, tuple(self.neurons.shape))
        checked_shape("images", self.images, (categories,), integer=True)
        check_choice("tokens", self.tokens, TOKENS)
        check_no_category_empty(self.images)

    def __len__(self) -> int:
        return len(self.neurons)

    def __repr__(self) -> str:
        categories, layers, size = self.neurons.shape
        title = f"CategoryPaths: {categories} categories, {layers} layers, K = {size}, by {self.method}"
        title += _at_tokens(self.tokens)
        lines = category_lines(self.neurons, self.images)
        return summary(title, lines, categories - len(lines))

    @property
    def top_k(self) -> int:
        """Neurons per layer."""
        return self.neurons.shape[-1]

    def of(self, labels: Tensor) -> Tensor:
        """The path of each image's category: labels (images,) int64 -> neurons (images, layers, K).

        Raises:
            ArgumentError: a label is not a category with a path here.
        """
        (images,) = checked_shape("labels", labels, (None,), integer=True)
        outside = ((labels < 0) | (labels >= len(self))).nonzero().flatten().tolist()
        if outside:
            raise ArgumentError(
                f"`labels` must be in 0 … {len(self) - 1}, the categories that have a path, "
                f"got {labels[outside[0]].item()} for image {outside[0]} of {images}"
            )
        return self.neurons.to(labels.device)[labels]


def tokens_of_paths(neurons: object) -> Tokens:
    """The tokens at which paths were searched; the path tokens for neurons that do not say."""
    return neurons.tokens if isinstance(neurons, (PathBatch, CategoryPaths)) else "path"


def one_path_per_image(neurons: Tensor | PathBatch | CategoryPaths) -> Tensor:
    """The neurons of one path per image, (images, layers, K), or of one path for all images, (layers, K).

    Raises:
        ArgumentError: they are paths of several categories, so that the path of an image is unknown.
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


def _at_tokens(tokens: Tokens) -> str:
    return ", at all tokens" if tokens == "all" else ""
