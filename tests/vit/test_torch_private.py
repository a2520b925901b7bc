from __future__ import annotations

import torch
from torch import Tensor, nn

from nplight.vit.torch_private import COMPILED_PREFIX, hooks_of, is_compile_wrapper, is_compiled, run_uncompiled


def test_every_kind_of_hook_is_seen() -> None:
    module = nn.Linear(2, 2)
    assert hooks_of(module) == []

    def before(*_: object) -> None: ...

    handles = [module.register_forward_pre_hook(before)]
    assert hooks_of(module) == [before]
    assert hooks_of(module, before_forward=False) == []
    for register in (
        module.register_forward_hook,
        module.register_full_backward_hook,
        module.register_full_backward_pre_hook,
    ):
        handles.append(register(before))
    assert len(hooks_of(module)) == 4
    assert len(hooks_of(module, before_forward=False)) == 3
    for handle in handles:
        handle.remove()
    assert hooks_of(module) == []


def test_a_module_compiled_in_place_runs_uncompiled_until_it_is_restored() -> None:
    calls = []

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]) -> object:
        calls.append(graph)
        return graph.forward

    module = nn.Linear(2, 2)
    assert not is_compiled(module)
    module.compile(backend=backend)
    assert is_compiled(module)
    restore = run_uncompiled(module)
    module(torch.ones(1, 2))
    assert calls == []
    restore()
    module(torch.ones(1, 2))
    assert len(calls) == 1


def test_what_torch_compile_returns_is_a_wrapper() -> None:
    module = nn.Linear(2, 2)
    wrapper = torch.compile(module, backend="eager")
    assert isinstance(wrapper, nn.Module)
    assert is_compile_wrapper(wrapper)
    assert not is_compile_wrapper(module)
    assert set(wrapper.state_dict()) == {COMPILED_PREFIX + name for name in module.state_dict()}
