"""Ctrl-C at any moment: KeyboardInterrupt is raised, and the model and the process are as they were."""

from __future__ import annotations

import contextlib
import linecache
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from nplight import intervene, joint_score, references, search
from nplight.vit import interrupt_point, interrupts, one_thread
from tests.conftest import make_vit
from tests.neurons.test_intervene import hooks_of
from tests.vit.families import torchvision_vit

# Where something is changed or put back.
PLACES = (
    "vit/state.py", "vit/one_thread.py", "vit/interrupts.py", "vit/uncompiled.py", "vit/torchvision_vit.py",
    "neurons/sites.py", "attribution/jvp.py", "contextlib.py", "autograd/forward_ad.py", "autograd/grad_mode.py",
)  # fmt: skip
MOMENTS = 25
PATH = torch.zeros(3, 1, dtype=torch.int64)


def state_of(model: nn.Module) -> list[Any]:
    """All that a search changes on its way, of the model and of the process."""
    return [
        [module.training for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
        hooks_of(model),
        forward_ad._current_level,
        torch.backends.mha.get_fastpath_enabled(),
        torch.backends.cuda.flash_sdp_enabled(),
        torch.is_grad_enabled(),
        torch.compiler.is_compiling(),
        torch._dynamo.eval_frame._stance.stance,
        signal.getsignal(signal.SIGINT),
    ]


@contextlib.contextmanager
def at_line(number: int, act: Callable[[], None]) -> Iterator[list[int]]:
    """Act once, before the n-th line that this thread runs of `PLACES`; a list of how many there were."""
    count = [0]

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        # At a `try` Python looks for no signals.
        if event == "line" and linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() != "try:":
            count[0] += 1
            if count[0] == number:
                act()
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        return line if frame.f_code.co_filename.endswith(PLACES) else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield count
    finally:
        sys.settrace(before)


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _default_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


WORKS: dict[str, Callable[[nn.Module, Tensor, Tensor], Any]] = {
    "jas": lambda model, images, targets: search(model, images, targets, steps=2, chunk_size=4),
    "chain": lambda model, images, targets: search(model, images, targets, method="influence_pattern_chain", steps=2),
    "gates": lambda model, images, targets: search(
        model, images, targets, method="joint_integrated_gradients", steps=2, chunk_size=4
    ),
    "removal": lambda model, images, targets: search(model, images, targets, method="greedy_removal", steps=2),
    "joint score": lambda model, images, targets: joint_score(model, images, targets, PATH, steps=2),
    "references": lambda model, images, targets: references(model, [images], "mean"),
}  # fmt: skip


@pytest.mark.parametrize("build", [make_vit, torchvision_vit])
@pytest.mark.parametrize("work", WORKS)
def test_an_interrupt_at_any_moment_leaves_all_as_it_was(
    build: Callable[[], nn.Module], work: str, images: Tensor, targets: Tensor
) -> None:
    model = build().train()
    for parameter in list(model.parameters())[::2]:
        parameter.requires_grad_(False)
    before = state_of(model)
    WORKS[work](model, images, targets)  # what runs the first time alone
    with at_line(0, interrupt) as lines:
        WORKS[work](model, images, targets)
    assert lines[0] > MOMENTS
    for moment in range(1, lines[0], lines[0] // MOMENTS):
        with pytest.raises(KeyboardInterrupt), at_line(moment, interrupt):
            WORKS[work](model, images, targets)
        assert state_of(model) == before, f"line {moment} of {lines[0]}"


def test_an_edit_that_is_interrupted_on_its_way_in_or_out_leaves_no_hook(images: Tensor) -> None:
    model = make_vit()
    before = state_of(model)

    def edit() -> None:
        with intervene(model, PATH, "remove"):
            model(images)

    edit()
    with at_line(0, interrupt) as lines:
        edit()
    for moment in range(1, lines[0] + 1):
        with contextlib.suppress(KeyboardInterrupt), at_line(moment, interrupt):
            edit()
        assert state_of(model) == before, f"line {moment} of {lines[0]}"


def test_it_acts_at_the_next_block(images: Tensor) -> None:
    """And not when the search has ended, which may take minutes."""
    model, ran = make_vit(depth=4), []
    model.blocks[1].attn.register_forward_pre_hook(lambda *_: interrupt())
    model.blocks[2].register_forward_pre_hook(lambda *_: ran.append(2))
    with pytest.raises(KeyboardInterrupt):
        search(model, images, steps=2)
    assert not ran


def test_a_handler_of_the_users_own_is_called_once_for_each_signal(images: Tensor) -> None:
    model, heard = make_vit(), []
    expected = search(model, images, steps=2)

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    signal.signal(signal.SIGINT, hear)
    handle = model.blocks[1].attn.register_forward_pre_hook(lambda *_: interrupt())
    calls: list[int] = []
    model.blocks[1].attn.register_forward_pre_hook(lambda *_: calls.append(1))
    found = search(model, images, steps=2)
    handle.remove()
    assert torch.equal(found.neurons, expected.neurons)
    assert len(heard) == len(calls) > 1
    assert signal.getsignal(signal.SIGINT) is hear


def test_a_second_interrupt_is_not_lost() -> None:
    raised = []

    def work() -> None:
        with one_thread():
            try:
                interrupt()
                interrupt_point()
            except KeyboardInterrupt:
                interrupt()
                raised.append(1)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert raised


def test_another_interrupt_acts_at_once_when_the_first_waits_for_long() -> None:
    def work() -> None:
        with one_thread():
            interrupt()
            interrupt()
            time.sleep(0.1)
            interrupt()
            pytest.fail("it waited")

    with patch.object(interrupts, "PATIENCE", 0.05), pytest.raises(KeyboardInterrupt):
        work()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_thread_that_waits_for_another_can_be_interrupted() -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with one_thread():
            inside.set()
            leave.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(60)
    timer = threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt), one_thread():
        pytest.fail("the other thread has not left")
    leave.set()
    holder.join()
    timer.join()


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_handlers_that_are_no_functions_are_left_alone(handler: signal.Handlers, images: Tensor) -> None:
    signal.signal(signal.SIGINT, handler)
    search(make_vit(), images, steps=2)
    assert signal.getsignal(signal.SIGINT) is handler
