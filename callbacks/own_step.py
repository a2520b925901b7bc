"""What a module's own step gives its Vision Transformer, held against what is searched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from nplight.errors import UnsupportedModelError
from nplight.vit import OpenViT
from nplight.vit.rounding import equal_but_for_rounding


class OwnStep:
    """The images that enter the ViT while the module's own step works on a batch.

    A step may prepare images by itself, out of sight of any forward: a search of the images of the batch would then be
    one of a model that nobody uses. One batch a loop is watched.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._given: list[Tensor] = []

    def watch(self, vit: OpenViT) -> None:
        """Note from now on what enters the ViT."""
        self.release()

        def note(module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            values = (*arguments, *named.values())
            self._given += [value.detach().clone() for value in values if isinstance(value, Tensor)]

        self._handle = vit.transformer.register_forward_pre_hook(note, with_kwargs=True)

    def release(self) -> list[Tensor]:
        """Stop watching, and give what was noted."""
        if self._handle is not None:
            self._handle.remove()
        given, self._handle, self._given = self._given, None, []
        return given


def check_entered(given: Sequence[Tensor], vit: OpenViT, images: Tensor) -> None:
    """Refuse images that enter the ViT otherwise than in the module's own step; a step without the ViT is passed over.

    Args:
        given: what entered the ViT in the step.
        vit: the opened model.
        images: (images, channels, height, width) of the same batch.

    Raises:
        UnsupportedModelError: with the way out.
    """
    if not given:
        return
    expected = vit.entering(images)
    if not any(equal_but_for_rounding(images, expected) for images in given):
        raise UnsupportedModelError(
            f"`model` must get the images of the batch, but the module's own step passes others to its "
            f"{type(vit.transformer).__name__}: prepare them in the module's `forward`, which is searched with what it "
            f"does, or in the data; or give `vit`, the dotted name of the ViT, to search it alone"
        )
