"""Joint search of one path for all images of a category, layer by layer, over a data set of any size."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from types import NoneType

import torch
from torch import Tensor, nn

from nplight.attribution import PathScores, Problem, Settled, best_first, check_finite, choice_margin, path_score
from nplight.errors import ArgumentError, NplightError, check_at_least, check_choice, described, listed
from nplight.methods import METHODS
from nplight.paths import CategoryPaths, PathBatch, check_labels, check_neurons
from nplight.processes import sum_over_processes
from nplight.searching.category_paths import check_num_classes
from nplight.searching.groups import Result, as_paths, in_groups
from nplight.searching.options import SearchOptions, joint_methods
from nplight.vit import OpenViT, one_thread, open_vit

# Summed beside the scores: the error that each image's scores may have, and its evaluations.
_EXTRAS = 2

# The tolerance of an image's scores, relative to that of the search: the sum of many images must decide.
_SHARPER = 0.01


class CategorySearch:
    """Layer-progressive search (Wang et al., ICLR 2025, Algorithm 1) with one joint choice for a category's images.

    At layer l every image has the path that its category has so far, and the joint attribution scores of the
    category's images are summed, in float64, before the choice. It takes one data pass per layer, in any order and in
    batches of any size:

        for _ in range(search.depth):
            for images, labels in loader:
                search.update(images, labels)
            search.choose()
        paths = search.paths(top_k)

    Holds one sum per category and neuron of a single layer, for any number of images. A data pass runs the whole model
    forward and backward once per image and node.

    Args:
        model: a supported model, in any mode, dtype and device; do not move it until the last layer is chosen.
        num_classes: number of categories.
        options: of the search; `patch_stream` must be `exact`.
        method: one of `METHODS` that can search jointly (`Method.joint`).
        chosen: `chosen` of an interrupted search, to resume it.

    Attributes:
        depth: layers to choose, L.
        chosen: the R best neurons of every category in the layers chosen so far, and their mean joint attribution
            scores, float64, on the device of the model; `None` before the first choice.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: an argument is wrong.

    Examples:
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.searching import CategorySearch
        >>> planted = build_planted(PLANTED["chain"])
        >>> search = CategorySearch(planted.model, num_classes=4)
        >>> for _ in range(search.depth):
        ...     search.update(planted.images, planted.labels)
        ...     search.choose()
        ...
        >>> torch.equal(search.paths().neurons, planted.truth)
        True
    """

    def __init__(
        self,
        model: nn.Module | OpenViT,
        num_classes: int,
        options: SearchOptions | None = None,
        *,
        method: str = "jas",
        chosen: CategoryPaths | None = None,
    ) -> None:
        check_choice("method", method, METHODS)
        joint = METHODS[method].joint
        if joint is None:
            raise ArgumentError(f"`method` must be {joint_methods()} for granularity 'category', got {method!r}")
        if not isinstance(options, (SearchOptions, NoneType)) or not isinstance(chosen, (CategoryPaths, NoneType)):
            raise ArgumentError(
                f"`options` must be SearchOptions and `chosen` CategoryPaths, or None, "
                f"got {described(options)} and {described(chosen)}"
            )
        self.options = options or SearchOptions()
        self._joint = joint
        self._vit = open_vit(model)
        self._vit.check_top_k(self.options.top_k)
        self._vit.check_top_k(self.options.ranked, "ranked")
        check_num_classes(num_classes)
        if self.options.patch_stream != "exact":
            raise ArgumentError(
                f"`patch_stream` must be 'exact' for granularity 'category', got {self.options.patch_stream!r}"
            )
        self.num_classes, self.depth = num_classes, self._vit.depth
        self.chosen = None if chosen is None else self._resumed(chosen)
        device = self._vit.down[0].linear.weight.device
        self._margins = torch.full((num_classes, self.depth), torch.nan, dtype=torch.float64, device=device)
        self._evaluations = torch.zeros(num_classes, dtype=torch.float64, device=device)
        self._start_layer()

    @property
    def layer(self) -> int:
        """The layer whose scores are being summed; `depth` when all are chosen."""
        return 0 if self.chosen is None else self.chosen.neurons.shape[1]

    @property
    def ranking(self) -> Tensor:
        """(categories, layers, R) int64, best first."""
        return self._complete().neurons

    @property
    def ranking_scores(self) -> Tensor:
        """(categories, layers, R) float64, mean over the category's images of the joint attribution score."""
        return self._complete().votes

    def update(self, images: Tensor, labels: Tensor, targets: Tensor | None = None) -> None:
        """Add the scores of images in the layer to be chosen next; an error leaves the sums unchanged.

        Args:
            images: (images, channels, height, width), normalised as the model expects, of its dtype and device.
            labels: (images,) int64, the category of each image.
            targets: (images,) int64, the category whose probability is attributed; `None`: the label.

        Raises:
            ArgumentError: an argument is wrong.
            NonFiniteError: NaN or infinite values appeared, naming the images.
        """
        self._check_unfinished()
        summands = self._layer_scores(images, labels, targets)
        # A matrix product, since the order of summation of `index_add_` on a GPU varies from run to run.
        present, position = labels.to(summands.device).unique(return_inverse=True)
        members = nn.functional.one_hot(position, len(present)).T.double()
        # Ctrl-C between the two lines is deferred: both sums change or neither.
        with one_thread():
            self._sums[present] += members @ summands
            self._images[present] += members.sum(1).long()

    def choose(self, *, reduce: bool = True) -> None:
        """Choose every category's neurons of the summed layer; of equal scores the lower index comes first.

        Args:
            reduce: sum over all processes first: every process must call this, and all choose the same. `False`: use
                the images of this process only.

        Raises:
            ArgumentError: a category has no images, or not as many as in the layers before.
        """
        self._check_unfinished()
        total, images = self._sums, self._images
        if reduce:
            total, images = sum_over_processes(total), sum_over_processes(images)
        means, extras = (total / images.unsqueeze(1)).split([self._vit.widths[self.layer], _EXTRAS], 1)
        best = best_first(means, self.options.ranked)
        margin = choice_margin(means, self.options.top_k)
        self._warn_of_unclear(margin, extras[:, 0])
        margins = self._margins.clone()  # also of another mode than this one's
        margins[:, self.layer] = margin
        self._margins = margins
        self._evaluations = self._evaluations + extras[:, 1]
        ranking, scores = best.neurons.unsqueeze(1), best.scores.unsqueeze(1)
        if self.chosen is not None:
            changed = (images != self.chosen.images).nonzero().flatten().tolist()
            if changed:
                category = changed[0]
                raise ArgumentError(
                    f"every data pass must add the same images, but category {category} has {images[category]} in "
                    f"layer {self.layer} and had {self.chosen.images[category]} before; add every image in each pass"
                )
            ranking = torch.cat([self.chosen.neurons, ranking], 1)
            scores = torch.cat([self.chosen.votes, scores], 1)
        self.chosen = CategoryPaths(ranking, scores, images, "joint", self.options.tokens)
        self._start_layer()

    def paths(self, top_k: int | None = None) -> CategoryPaths:
        """The category paths of the first `top_k` neurons of each layer, on the CPU; at most R, `None`: K.

        `votes` are mean joint attribution scores. Only the first K of a layer enter the scores of the later layers.
        """
        size = self.options.top_k if top_k is None else top_k
        check_at_least("top_k", size, 1)
        if size > self.options.ranked:
            raise ArgumentError(f"`top_k` must be at most `ranked` = {self.options.ranked}, got {size}")
        paths = self._complete()
        neurons, votes = (values[..., :size].cpu().clone() for values in (paths.neurons, paths.votes))
        return CategoryPaths(neurons, votes, paths.images.cpu(), paths.method, paths.tokens)

    def image_paths(self, images: Tensor, labels: Tensor, targets: Tensor | None = None) -> PathBatch:
        """Each image with the path of its category and its joint attribution score of that path: arguments as `update`.

        Returns:
            `ranking_scores`, `neuron_scores`, `margin` and `evaluations` are the category's means, the last two of the
            layers chosen since a resumed search went on (`margin` NaN before); the rest as `nplight.search`.
        """
        paths = self._complete()

        def run(problem: Problem, labels: Tensor) -> PathBatch:
            scores = path_score(problem, self._prefix(labels))
            votes = paths.votes[labels].to(scores.dtype)
            margin = self._margins[labels].to(scores.dtype)
            evaluations = self._evaluations[labels].round().long()
            return as_paths(problem, PathScores(paths.neurons[labels], votes, scores, margin, evaluations))

        return PathBatch.cat(self._in_groups(images, labels, targets, run))

    def _layer_scores(self, images: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
        """Scores in the layer to be chosen next, and what is summed beside them: (images, width + 2) float64."""

        def run(problem: Problem, labels: Tensor) -> Tensor:
            # A sum over images decides: no image's own choice need be clear, but every score must be right.
            every = replace(
                problem, top_k=0, ranked=self._vit.widths[self.layer], tolerance=problem.tolerance * _SHARPER
            )
            result = self._joint(every, self._prefix(labels))
            scores = result.scores[0] if isinstance(result, Settled) else result
            spent = result.evaluations if isinstance(result, Settled) else torch.full_like(labels, every.steps)
            check_finite("the search gave NaN or infinite scores", scores)
            errors = scores.abs().amax(1) * every.tolerance * (spent < every.steps)
            return torch.cat([scores, errors.unsqueeze(1), spent.unsqueeze(1)], 1).double()

        return torch.cat(self._in_groups(images, labels, targets, run))

    def _warn_of_unclear(self, margin: Tensor, error: Tensor) -> None:
        """Warn of choices whose margin is not clear of the estimated error of the mean scores; (categories,) each."""
        unclear = ((error > 0) & (margin <= 2 * error)).nonzero().flatten().tolist()
        if unclear:
            warnings.warn(
                f"the choice of layer {self.layer} is not clear for categories {listed(unclear)}: the scores differ by "
                f"less than their estimated errors; `tolerance` 0 evaluates every node",
                RuntimeWarning,
                stacklevel=3,
            )

    def _in_groups(
        self,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        run: Callable[[Problem, Tensor], Result],
    ) -> list[Result]:
        """`in_groups` with checked arguments; `run` takes the labels of the group."""
        self._vit.check_images(images)
        check_labels(labels, len(images), self.num_classes)
        targets = labels if targets is None else targets
        self._vit.check_targets(targets, len(images))
        labels = labels.to(images.device)
        return in_groups(self._vit, images, targets, self.options, lambda problem, part: run(problem, labels[part]))

    def _prefix(self, labels: Tensor) -> Tensor:
        """The path that each label's category has so far, (images, layers chosen, K)."""
        if self.chosen is None:
            return labels.new_zeros(len(labels), 0, self.options.top_k)
        return self.chosen.neurons[labels, :, : self.options.top_k]

    def _start_layer(self) -> None:
        if self.layer == self.depth:
            return
        device = self._vit.down[0].linear.weight.device
        # Tensors created in inference mode could not be updated outside it.
        with torch.inference_mode(False):
            columns = self._vit.widths[self.layer] + _EXTRAS
            self._sums = torch.zeros(self.num_classes, columns, dtype=torch.float64, device=device)
            self._images = torch.zeros(self.num_classes, dtype=torch.int64, device=device)

    def _check_unfinished(self) -> None:
        if self.layer == self.depth:
            raise NplightError(f"all {self.depth} layers are chosen; start a new search to add images")

    def _complete(self) -> CategoryPaths:
        if self.chosen is None or self.layer < self.depth:
            raise NplightError(
                f"{self.layer} of {self.depth} layers are chosen; `update` and `choose` the others first"
            )
        return self.chosen

    def _resumed(self, chosen: CategoryPaths) -> CategoryPaths:
        shape = tuple(chosen.neurons.shape)
        expected = (self.num_classes, min(shape[1], self.depth), self.options.ranked)
        if shape != expected:
            raise ArgumentError(f"`chosen` must be of shape (categories, layers, R) like {expected}, got {shape}")
        if chosen.tokens != self.options.tokens:
            raise ArgumentError(
                f"`chosen` must be of a search with `tokens` {self.options.tokens!r}, got one with {chosen.tokens!r}"
            )
        check_neurons(chosen.neurons, self._vit.widths[: shape[1]], distinct=True)
        device = self._vit.down[0].linear.weight.device
        values = (chosen.neurons.to(device), chosen.votes.to(device), chosen.images.to(device))
        return CategoryPaths(*values, chosen.method, chosen.tokens)


def joint_search(
    vit: OpenViT, images: Tensor, targets: Tensor | None, options: SearchOptions, method: str
) -> PathBatch:
    """Search the images of each target jointly, in this process only.

    Args:
        vit: the opened model.
        images: (images, channels, height, width).
        targets: (images,) int64, also the categories; `None`: the predicted ones.
        options: of the search.
        method: one of `METHODS` that can search jointly.
    """
    if targets is None:
        single = SearchOptions(steps=1, chunk_size=options.chunk_size)
        targets = torch.cat(in_groups(vit, images, None, single, lambda problem, part: problem.targets))
    categories, labels = targets.to(images.device).unique(return_inverse=True)
    search = CategorySearch(vit, len(categories), options, method=method)
    for _ in range(search.depth):
        search.update(images, labels, targets)
        search.choose(reduce=False)
    return search.image_paths(images, labels, targets)
