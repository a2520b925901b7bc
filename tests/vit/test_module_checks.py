from __future__ import annotations

import threading
from typing import Any

import torch
from timm.layers import DropPath, LayerNormFp32, RmsNorm
from torch import Tensor, nn

from nplight.vit import SiteHook
from nplight.vit.module_checks import hooked, hooked_itself, identity, only, token_wise


class Norm(nn.LayerNorm):
    def forward(self, input: Tensor) -> Tensor:
        return input


def test_a_module_holds_only_what_is_named_and_runs_the_forward_of_its_class() -> None:
    module: Any = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Identity()})
    assert only(module, ("a", "b", "c"))
    assert not only(module, ("a",))
    module.forward = lambda: None
    assert not only(module, ("a", "b"))


def test_hooks_of_every_kind_count_but_those_on_sites_of_other_threads() -> None:
    inner = nn.Linear(2, 2)
    outer = nn.Sequential(inner, nn.Identity())
    assert not hooked(outer)
    for register in (
        inner.register_forward_hook,
        inner.register_forward_pre_hook,
        inner.register_full_backward_hook,
        inner.register_full_backward_pre_hook,
    ):
        handle = register(lambda *_: None)
        assert hooked(outer)
        assert hooked_itself(inner)
        assert not hooked_itself(outer)
        handle.remove()
    for thread, expected in ((threading.get_ident(), True), (threading.get_ident() + 1, False)):
        handle = inner.register_forward_pre_hook(SiteHook(lambda stream: None, thread))
        assert hooked(outer) is expected
        handle.remove()


def test_a_subclass_is_neither_an_identity_nor_token_wise() -> None:
    assert identity(None, nn.Identity(), nn.Dropout(0.5), DropPath(0.5))
    assert not identity(nn.AlphaDropout(0.5))
    assert not identity(nn.Identity(), nn.Tanh())
    assert token_wise(None, nn.LayerNorm(2), LayerNormFp32(2), RmsNorm(2), nn.Identity())
    assert not token_wise(nn.LayerNorm(2), Norm(2))
    assert not token_wise(nn.BatchNorm1d(2))


def test_what_is_called_an_identity_or_token_wise_is() -> None:
    stream = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))
    for module in (nn.Identity(), nn.Dropout(0.5), DropPath(0.5)):
        assert torch.equal(module.eval()(stream), stream)
    for norm in (nn.LayerNorm(6), LayerNormFp32(6), RmsNorm(6), nn.RMSNorm(6)):
        assert token_wise(norm)
        torch.testing.assert_close(norm(stream)[:, 1:2], norm(stream[:, 1:2]))
