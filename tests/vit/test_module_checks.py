from __future__ import annotations

import importlib
import threading
from types import MethodType
from typing import Any

import pytest
import torch
from timm.layers import DropPath, LayerNormFp32, RmsNorm
from torch import Tensor, nn

from nplight.vit import SiteHook
from nplight.vit.module_checks import _ELEMENT_WISE, element_wise, hooked, hooked_itself, identity, only, token_wise
from tests.vit.activations import ByPosition, Mixing, slopes_by_token


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


def test_a_norm_or_a_dropout_whose_forward_was_replaced_is_not_known() -> None:
    norm, dropout = nn.LayerNorm(2), nn.Dropout()
    for module in (norm, dropout):
        module.forward = MethodType(lambda _, stream: stream.flip(1), module)  # type: ignore[method-assign]
    assert not token_wise(norm)
    assert not identity(dropout)


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in _ELEMENT_WISE for name in _ELEMENT_WISE[module].split()]
)
def test_what_is_called_element_wise_is(module: str, name: str) -> None:
    """Of the libraries here: a name that this version lacks is of another."""
    pytest.importorskip(module.partition(".")[0])
    kind = getattr(importlib.import_module(module), name, None)
    if kind is None:
        return
    activation = kind(min=-1, max=1) if name == "ClippedGELUActivation" else kind()
    assert element_wise(activation)
    values = 2 * torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([activation(value) for value in values.flatten()]).view(3, 4, 6)
    torch.testing.assert_close(activation(values.clone()), expected)


def test_activations_of_other_classes_functions_and_replaced_forwards_are_not_known() -> None:
    replaced = nn.GELU()
    replaced.forward = MethodType(lambda _, values: values.cumsum(1), replaced)  # type: ignore[method-assign]
    for activation in (ByPosition(), Mixing(), slopes_by_token(5), nn.Softmax(-1), nn.GLU(), torch.relu, replaced):
        assert not element_wise(activation)
