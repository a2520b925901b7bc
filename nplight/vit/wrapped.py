"""A Vision Transformer inside another module, with what that module's forward does around it.

Nothing needs to be known of the wrapper. Its forward is called with a stand-in for the ViT's forward: what the stand-in
is given is the images as they enter the ViT, and what the wrapper makes of the stand-in's logits is what follows it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from nplight.errors import ArgumentError, UnsupportedModelError
from nplight.vit.one_thread import changed, one_thread
from nplight.vit.open_vit import OpenViT
from nplight.vit.parts import BlockParts
from nplight.vit.state import gradients, undisturbed
from nplight.vit.uncompiled import Uncompiled

# The side of the images that a wrapper is tried with where its ViT takes any size.
_ANY_SIZE = 224


class WrappedViT(OpenViT):
    """A ViT as a wrapper's forward runs it: `wrapper before | embed | blocks | head | wrapper after`.

    Args:
        wrapper: the module whose forward is searched.
        inner: the ViT in it, opened.

    Raises:
        NotCalledError: the wrapper's forward does not run the ViT as a whole, or cannot be called with images alone.
        UnsupportedModelError: its forward runs the ViT in a way that cannot be taken apart.
    """

    def __init__(self, wrapper: nn.Module, inner: OpenViT) -> None:
        self.model = wrapper
        self.inner = inner
        self.down = inner.down
        self.path_tokens = inner.path_tokens
        self._width = inner.head_width()
        self._images = self._example()
        self._compiled_inside = any(hasattr(module, "_orig_mod") for module in wrapper.modules())
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
        """The wrapper's own way to its ViT, then the ViT's embedding."""
        return self.inner.embed(self.entering(images))

    def block(self, layer: int, stream: Tensor) -> Tensor:
        return self.inner.block(layer, stream)

    def head(self, stream: Tensor) -> Tensor:
        """The ViT's head, then what the wrapper makes of its logits."""
        return self._leaving(self.inner.head(stream))

    def blocks(self) -> Sequence[nn.Module]:
        return self.inner.blocks()

    def after_blocks(self) -> Sequence[nn.Module]:
        return self.inner.after_blocks()

    def _parts(self, layer: int) -> BlockParts | None:
        return self.inner._parts(layer)

    def image_shape(self) -> tuple[int | None, int | None, int | None]:
        """That of the ViT, where the wrapper leaves the shape of images as it is; any otherwise."""
        return self.inner.image_shape() if self._same_shape else (None, None, None)

    def check_images(self, images: Tensor) -> None:
        """Refuse images that do not fit, and a wrapper that does something else for them than its pieces in order.

        Raises:
            ArgumentError: naming the rule that is broken.
            UnsupportedModelError: its forward gives other logits.
        """
        super().check_images(images)
        with undisturbed(self.model), gradients(), torch.no_grad():
            images = images[:2].detach().clone()
            entering = self.entering(images)
            try:
                self.inner.check_images(entering)
            except ArgumentError as error:
                raise ArgumentError(f"as {self._name} passes them to its Vision Transformer, {error}") from None
            # Two images whole, one in pieces: logits that depend on the other images of a batch differ too.
            whole = logits_of(self._call(images.clone()), self._name)[:1]
            pieces = self.forward(images[:1])
        self._compare(whole.double(), pieces.double(), _tolerance(whole))

    def _compare(self, whole: Tensor, pieces: Tensor, tolerance: float) -> None:
        scale = whole.abs().nan_to_num(0).amax()
        if whole.shape != pieces.shape or not torch.allclose(
            whole, pieces, rtol=0, atol=float(scale) * tolerance, equal_nan=True
        ):
            raise UnsupportedModelError(
                f"`model` is a {self._name} whose forward does more than pass images to its Vision Transformer and "
                f"logits on from it: it gives other logits than its pieces in order. Its forward may depend on the "
                f"images beside the ViT, on the other images of the batch, or on chance; give the ViT itself to search "
                f"it alone"
            )

    def _open(self) -> None:
        """Try the wrapper with an image of zeros and logits of no meaning; the ViT itself does not run."""
        with undisturbed(self.model), gradients(), _same_random_state(self._images.device):
            logits = torch.randn(1, self._width, generator=torch.Generator().manual_seed(0))
            # Not a leaf, which a forward could not work on in place; what is so changed has another version.
            given = logits.to(self._images).requires_grad_().clone()
            images = self._images.clone()
            versions = images._version, given._version
            with self._standing_in(lambda: self.inner.output(given)) as entered:
                try:
                    out = self._call(images)
                except UnsupportedModelError:
                    raise
                except Exception as error:
                    raise NotCalledError(self._uncallable(error), missing=_has_no_forward(error)) from error
            entering = self._once(entered)
            found = logits_of(out, self._name)
            self._same_before = entering is images and images._version == versions[0]
            self._same_shape = entering.shape[1:] == images.shape[1:]
            self._same_after = found is given and given._version == versions[1]
            if not self._same_after:
                self._check_after(found.detach().double(), requires_grad=found.requires_grad)
            self.num_classes = self.inner.num_classes if self._same_after else found.shape[1]

    def _check_after(self, found: Tensor, *, requires_grad: bool) -> None:
        if not requires_grad:
            raise UnsupportedModelError(
                f"`model` is a {self._name} whose forward cuts the gradient (torch.no_grad or detach) after its Vision "
                f"Transformer; leave that out, or give the ViT itself to search it alone"
            )
        if (found >= 0).all() and torch.allclose(found.sum(1), torch.ones(len(found)).to(found), atol=1e-2):
            raise UnsupportedModelError(
                f"`model` is a {self._name} whose forward gives probabilities, where logits are needed: "
                f"their softmax would be taken twice. Leave the softmax out of the forward"
            )

    def entering(self, images: Tensor) -> Tensor:
        """The images as the wrapper passes them to its ViT."""
        with gradients(), torch.no_grad():
            self._images = images.new_zeros(1, *images.shape[1:])
            given = images.new_zeros(len(images), self._width)
            version = given._version
            with self._standing_in(lambda: self.inner.output(given)) as entered:
                # A copy: a forward that works in place leaves the images as they are.
                found = logits_of(self._call(images.clone()), self._name)
        entering = self._once(entered)
        same_after = found is given and given._version == version
        if same_after != self._same_after or len(entering) != len(images):
            raise UnsupportedModelError(
                f"`model` is a {self._name} whose forward does something else for these images than for others; "
                f"give the Vision Transformer itself to search it alone"
            )
        return entering

    def _leaving(self, logits: Tensor) -> Tensor:
        """What the wrapper makes of the ViT's logits (rows, …): (rows, categories)."""
        if self._same_after:
            return logits
        with self._standing_in(lambda: self.inner.output(logits)):
            return logits_of(self._call(self._images.repeat(len(logits), 1, 1, 1)), self._name)

    @contextmanager
    def _standing_in(self, output: Callable[[], Any]) -> Iterator[list[tuple[tuple[Any, ...], dict[str, Any]]]]:
        """The ViT's forward replaced, in this thread, by one that gives `output`; yields the arguments of its calls."""
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        module: Any = self.transformer
        real, thread = module.forward, threading.get_ident()

        def forward(*arguments: Any, **named: Any) -> Any:
            if threading.get_ident() != thread:
                return real(*arguments, **named)
            calls.append((arguments, named))
            return output()

        with one_thread(), changed(lambda: vars(module).pop("forward", None)):
            module.forward = forward
            yield calls

    def _once(self, calls: Sequence[tuple[tuple[Any, ...], dict[str, Any]]]) -> Tensor:
        """The images of the one call of the ViT."""
        kind = type(self.transformer).__name__
        if not calls:
            raise NotCalledError(
                f"`model` is a {self._name} whose forward does not call its {kind} as a whole, so that what it does "
                f"around it cannot be searched: call it, as in self.backbone(images), or {_ALONE}"
            )
        if len(calls) > 1:
            raise UnsupportedModelError(
                f"`model` is a {self._name} whose forward calls its {kind} {len(calls)} times, where a path is of one "
                f"pass; let it call it once, or give the ViT itself to search it alone"
            )
        ((arguments, named),) = calls
        # `return_dict=True` is what transformers' models do by themselves.
        others = [name for name, value in named.items() if not _is_default(name, value)]
        if len(arguments) + len(others) != 1:
            raise UnsupportedModelError(
                f"`model` is a {self._name} whose forward calls its {kind} with other arguments than images, "
                f"{', '.join(others) or f'{len(arguments)} by position'}; leave them out"
            )
        return cast(Tensor, arguments[0] if arguments else named[others[0]])

    def _call(self, images: Tensor) -> Any:
        if not self._compiled_inside:
            return self.model(images)
        with one_thread():
            # Compiled code would not see that the ViT's forward is replaced.
            handle = Uncompiled()
            try:
                return self.model(images)
            finally:
                handle.remove()

    def _example(self) -> Tensor:
        shape = [_ANY_SIZE if size is None else size for size in self.inner.image_shape()]
        return self.down[0].linear.weight.detach().new_zeros(1, *shape)

    def _uncallable(self, error: Exception) -> str:
        first, *_ = str(error).splitlines() or [""]
        return (
            f"`model` is a {self._name} whose forward cannot be called with a batch of images alone, so that what it "
            f"does around its Vision Transformer cannot be searched ({type(error).__name__}: {first}); "
            f"let it take images, or {_ALONE}"
        )

    @property
    def _name(self) -> str:
        return type(self.model).__name__


