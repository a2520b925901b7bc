"""Threads that use nplight at once: each gets what it would get alone, and none waits for ever."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from nplight import PathBatch, intervene, joint_score, record, references, search
from nplight.errors import EditNotAppliedError
from nplight.vit import one_thread
from tests.conftest import make_vit
from tests.neurons.test_intervene import hooks_of
from tests.vit.families import torchvision_vit

OPTIONS: dict[str, Any] = {"steps": 3, "ranked": 4, "chunk_size": 4}
PATIENCE = 60


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What functions give that start together, each in a thread of its own; their errors are raised."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        start.wait(PATIENCE)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(PATIENCE) for future in [pool.submit(run, work) for work in works]]


def same(one: PathBatch, other: PathBatch) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("neurons", "scores", "probability"))


def test_threads_that_search_one_model_get_what_each_would_alone(images: Tensor) -> None:
    model = make_vit().train()
    halves = images[:2], images[2:]
    expected = [search(model, half, **OPTIONS) for half in halves]
    for _ in range(10):
        found = at_once(*(lambda half=half: search(model, half, **OPTIONS) for half in halves))
        assert all(map(same, found, expected))
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert hooks_of(model) == 0


def test_threads_that_search_two_models_wait_for_each_other(images: Tensor) -> None:
    models = make_vit(), torchvision_vit()
    inputs = images, images[:2]
    expected = [search(model, some, **OPTIONS) for model, some in zip(models, inputs)]
    for _ in range(5):
        found = at_once(*(lambda i=i: search(models[i], inputs[i], **OPTIONS) for i in (0, 1)))
        assert all(map(same, found, expected))
    assert torch.backends.mha.get_fastpath_enabled()


def test_every_kind_of_work_in_threads_of_one_model(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    path = torch.tensor([[1], [2], [3]])

    def predicted() -> Tensor:
        with torch.no_grad(), intervene(vit, path, "remove"):
            return vit(images)

    def recorded() -> Tensor:
        with torch.no_grad(), record(vit) as values:
            vit(images)
        return values[1]

    works: list[Callable[[], Any]] = [
        lambda: search(vit, images, targets, **OPTIONS).scores,
        lambda: search(vit, images, targets, method="influence_pattern_chain", steps=3).scores,
        lambda: search(vit, images, targets, method="joint_integrated_gradients", steps=3).scores,
        lambda: search(vit, images, targets, granularity="category", steps=3).scores,
        lambda: joint_score(vit, images, targets, path, steps=3),
        lambda: references(vit, [images], "peak").of()[2],
    ]
    # The model's own forward in the caller's hands: torch has one choice of attention kernel per process, which a
    # search in another thread may change meanwhile, and kernels round differently.
    forwards: list[Callable[[], Any]] = [predicted, recorded]
    expected, predictions = [work() for work in works], [forward() for forward in forwards]
    for _ in range(5):
        results = at_once(*works, *forwards)
        assert all(map(torch.equal, results, expected))
        torch.testing.assert_close(results[len(works) :], predictions, rtol=1e-12, atol=1e-14)
    assert hooks_of(vit) == 0


def test_an_edit_acts_in_the_thread_that_opened_it(vit: VisionTransformer, images: Tensor, targets: Tensor) -> None:
    """No thread waits for one that holds an edit open, and none gets another's edit."""
    path = torch.tensor([[1], [2], [3]])
    clean, found = vit(images), search(vit, images, targets, **OPTIONS)
    frozen = search(vit, images, targets, patch_stream="frozen", **OPTIONS)
    with intervene(vit, path, "remove"), record(vit) as values:
        edited, kept = vit(images), dict(values)
        assert torch.equal(at_once(lambda: vit(images))[0], clean)
        assert same(at_once(lambda: search(vit, images, targets, **OPTIONS))[0], found)
        (again,) = at_once(lambda: search(vit, images, targets, patch_stream="frozen", **OPTIONS))
        assert same(again, frozen)
        assert all(torch.equal(values[layer], kept[layer]) for layer in kept)
        assert torch.equal(vit(images), edited)
        assert not same(search(vit, images, targets, **OPTIONS), found)
    assert not torch.equal(edited, clean)
    assert hooks_of(vit) == 0


def test_an_edit_that_ran_in_another_thread_alone_says_so(vit: VisionTransformer, images: Tensor) -> None:
    with (
        pytest.raises(EditNotAppliedError, match=r"ran in another thread.*open it in the thread"),
        intervene(vit, torch.tensor([[1], [2], [3]]), "remove"),
    ):
        at_once(lambda: vit(images))


class Wrapper(nn.Module):
    """A model whose search puts something in the place of the ViT's forward."""

    def __init__(self) -> None:
        super().__init__()
        self.vit = make_vit()

    def forward(self, images: Tensor) -> Tensor:
        return self.vit((images - 0.5) / 0.5) * 2


@pytest.mark.parametrize("build", [make_vit, Wrapper])
def test_a_search_and_forwards_in_another_thread_do_not_reach_each_other(
    build: Callable[[], nn.Module], images: Tensor, targets: Tensor
) -> None:
    model, other = build(), torch.randn(3, 3, 8, 8, dtype=torch.float64)
    expected, done = search(model, images, targets, **OPTIONS), threading.Event()
    logits = model(other).detach()

    def serve() -> None:
        with torch.no_grad():
            while not done.is_set():
                assert torch.equal(model(other), logits)

    def find() -> list[PathBatch]:
        try:
            return [search(model, images, targets, **OPTIONS) for _ in range(5)]
        finally:
            done.set()

    assert all(same(found, expected) for found in at_once(find, serve)[0])


@pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning")
def test_a_process_forked_while_another_thread_searches_is_as_new(images: Tensor, targets: Tensor) -> None:
    model = make_vit().train()
    expected = search(model, images, targets, **OPTIONS)
    inside, leave = threading.Event(), threading.Event()

    def wait(*_: Any) -> None:
        inside.set()
        assert leave.wait(PATIENCE)

    handle = model.blocks[1].attn.register_forward_pre_hook(wait)
    searching = threading.Thread(target=lambda: search(model, images, targets, **OPTIONS))
    searching.start()
    assert inside.wait(PATIENCE)
    child = os.fork()
    if not child:
        code = 1
        try:
            leave.set()
            handle.remove()
            whole = all(module.training for module in model.modules())
            trainable = all(parameter.requires_grad for parameter in model.parameters())
            right = same(search(model, images, targets, **OPTIONS), expected)
            code = 0 if whole and trainable and right else 2
        finally:
            os._exit(code)
    leave.set()
    searching.join(PATIENCE)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*use of fork\\(\\):DeprecationWarning")
def test_a_process_forked_by_the_thread_that_works_goes_on() -> None:
    with one_thread():
        child = os.fork()
        if not child:
            code = 1
            try:
                with one_thread():
                    code = 0
            finally:
                os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def work() -> bool:
        with one_thread():
            return True

    assert at_once(work) == [True]
