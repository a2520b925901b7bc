"""Work on a guarded model, for as many images at a time as fit, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

from nplight.attribution import CleanPass, PathScores, check_finite, clean_pass, frozen_pass, resolve_chunk_size
from nplight.errors import NonFiniteError
from nplight.paths import PathBatch
from nplight.vit import OpenViT, gradients, named_dtypes, undisturbed

Result = TypeVar("Result")


def in_groups(
    vit: OpenViT,
    images: Tensor,
    targets: Tensor | None,
    steps: int,
    chunk_size: int | None,
    run: Callable[[CleanPass, slice, Tensor, int], Result],
    *,
    patch_stream: str = "exact",
) -> list[Result]:
    """On a guarded model, run something on the clean pass of as many images at a time as their rows fit a chunk.

    Args:
        vit: the opened model, in whatever mode.
        images: (images, channels, height, width), checked; also made under `torch.inference_mode`.
        targets: (images,) int64; `None`: the predicted categories.
        steps: rows of an image.
        chunk_size: rows in flight; `None` picks from the memory there is.
        run: takes the clean pass of a group, which of the images it holds, their targets, and the chunk size.
        patch_stream: `frozen`: the clean pass is a `FrozenPass`, and rows are of the class token alone.

    Returns:
        What `run` gave for each group.

    Raises:
        NonFiniteError: from `run`, the positions counted from the first image of all.
    """
    results = []
    with undisturbed(vit.model), gradients(), named_dtypes(vit.model):
        # Autograd cannot use tensors that were made under inference_mode.
        images = images.clone() if images.is_inference() else images.detach()
        targets = targets.clone() if targets is not None and targets.is_inference() else targets
        chunk = resolve_chunk_size(vit, images[:1], chunk_size, patch_stream)
        size = max(1, chunk // steps)
        for start in range(0, len(images), size):
            part = slice(start, start + size)
            try:
                clean = frozen_pass(vit, images[part]) if patch_stream == "frozen" else clean_pass(vit, images[part])
                wanted = clean.logits.argmax(1) if targets is None else targets[part].to(images.device)
                results.append(run(clean, part, wanted, chunk))
            except NonFiniteError as error:
                raise NonFiniteError(error.what, [start + position for position in error.positions]) from None
    return results


def as_paths(clean: CleanPass, targets: Tensor, found: PathScores, top_k: int) -> PathBatch:
    """What a method found for a group of images, as the paths of the first `top_k` neurons of each layer.

    Raises:
        NonFiniteError: a score is NaN or infinite, naming the positions.
    """
    check_finite("the search gave NaN or infinite scores", found.scores, found.ranking_scores)
    return PathBatch(
        neurons=found.ranking[..., :top_k].clone(),
        neuron_scores=found.ranking_scores[..., :top_k].clone(),
        scores=found.scores,
        targets=targets,
        probability=clean.probability(targets),
        predictions=clean.logits.argmax(1),
        ranking=found.ranking,
        ranking_scores=found.ranking_scores,
    )