_ALONE = "search the ViT alone by its dotted name, as `vit` of the callbacks or `name` of open_vit"


class NotCalledError(UnsupportedModelError):
    """A wrapper's forward does not run its ViT, or cannot be tried.

    Attributes:
        missing: whether the wrapper has no forward at all.
    """

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


def logits_of(output: Any, name: str) -> Tensor:
    """The logits (images, categories) in what a forward gave: a tensor, or what holds one as `logits`.

    Raises:
        UnsupportedModelError: there are none, in a module called `name`.
    """
    found = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", output)
    if not isinstance(found, Tensor) or found.ndim != 2 or not found.is_floating_point() or found.shape[1] < 2:
        got = f"a tensor {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(output).__name__}"
        raise UnsupportedModelError(
            f"`model` is a {name} whose forward must give logits (images, categories) of at least 2 categories, as a "
            f"tensor or as `logits` of what it returns, but it gives {got}"
        )
    return found


def _is_default(name: str, value: object) -> bool:
    return value is None or value is (name == "return_dict")


def _has_no_forward(error: Exception) -> bool:
    # What torch raises for a module without one; a forward of somebody's that raises it has frames of its own.
    return isinstance(error, NotImplementedError) and 'is missing the required "forward" function' in str(error)


def _tolerance(logits: Tensor) -> float:
    """How far rounding may move logits, as a share of the largest: half of the digits."""
    kinds = [logits.dtype]
    if torch.is_autocast_enabled(logits.device.type):
        kinds.append(torch.get_autocast_dtype(logits.device.type))
    return float(max(torch.finfo(kind).eps for kind in kinds) ** 0.5)


@contextmanager
def _same_random_state(device: torch.device) -> Iterator[None]:
    """Whatever a forward draws inside, nobody's random numbers change."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield
