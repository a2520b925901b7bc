"""Weights randomised piece by piece from the head down, for sanity checks (Adebayo et al., NeurIPS 2018).

Adebayo et al. draw new weights as they were drawn before training. How, a foreign model does not tell. Here the entries
of every weight are put in random order: mean, spread and outliers stay, and what was learned goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nplight.seeds import seeded_generator
from nplight.vit.one_thread import changed
from nplight.vit.open_vit import OpenViT
from nplight.vit.state import gradients, undisturbed


def cascade_steps(depth: int) -> list[str]:
    """The names of the steps: the head, every block from the last to the first (numbered from 0), the embedding.

    Examples:
        >>> from nplight.vit import cascade_steps
        >>> cascade_steps(2)
        ['head', 'block 1', 'block 0', 'embedding']
    """
    return ["head", *(f"block {layer}" for layer in reversed(range(depth))), "embedding"]


def weights_of_pieces(vit: OpenViT, images: Tensor) -> list[list[nn.Parameter]]:
    """The weights that each piece of a model runs, in the order of `cascade_steps`.

    A weight that several pieces run belongs to the first of them. Buffers, and weights that no piece runs, are left
    out.

    Args:
        vit: the opened model.
        images: (images, channels, height, width), at least one, which the pieces are run on.

    Examples:
        >>> import nplight
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.vit import cascade_steps, weights_of_pieces
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> pieces = weights_of_pieces(vit, planted.images[:1])
        >>> dict(zip(cascade_steps(vit.depth), map(len, pieces)))
        {'head': 2, 'block 3': 8, 'block 2': 8, 'block 1': 8, 'block 0': 8, 'embedding': 4}
    """
    parameters = [parameter for parameter in vit.model.parameters() if parameter.is_floating_point()]
    with undisturbed(vit.model), gradients(), changed(lambda: _set_trainable(parameters, False)):
        _set_trainable(parameters, True)
        stream = vit.embed(images[:1].clone())
        run = [_run_by(stream, parameters)]
        for layer in range(vit.depth):
            stream = vit.block(layer, stream.detach())
            run.append(_run_by(stream, parameters))
        run.append(_run_by(vit.head(stream.detach()), parameters))
    seen: set[int] = set()
    pieces = []
    for positions in reversed(run):
        pieces.append([parameters[position] for position in positions if position not in seen])
        seen.update(positions)
    return pieces


@contextmanager
def cascading_randomisation(
    vit: OpenViT, pieces: Sequence[Sequence[nn.Parameter]], *, seed: int = 0
) -> Iterator[Callable[[], None]]:
    """Inside, each call of the yielded function randomises the weights of the next piece.

    The weights are restored bit for bit at the end, also after an error. Inside, the model is in evaluation mode, and
    randomised weights are held twice.

    Args:
        vit: the opened model.
        pieces: from `weights_of_pieces`.
        seed: of the order of the entries.

    Yields:
        The function; after the last piece it does nothing.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> from nplight.vit import cascading_randomisation, weights_of_pieces
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit, before = nplight.open_vit(planted.model), planted.model(planted.images)
        >>> with cascading_randomisation(vit, weights_of_pieces(vit, planted.images[:1])) as randomise_next:
        ...     randomise_next()  # the head
        ...     randomised = planted.model(planted.images)
        ...
        >>> torch.allclose(randomised, before), torch.equal(planted.model(planted.images), before)
        (False, True)
    """
    originals: list[tuple[nn.Parameter, Tensor]] = []
    left = iter(pieces)

    def restore() -> None:
        with torch.inference_mode(False), torch.no_grad():
            for parameter, values in originals:
                parameter.copy_(values)

    def randomise() -> None:
        with torch.inference_mode(False), torch.no_grad():
            for parameter in next(left, ()):
                generator = seeded_generator(seed, len(originals))
                originals.append((parameter, parameter.detach().clone()))
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))

    with undisturbed(vit.model), changed(restore):
        yield randomise


def _run_by(output: Tensor, parameters: Sequence[nn.Parameter]) -> list[int]:
    if not output.requires_grad:
        return []
    found = torch.autograd.grad(output.sum(), list(parameters), allow_unused=True)
    return [position for position, gradient in enumerate(found) if gradient is not None]


def _set_trainable(parameters: Sequence[nn.Parameter], value: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(value)
