"""The forward of a module that holds a ViT, called with a stand-in for the ViT's forward."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from torch import Tensor, nn

from nplight.errors import UnsupportedModelError
from nplight.vit.one_thread import changed, one_thread
from nplight.vit.torch_private import is_compile_wrapper
from nplight.vit.uncompiled import Uncompiled

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""The positional and the named arguments of a call."""

_ALONE = "search the ViT alone by its dotted name, as `vit` of the callbacks or `name` of open_vit"


class NotCalledError(UnsupportedModelError):
    """A wrapper's forward does not run its ViT, or cannot be called.

    Attributes:
        missing: whether the wrapper has no forward at all.
    """

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class WrapperForward:
    """Calls a wrapper's forward, with or without a stand-in for the ViT in it.

    Args:
        wrapper: the module whose forward is called.
        transformer: the ViT in it.

    Attributes:
        name: the class of the wrapper.
    """

    def __init__(self, wrapper: nn.Module, transformer: nn.Module) -> None:
        self.name = type(wrapper).__name__
        self._wrapper, self._transformer = wrapper, transformer
        self._compiled_inside = any(map(is_compile_wrapper, wrapper.modules()))

    def __call__(self, images: Tensor) -> Any:
        """The output of the wrapper, uncompiled if the ViT was compiled inside it."""
        if not self._compiled_inside:
            return self._wrapper(images)
        with one_thread():
            # Compiled code would not see that the ViT's forward is replaced.
            handle = Uncompiled()
            try:
                return self._wrapper(images)
            finally:
                handle.remove()

    def logits(self, images: Tensor) -> Tensor:
        """The logits of the wrapper, (images, categories).

        Raises:
            UnsupportedModelError: there are none.
        """
        return logits_of(self(images), self.name)

    def first_output(self, images: Tensor) -> Any:
        """The output of the wrapper in its first call.

        Raises:
            NotCalledError: the forward raised an error.
        """
        try:
            return self(images)
        except UnsupportedModelError:
            raise
        except Exception as error:
            raise NotCalledError(self._uncallable(error), missing=_has_no_forward(error)) from error

    @contextmanager
    def standing_in(self, output: Callable[[], Any]) -> Iterator[list[Call]]:
        """Replace the ViT's forward, in this thread, by `output`; yields the arguments of its calls."""
        calls: list[Call] = []
        module: Any = self._transformer
        forward_of_vit, thread = module.forward, threading.get_ident()

        def forward(*arguments: Any, **named: Any) -> Any:
            if threading.get_ident() != thread:
                return forward_of_vit(*arguments, **named)
            calls.append((arguments, named))
            return output()

        with one_thread(), changed(lambda: vars(module).pop("forward", None)):
            module.forward = forward
            yield calls

    def images_of(self, calls: Sequence[Call]) -> Tensor:
        """The images with which the wrapper called the ViT.

        Raises:
            NotCalledError: there was no call.
            UnsupportedModelError: there was more than one, or one with other arguments.
        """
        kind = type(self._transformer).__name__
        if not calls:
            raise NotCalledError(
                f"`model` is a {self.name} whose forward does not call its {kind} as a whole, so that what it does "
                f"around it cannot be searched: call it, as in self.backbone(images), or {_ALONE}"
            )
        if len(calls) > 1:
            raise UnsupportedModelError(
                f"`model` is a {self.name} whose forward calls its {kind} {len(calls)} times, where a path is of one "
                f"pass; let it call it once, or give the ViT itself to search it alone"
            )
        ((arguments, named),) = calls
        names = [name for name, value in named.items() if not _is_default(name, value)]
        if len(arguments) + len(names) != 1:
            raise UnsupportedModelError(
                f"`model` is a {self.name} whose forward calls its {kind} with other arguments than images, "
                f"{', '.join(names) or f'{len(arguments)} by position'}; leave them out"
            )
        return cast(Tensor, arguments[0] if arguments else named[names[0]])

    def _uncallable(self, error: Exception) -> str:
        first, *_ = str(error).splitlines() or [""]
        return (
            f"`model` is a {self.name} whose forward cannot be called with a batch of images alone, so that what it "
            f"does around its Vision Transformer cannot be searched ({type(error).__name__}: {first}); "
            f"let it take images, or {_ALONE}"
        )


def logits_of(output: Any, name: str) -> Tensor:
    """The logits (images, categories) in the output of a forward: a tensor, or an attribute or entry `logits`.

    Raises:
        UnsupportedModelError: there are none, in the output of a module called `name`.
    """
    logits = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", output)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or not logits.is_floating_point() or logits.shape[1] < 2:
        got = f"a tensor {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(output).__name__}"
        raise UnsupportedModelError(
            f"`model` is a {name} whose forward must give logits (images, categories) of at least 2 categories, as a "
            f"tensor or as `logits` of what it returns, but it gives {got}"
        )
    return logits


def _is_default(name: str, value: object) -> bool:
    # The forwards of transformers' models set `return_dict=True` themselves.
    return value is None or value is (name == "return_dict")


def _has_no_forward(error: Exception) -> bool:
    # The error of torch for a module without a forward.
    return isinstance(error, NotImplementedError) and 'is missing the required "forward" function' in str(error)
