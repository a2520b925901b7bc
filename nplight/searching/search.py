"""`search` and `joint_score`: they check the arguments and run the images in groups that fit a chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from nplight.attribution import Problem, check_finite, path_score
from nplight.errors import ArgumentError, check_choice
from nplight.methods import METHODS
from nplight.path_checks import Tokens
from nplight.paths import CategoryPaths, PathBatch, check_neurons, one_path_per_image, tokens_of_paths
from nplight.searching.category_search import joint_search
from nplight.searching.groups import as_paths, in_groups
from nplight.searching.loader import TARGETS, Target, over_batches
from nplight.searching.options import SearchOptions, check_patch_stream, joint_methods
from nplight.searching.ranking import rank
from nplight.vit import OpenViT, open_vit

Granularity = Literal["image", "category"]

GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)


def search(
    model: nn.Module | OpenViT,
    images: Tensor | Iterable[Any] | Dataset[Any],
    targets: Tensor | Target | None = None,
    *,
    method: str = "jas",
    granularity: Granularity = "image",
    top_k: int = 1,
    ranked: int | None = None,
    steps: int = 20,
    rule: str = "riemann-left",
    tolerance: float | None = 1e-6,
    objective: str = "probability",
    tokens: Tokens = "path",
    patch_stream: str = "exact",
    chunk_size: int | None = None,
    seed: int = 0,
    candidates: int = 20,
    progress: bool | None = None,
) -> PathBatch:
    """Search the neuron path of each image, or of the images of each category jointly.

    The path of an image does not depend on the other images of the batch, except for `granularity="category"`: there
    the images of one target get one path, chosen at every layer by the sum of their joint attribution scores.
    `CategorySearch` does the same for more images than fit one call.

    `scores` of the result are joint attribution scores of the whole paths, for every method: the path's neurons are
    scaled from 0 to their clean values together, and all other neurons of its layers at the path tokens are held at
    their clean values. `neuron_scores` are those of the search step that chose the neuron (for `jas` the whole layer is
    scaled, with the neurons chosen before it): they order a layer's neurons and are not shares of the path's score.

    Works in any mode, also inside `torch.inference_mode`, and leaves the model unchanged.

    Args:
        model: a supported model, in any mode, dtype and device.
        images: (images, channels, height, width), normalised as the model expects, of its dtype. Or a DataLoader, a
            data set, or an iterable of batches: tensors, (images, labels, …) or mappings with `image` and `label`.
            Batches are moved to the model's device; only the paths and one batch at a time are held.
        targets: (images,) int64, the category whose probability is attributed; `None` or `prediction`: the predicted
            category; `label`: the label in a loader's batches.
        method: one of `METHODS`; `jas` is the paper's Algorithm 1.
        granularity: `image`; or `category`, for methods that search jointly (`Method.joint`): one path for all images
            of a target.
        top_k: neurons per layer on the path, K.
        ranked: candidates per layer to return in order, R; `None`: K. One search with K = 1 ranks the sets for every
            size up to R.
        steps: quadrature nodes, m.
        rule: one of `RULES`.
        tolerance: relative to the score. The Gauss rule of the rule gives the sum over its m nodes from fewer; layers
            and images whose choice or scores an estimate of the error does not settle are evaluated with more nodes, at
            last with every node. The neurons are those of the full sum, and the scores within `tolerance` of it, as far
            as the estimate holds: it is a heuristic. 0 or `None`: every node. Where it is below the rounding of the
            dtype, as the default is in half precision, every node is evaluated; in float32 and float64 with a warning.
        objective: what is attributed, one of `OBJECTIVES`: `probability`, as the paper; `log-probability`; `logit`; or
            `margin`, the target's logit minus the largest other.
        tokens: at which neurons are read and edited: `path`, the model's path tokens, as the paper; or `all`, every
            token, as a model that shrinks to the path needs it: scores that are sums or means over the path tokens are
            then over all tokens. Where every token is a path token the two are the same.
        patch_stream: `exact`; or `frozen`, an approximation, for methods that have it (`Method.frozen`) and for models
            that classify from the class token: the other tokens keep their clean keys and values, for 1/tokens of the
            work.
        chunk_size: node rows in flight, which bounds the memory; `None`: chosen from the available memory.
        seed: changes the draws of method `random`; the others ignore it.
        candidates: per layer, for method `greedy_removal`; the others ignore it.
        progress: show a progress bar over a loader; `None`: on a terminal and in a notebook.

    Returns:
        The paths, without a graph, on the device of the images; for a loader in the order of the data, on the CPU. With
        `granularity="category"` the images of one target share neurons and neuron scores, the means over these images;
        `scores` are those of the shared path for each image.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: an argument is wrong.
        NonFiniteError: NaN or infinite values occurred, naming the images.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> paths = nplight.search(planted.model, planted.images, planted.labels, method="joint_integrated_gradients")
        >>> paths.neurons.shape  # (images, layers, K)
        torch.Size([16, 4, 1])
        >>> (paths.neurons == planted.paths).all().item()  # the neurons that were planted
        True
    """
    check_choice("method", method, METHODS)
    check_choice("granularity", granularity, GRANULARITIES)
    if granularity == "category" and METHODS[method].joint is None:
        raise ArgumentError(
            f"`granularity` must be 'image' for every `method` but {joint_methods()}, got 'category' for {method!r}"
        )
    check_patch_stream(patch_stream, method, granularity)
    ranked = top_k if ranked is None else ranked
    options = SearchOptions(
        top_k, ranked, steps, rule, patch_stream, chunk_size, seed, candidates, objective, tolerance, tokens
    )
    vit = open_vit(model)
    vit.check_top_k(top_k)
    vit.check_top_k(ranked, "ranked")
    if not isinstance(images, Tensor):
        if granularity == "category":
            raise ArgumentError(
                "`granularity` must be 'image' over a loader, got 'category', which needs one data pass per layer; "
                "use CategorySearch (from nplight.searching import CategorySearch)"
            )
        find = partial(_search, vit, method=method, granularity=granularity, options=options)
        return over_batches(vit, images, targets, find, progress=progress)
    if isinstance(targets, str):
        check_choice("targets", targets, TARGETS)
        if targets == "label":
            raise ArgumentError(
                "`targets` 'label' is for a loader that gives labels, got a tensor of images; give (images,) categories"
            )
        targets = None
    return _search(vit, images, targets, method=method, granularity=granularity, options=options)


def _search(
    vit: OpenViT,
    images: Tensor,
    targets: Tensor | None,
    *,
    method: str,
    granularity: Granularity,
    options: SearchOptions,
) -> PathBatch:
    vit.check_images(images)
    if targets is not None:
        vit.check_targets(targets, len(images))
    if granularity == "category":
        return joint_search(vit, images, targets, options, method)

    def run(problem: Problem, part: slice) -> PathBatch:
        return as_paths(problem, rank(problem, METHODS[method].run(problem)))

    return PathBatch.cat(in_groups(vit, images, targets, options, run))


def joint_score(
    model: nn.Module | OpenViT,
    images: Tensor,
    targets: Tensor | None,
    neurons: Tensor | PathBatch | CategoryPaths,
    *,
    steps: int = 20,
    rule: str = "riemann-left",
    tolerance: float | None = 1e-6,
    objective: str = "probability",
    tokens: Tokens | None = None,
    chunk_size: int | None = None,
) -> Tensor:
    """The joint attribution score of given paths (Wang et al., ICLR 2025, Eq. 3).

    The neurons of the path are scaled from 0 to their clean values together. All other neurons of its layers at the
    path tokens are held at their clean values, so that the effect of a path neuron through other neurons of later path
    layers is not part of the score; under a removal by `intervene` those run free.

    Args:
        model: a supported model, in any mode, dtype and device.
        images: (images, channels, height, width), normalised as the model expects, of its dtype.
        targets: (images,) int64; `None`: the predicted categories.
        neurons: (images, layers, K) int64 or a `PathBatch`; or (layers, K), one path for all images; distinct in a
            layer. With `CategoryPaths` each image has the path of its target.
        steps: quadrature nodes, m.
        rule: one of `RULES`.
        tolerance: relative to the score, as in `search`; 0 or `None`: every node.
        objective: what is attributed, one of `OBJECTIVES`.
        tokens: at which the path is scaled, `path` or `all`; `None`: those at which `neurons` were searched, the path
            tokens for a tensor.
        chunk_size: node rows in flight; `None`: chosen from the available memory.

    Returns:
        (images,), float32 at least, without a graph.

    Raises:
        UnsupportedModelError: the model cannot be opened.
        ArgumentError: an argument is wrong.
        NonFiniteError: NaN or infinite values occurred, naming the images.

    Examples:
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> import nplight
        >>> scores = nplight.joint_score(planted.model, planted.images, planted.labels, planted.paths)
        >>> (scores > 0).all().item()
        True
    """
    tokens = tokens_of_paths(neurons) if tokens is None else tokens
    options = SearchOptions(
        steps=steps, rule=rule, chunk_size=chunk_size, objective=objective, tolerance=tolerance, tokens=tokens
    )
    vit = open_vit(model)
    vit.check_images(images)
    if targets is not None:
        vit.check_targets(targets, len(images))
    path_of = _path_of(neurons, vit, images, targets)

    def run(problem: Problem, part: slice) -> Tensor:
        scores = path_score(problem, path_of(part, problem.targets))
        check_finite("the joint score is NaN or infinite", scores)
        return scores

    return torch.cat(in_groups(vit, images, targets, options, run))


def _path_of(
    neurons: Tensor | PathBatch | CategoryPaths, vit: OpenViT, images: Tensor, targets: Tensor | None
) -> Callable[[slice, Tensor], Tensor]:
    """A function that returns the paths of a slice of the images with given targets, on their device."""
    if isinstance(neurons, CategoryPaths) and len(neurons) > 1:
        check_neurons(neurons.neurons, vit.widths, distinct=True)
        if targets is None and len(neurons) < vit.num_classes:
            raise ArgumentError(
                f"`neurons` must hold the path of each of the {vit.num_classes} categories that may be predicted, "
                f"got the paths of {len(neurons)}; give `targets`"
            )
        if targets is not None:
            neurons.of(targets)
        return lambda part, categories: neurons.of(categories)
    paths = one_path_per_image(neurons)
    check_neurons(paths, vit.widths, images=len(images), distinct=True)
    paths = paths.to(images.device).expand(len(images), -1, -1)
    return lambda part, categories: paths[part]
