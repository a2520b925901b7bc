from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nplight import UnsupportedModelError
from nplight.vit.wrapper_forward import NotCalledError, WrapperForward, logits_of
from tests.conftest import make_vit


class Doubled(nn.Module):
    def __init__(self, calls: int = 1, **named: Any) -> None:
        super().__init__()
        self.net, self.calls, self.named = make_vit(depth=1), calls, named

    def forward(self, images: Tensor) -> Tensor:
        return sum((self.net(2 * images, **self.named) for _ in range(self.calls)), torch.zeros(1, 5)) + 1


def test_a_stand_in_gets_the_images_and_gives_the_logits(images: Tensor) -> None:
    model = Doubled()
    forward = WrapperForward(model, model.net)
    logits = torch.arange(5.0).expand(4, 5)
    with forward.standing_in(lambda: logits) as calls:
        torch.testing.assert_close(forward.logits(images), logits + 1)
    assert torch.equal(forward.images_of(calls), 2 * images)
    assert "forward" not in vars(model.net)
    with torch.no_grad():
        torch.testing.assert_close(forward(images), model.net(2 * images) + 1)


def test_the_stand_in_acts_in_its_thread_and_is_gone_after_an_error(images: Tensor) -> None:
    model = Doubled()
    forward = WrapperForward(model, model.net)
    expected, others = model(images).detach(), []
    with pytest.raises(KeyError), forward.standing_in(lambda: torch.zeros(4, 5)) as calls:  # noqa: PT012
        thread = threading.Thread(target=lambda: others.append(model(images).detach()))
        thread.start()
        thread.join()
        raise KeyError
    assert calls == []
    torch.testing.assert_close(others[0], expected)
    torch.testing.assert_close(model(images).detach(), expected)


@pytest.mark.parametrize(
    ("settings", "error", "reason"),
    [
        ({"calls": 0}, NotCalledError, "does not call its VisionTransformer as a whole"),
        ({"calls": 2}, UnsupportedModelError, "calls its VisionTransformer 2 times"),
        (
            {"mask": 1},
            UnsupportedModelError,
            "calls its VisionTransformer with other arguments than images, mask; leave them out",
        ),
    ],
)
def test_other_calls_than_one_with_images_are_refused(
    images: Tensor, settings: dict[str, Any], error: type[Exception], reason: str
) -> None:
    model = Doubled(**settings)
    forward = WrapperForward(model, model.net)
    with forward.standing_in(lambda: torch.zeros(4, 5)) as calls:
        forward(images)
    with pytest.raises(error, match=f"`model` is a Doubled whose forward {reason}"):
        forward.images_of(calls)


def test_settings_that_change_nothing_are_let_through(images: Tensor) -> None:
    model = Doubled(mask=None, return_dict=True)
    forward = WrapperForward(model, model.net)
    with forward.standing_in(lambda: torch.zeros(4, 5)) as calls:
        forward(images)
    assert torch.equal(forward.images_of(calls), 2 * images)


def test_a_first_call_that_fails_says_whether_there_is_a_forward(images: Tensor) -> None:
    container = nn.ModuleDict({"net": make_vit(depth=1)})
    with pytest.raises(NotCalledError, match="cannot be called with a batch of images alone") as caught:
        WrapperForward(container, container["net"]).first_output(images)
    assert caught.value.missing
    model = Doubled()
    with pytest.raises(NotCalledError, match=r"\(RuntimeError: .*let it take images") as caught:
        WrapperForward(model, model.net).first_output(images.float())
    assert not caught.value.missing


def test_logits_are_a_tensor_or_what_is_called_so() -> None:
    logits = torch.zeros(2, 5)
    for output in (logits, {"logits": logits}, SimpleNamespace(logits=logits)):
        assert logits_of(output, "Net") is logits
    for output in ((logits, 1), {"loss": 1}, logits[0], logits.long(), logits[:, :1]):
        with pytest.raises(UnsupportedModelError, match="`model` is a Net whose forward must give logits"):
            logits_of(output, "Net")
