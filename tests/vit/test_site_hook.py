from __future__ import annotations

import threading

import torch
from torch import Tensor, nn

from nplight.vit import SiteHook


def test_it_changes_the_input_in_its_thread_and_counts() -> None:
    linear = nn.Linear(3, 2, bias=False)
    stream = torch.randn(4, 5, 3)
    hook = SiteHook(lambda values: 2 * values, threading.get_ident())
    with torch.no_grad():
        expected = linear(2 * stream)
        linear.register_forward_pre_hook(hook)
        torch.testing.assert_close(linear(stream), expected)
    assert (hook.fired, hook.elsewhere) == (1, 0)
    assert hook.acts


def test_no_change_leaves_the_input() -> None:
    seen: list[Tensor] = []
    hook = SiteHook(seen.append, threading.get_ident())
    stream = torch.ones(1, 2, 3)
    assert hook(nn.Identity(), (stream, "another argument")) is None
    assert seen[0] is stream
    changed = SiteHook(lambda values: -values, threading.get_ident())(nn.Identity(), (stream, "another argument"))
    assert changed is not None
    assert changed[1] == "another argument"


def test_in_another_thread_it_only_counts() -> None:
    hook = SiteHook(lambda values: 2 * values, threading.get_ident())
    results = []
    thread = threading.Thread(target=lambda: results.append(hook(nn.Identity(), (torch.ones(1),))))
    thread.start()
    thread.join()
    assert results == [None]
    assert (hook.fired, hook.elsewhere) == (0, 1)


def test_a_checkpointed_block_is_edited_again_in_the_backward_pass() -> None:
    linear = nn.Linear(3, 2)
    hook = SiteHook(lambda values: 2 * values, threading.get_ident())
    linear.register_forward_pre_hook(hook)
    stream = torch.ones(1, 3, requires_grad=True)
    torch.utils.checkpoint.checkpoint(linear, stream, use_reentrant=False).sum().backward()
    assert hook.fired == 2
    torch.testing.assert_close(stream.grad, 2 * linear.weight.sum(0, keepdim=True))
