"""A Vision Transformer inside another module, with the computation of that module's forward around it.

Works for any wrapper: its forward is called with a stand-in for the ViT's forward. The argument of the stand-in is the
images as they enter the ViT, and the wrapper's output for logits that the stand-in returns is the output after the ViT.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nplight.errors import ArgumentError, UnsupportedModelError
from nplight.vit.feed_forward import FeedForward
from nplight.vit.open_vit import OpenViT
from nplight.vit.parts import BlockParts
from nplight.vit.rounding import equal_but_for_rounding
from nplight.vit.state import gradients, undisturbed
from nplight.vit.wrapper_forward import WrapperForward, logits_of

# The size of the trial image for a wrapper whose ViT takes any size.
_ANY_SIZE = 224


class WrappedViT(OpenViT):
    """A ViT as a wrapper's forward runs it: `wrapper before | embed | blocks | head | wrapper after`.

    Args:
        wrapper: the module whose forward is searched.
        inner: the opened ViT in it.

    Raises:
        NotCalledError: the wrapper's forward does not run the ViT as a whole, or cannot be called with images only.
        UnsupportedModelError: its forward cannot be split into the computation before and after the ViT.

    Examples:
        >>> import nplight
        >>> import torch
        >>> from nplight.planted import PLANTED, build_planted
        >>> class Brighter(torch.nn.Module):
        ...     def __init__(self, vit: torch.nn.Module) -> None:
        ...         super().__init__()
        ...         self.vit = vit
        ...     def forward(self, images: torch.Tensor) -> torch.Tensor:
        ...         return 2 * self.vit(images + 0.1)
        ...
        >>> vit = nplight.open_vit(Brighter(build_planted(PLANTED["chain"]).model))
        >>> type(vit).__name__, vit.depth
        ('WrappedViT', 4)
    """

    def __init__(self, wrapper: nn.Module, inner: OpenViT) -> None:
        self.model = wrapper
        self.inner = inner
        self.down = inner.down
        self.path_tokens = inner.path_tokens
        self._width = inner.head_width()
        self._images = self._example()
        self._forward = WrapperForward(wrapper, inner.transformer)
        self._open()

    @property
    def transformer(self) -> nn.Module:
        return self.inner.transformer

    @property
    def searched(self) -> nn.Module:
        return self.transformer if self._same_before and self._same_after else self.model

    @classmethod
    def matches(cls, model: nn.Module) -> bool:
        """Never by class: any module may hold a ViT."""
        return False

    def embed(self, images: Tensor) -> Tensor:
        """The wrapper's preprocessing, then the ViT's embedding."""
        return self.inner.embed(self.entering(images))

    def block(self, layer: int, stream: Tensor) -> Tensor:
        return self.inner.block(layer, stream)

    def head(self, stream: Tensor) -> Tensor:
        """The ViT's head, then the wrapper's computation after it."""
        return self._leaving(self.inner.head(stream))

    def blocks(self) -> Sequence[nn.Module]:
        return self.inner.blocks()

    def after_blocks(self) -> Sequence[nn.Module]:
        return self.inner.after_blocks()

    def feed_forward(self, layer: int) -> FeedForward | None:
        return self.inner.feed_forward(layer)

    def merging_site(self) -> tuple[nn.Module, int] | None:
        return self.inner.merging_site()

    def record_widths(self) -> None:
        self.inner.record_widths()

    def _parts(self, layer: int) -> BlockParts | None:
        return self.inner._parts(layer)

    def image_shape(self) -> tuple[int | None, int | None, int | None]:
        """The image shape of the ViT, if the wrapper does not change the shape of images; any otherwise."""
        return self.inner.image_shape() if self._same_shape else (None, None, None)

    def check_images(self, images: Tensor) -> None:
        """Refuse images of a wrong kind, and a wrapper whose forward differs for them from its pieces in order.

        Raises:
            ArgumentError: naming the rule that is broken.
            UnsupportedModelError: the forward gives other logits.
        """
        super().check_images(images)
        with undisturbed(self.model), gradients(), torch.no_grad():
            images = images[:2].detach().clone()
            entering = self.entering(images)
            try:
                self.inner.check_images(entering)
            except ArgumentError as error:
                raise ArgumentError(f"as {self._name} passes them to its Vision Transformer, {error}") from None
            # Two images in the forward, one in pieces: they differ too if logits depend on the other images of a batch.
            logits = self._forward.logits(images.clone())[:1]
            pieces = self.forward(images[:1])
        if not equal_but_for_rounding(pieces, logits, computed=True):
            raise UnsupportedModelError(
                f"`model` is a {self._name} whose forward does more than pass images to its Vision Transformer and "
                f"logits on from it: it gives other logits than its pieces in order. Its forward may depend on the "
                f"images beside the ViT, on the other images of the batch, or on chance; give the ViT itself to search "
                f"it alone"
            )

    def _open(self) -> None:
        """Try the wrapper with an image of zeros and random logits; the ViT does not run."""
        with undisturbed(self.model), gradients(), _same_random_state(self._images.device):
            logits = torch.randn(1, self._width, generator=torch.Generator().manual_seed(0))
            # No leaf, so that a forward may change it in place, which changes its version.
            logits = logits.to(self._images).requires_grad_().clone()
            images = self._images.clone()
            versions = images._version, logits._version
            with self._forward.standing_in(lambda: self.inner.output(logits)) as calls:
                output = self._forward.first_output(images)
            entering = self._forward.images_of(calls)
            leaving = logits_of(output, self._name)
            self._same_before = entering is images and images._version == versions[0]
            self._same_shape = entering.shape[1:] == images.shape[1:]
            self._same_after = leaving is logits and logits._version == versions[1]
            if not self._same_after:
                self._check_after(leaving)
            self.num_classes = self.inner.num_classes if self._same_after else leaving.shape[1]

    def _check_after(self, leaving: Tensor) -> None:
        if not leaving.requires_grad:
            raise UnsupportedModelError(
                f"`model` is a {self._name} whose forward cuts the gradient (torch.no_grad or detach) after its Vision "
                f"Transformer; leave that out, or give the ViT itself to search it alone"
            )
        leaving = leaving.detach().double()
        if (leaving >= 0).all() and torch.allclose(leaving.sum(1), torch.ones(len(leaving)).to(leaving), atol=1e-2):
            raise UnsupportedModelError(
                f"`model` is a {self._name} whose forward gives probabilities, where logits are needed: "
                f"their softmax would be taken twice. Leave the softmax out of the forward"
            )

    def entering(self, images: Tensor) -> Tensor:
        """The images as the wrapper passes them to its ViT."""
        with gradients(), torch.no_grad():
            self._images = images.new_zeros(1, *images.shape[1:])
            logits = images.new_zeros(len(images), self._width)
            version = logits._version
            with self._forward.standing_in(lambda: self.inner.output(logits)) as calls:
                # A copy, since a forward may change its argument in place.
                leaving = self._forward.logits(images.clone())
        entering = self._forward.images_of(calls)
        same_after = leaving is logits and logits._version == version
        if same_after != self._same_after or len(entering) != len(images):
            raise UnsupportedModelError(
                f"`model` is a {self._name} whose forward does something else for these images than for others; "
                f"give the Vision Transformer itself to search it alone"
            )
        return entering

    def _leaving(self, logits: Tensor) -> Tensor:
        """The wrapper's logits, (rows, categories), for the ViT's logits or features, (rows, …)."""
        if self._same_after:
            return logits
        with self._forward.standing_in(lambda: self.inner.output(logits)):
            return self._forward.logits(self._images.repeat(len(logits), 1, 1, 1))

    def _example(self) -> Tensor:
        shape = [_ANY_SIZE if size is None else size for size in self.inner.image_shape()]
        return self.down[0].linear.weight.detach().new_zeros(1, *shape)

    @property
    def _name(self) -> str:
        return self._forward.name


@contextmanager
def _same_random_state(device: torch.device) -> Iterator[None]:
    """Restore torch's random state, which a forward inside may change."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
