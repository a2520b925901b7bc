from __future__ import annotations

import contextlib
import importlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, distributed

from nplight import METHODS, CategoryPaths, PathBatch, joint_score, open_vit, search
from nplight.errors import ArgumentError, NonFiniteError, NplightError
from nplight.methods import Method
from nplight.searching import CategorySearch, SearchOptions
from tests.conftest import Reference, make_vit
from tests.methods.definitions import JOINT, Plain, jointly, layer_jas
from tests.methods.test_table import POOLS, all_scores
from tests.searching.test_search import EXACT, assert_same

OPTIONS = SearchOptions(top_k=2, ranked=6, steps=3)
TARGETS = torch.tensor([0, 3, 4, 3, 3, 0])
LABELS = torch.tensor([0, 1, 2, 1, 1, 0])
"""The same categories, numbered without gaps."""


@pytest.fixture
def images() -> Tensor:
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def expected_scores(
    vit: VisionTransformer,
    images: Tensor,
    targets: Tensor,
    labels: Tensor,
    *,
    top_k: int,
    steps: int = 3,
    rule: str,
    method: str = "jas",
) -> Tensor:
    """(categories, layers, width), by the definition."""
    tokens = [0] if vit.global_pool == "token" else [1, 2, 3, 4]
    linears = [block.mlp.fc2 for block in vit.blocks]
    plains = [
        Plain(vit, linears, image[None], int(target), tokens, steps=steps, rule=rule, top_k=top_k)
        for image, target in zip(images, targets)
    ]
    members = [(labels == category).nonzero().flatten().tolist() for category in range(int(labels.max()) + 1)]
    return torch.stack([torch.stack(jointly([plains[one] for one in part], JOINT[method])) for part in members])


def streamed(search: CategorySearch, *batches: tuple[Tensor, ...], reduce: bool = True) -> CategorySearch:
    while search.layer < search.depth:
        for batch in batches:
            search.update(*batch)
        search.choose(reduce=reduce)
    return search


def rows_of(paths: PathBatch, part: Tensor) -> PathBatch:
    return paths[part]


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(("top_k", "rule"), [(1, "riemann-left"), (3, "gauss-legendre")])
@pytest.mark.parametrize("method", JOINT)
def test_the_joint_choice_equals_its_definition(images: Tensor, method: str, pool: str, top_k: int, rule: str) -> None:
    vit = make_vit(global_pool=pool)
    expected = expected_scores(vit, images, TARGETS, LABELS, top_k=top_k, rule=rule, method=method)[LABELS]
    options: dict[str, Any] = {"method": method, "top_k": top_k, "ranked": 64, "steps": 3, "rule": rule}
    apart = search(vit, images, TARGETS, **options)
    for chunk_size in (1, 7, None):
        actual = search(vit, images, TARGETS, granularity="category", chunk_size=chunk_size, **options)
        torch.testing.assert_close(all_scores(actual), expected, **EXACT)
        assert torch.equal(actual.neurons, expected.topk(top_k).indices)
        own = joint_score(vit, images, TARGETS, actual.neurons, steps=3, rule=rule)
        torch.testing.assert_close(actual.scores, own, **EXACT)
        for name in ("targets", "predictions"):
            assert torch.equal(getattr(actual, name), getattr(apart, name))
        torch.testing.assert_close(actual.probability, apart.probability, **EXACT)
    assert not torch.equal(actual.neurons, apart.neurons)
    assert len(actual.scores.unique()) == 6


@pytest.mark.parametrize("pool", POOLS)
def test_a_category_of_one_image_has_the_path_of_that_image(images: Tensor, pool: str) -> None:
    vit = make_vit(global_pool=pool)
    targets = torch.tensor([4, 0, 3, 1])
    options: dict[str, Any] = {"top_k": 2, "ranked": 7, "steps": 4}
    apart = search(vit, images[:4], targets, **options)
    assert_same(search(vit, images[:4], targets, granularity="category", **options), apart)
    # Also of as many equal images as one likes.
    twice = search(vit, images[[0, 1, 1, 1]], torch.tensor([4, 0, 0, 0]), granularity="category", **options)
    assert torch.equal(twice.ranking, apart.ranking[[0, 1, 1, 1]])
    torch.testing.assert_close(twice.ranking_scores, apart.ranking_scores[[0, 1, 1, 1]], **EXACT)


def test_a_trained_model_is_searched_jointly(reference: Reference) -> None:
    images, labels = reference.images[::4], reference.labels[::4]
    actual = search(reference.model, images, labels, granularity="category", steps=5)
    vit = open_vit(reference.model)
    one = int(labels[0])
    linears = [down.linear for down in vit.down]
    model = reference.model.eval()
    plains = [
        Plain(model, linears, image[None], one, [0], steps=5, rule="riemann-left") for image in images[labels == one]
    ]
    assert len(plains) > 1
    scores = torch.stack([layer.max() for layer in jointly(plains, layer_jas)])
    torch.testing.assert_close(actual.neuron_scores[labels == one].squeeze(2), scores.expand(len(plains), -1), **EXACT)


def test_only_images_of_the_same_target_are_coupled(vit: VisionTransformer, images: Tensor) -> None:
    whole = search(vit, images, TARGETS, granularity="category", steps=3)
    for target in (0, 3, 4):
        part = target == TARGETS
        alone = search(vit, images[part], TARGETS[part], granularity="category", steps=3)
        assert_same(alone, rows_of(whole, part))
        assert (alone.ranking == alone.ranking[0]).all()
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    turned = search(vit, images[order], TARGETS[order], granularity="category", steps=3)
    assert_same(turned, rows_of(whole, order))


def test_without_targets_the_predicted_categories_are_searched(reference: Reference) -> None:
    model, images = reference.model.eval(), reference.images[::10]
    actual = search(model, images, granularity="category", steps=2, chunk_size=5)
    expected = search(model, images, model(images).argmax(1), granularity="category", steps=2)
    assert_same(actual, expected)
    assert len(actual.targets.unique()) > 3


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(6)), st.lists(st.integers(1, 5), max_size=3), st.sampled_from(POOLS), st.integers(1, 30))
def test_batches_of_any_size_in_any_order_give_the_same(
    order: list[int], cuts: list[int], pool: str, chunk_size: int
) -> None:
    vit = make_vit(global_pool=pool, depth=2)
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = search(vit, images, TARGETS, granularity="category", top_k=2, ranked=6, steps=3)
    search_ = CategorySearch(vit, 3, SearchOptions(top_k=2, ranked=6, steps=3, chunk_size=chunk_size))
    parts = [part for part in torch.tensor(order).tensor_split(sorted(cuts)) if len(part)]
    actual = streamed(search_, *((images[part], LABELS[part], TARGETS[part]) for part in parts))
    assert torch.equal(actual.ranking[LABELS], expected.ranking)
    torch.testing.assert_close(actual.ranking_scores[LABELS], expected.ranking_scores, **EXACT)
    assert_same(actual.image_paths(images, LABELS, TARGETS), expected)


def test_another_order_of_the_batches_is_summed_to_float64(vit: VisionTransformer, images: Tensor) -> None:
    vit.float()
    rows = torch.arange(6).view(6, 1)
    actual = [
        streamed(CategorySearch(vit, 1, OPTIONS), *((images[row].float(), LABELS[:1], TARGETS[row]) for row in way))
        for way in (rows, rows.flip(0))
    ]
    assert torch.equal(actual[0].ranking, actual[1].ranking)
    torch.testing.assert_close(actual[0].ranking_scores, actual[1].ranking_scores, rtol=1e-13, atol=1e-16)
    assert actual[0].ranking_scores.dtype == torch.float64
    assert actual[0].image_paths(images.float(), LABELS * 0, TARGETS).ranking_scores.dtype == torch.float32


def test_the_paths_of_every_size_come_from_one_search(vit: VisionTransformer, images: Tensor) -> None:
    actual = streamed(CategorySearch(vit, 3, OPTIONS), (images, LABELS, TARGETS))
    for size in range(1, 7):
        paths = actual.paths(size)
        assert torch.equal(paths.neurons, actual.ranking[..., :size])
        assert torch.equal(paths.votes, actual.ranking_scores[..., :size])
        assert paths.images.tolist() == [2, 3, 1]
        assert (paths.method, paths.top_k) == ("joint", size)
    assert actual.paths().top_k == 2
    torch.testing.assert_close(
        actual.image_paths(images, LABELS, TARGETS).scores,
        joint_score(vit, images, TARGETS, actual.paths().of(LABELS), steps=3),
        **EXACT,
    )


def test_labels_are_the_targets_unless_given(vit: VisionTransformer, images: Tensor) -> None:
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    actual = streamed(CategorySearch(vit, 5, OPTIONS), (images, labels))
    same = streamed(CategorySearch(vit, 5, OPTIONS), (images, labels, labels))
    other = streamed(CategorySearch(vit, 5, OPTIONS), (images, labels, 4 - labels))
    assert torch.equal(actual.ranking_scores, same.ranking_scores)
    assert not torch.allclose(actual.ranking_scores, other.ranking_scores)


def give(monkeypatch: pytest.MonkeyPatch, rows: Tensor) -> None:
    """Let the pixels of an image, a number, pick its scores among `rows`, whatever the layer."""
    module = importlib.import_module("nplight.searching.category_search")
    joint = Method(METHODS["jas"].run, joint=lambda problem, _: rows[problem.clean.images[:, 0, 0, 0].long()])
    monkeypatch.setattr(module, "METHODS", {"jas": joint})


def numbered(*pixels: int) -> Tensor:
    return torch.tensor(pixels, dtype=torch.float64).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)


def test_the_choice_by_hand(vit: VisionTransformer, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.zeros(3, 64)
    rows[0, [7, 9]] = torch.tensor([5.0, 4.0])
    rows[1, [8, 9, 2]] = torch.tensor([5.0, 4.0, -6.0])
    rows[2, [30, 31, 2]] = torch.tensor([1.5, 1.5, -3.0])
    give(monkeypatch, rows)
    actual = CategorySearch(vit, 2, SearchOptions(ranked=4, steps=1))
    labels = torch.tensor([0, 0, 1])
    for layer in range(3):
        assert actual.layer == layer
        actual.update(numbered(0, 2), labels[[0, 2]])
        actual.update(numbered(1), labels[[1]])
        actual.choose()
    # Nobody's first neuron is everybody's; of equal ones the lower index; what harms comes last.
    assert actual.ranking[0].tolist() == [[9, 7, 8, 0]] * 3
    assert actual.ranking_scores[0].tolist() == [[4, 2.5, 2.5, 0]] * 3
    assert actual.ranking[1].tolist() == [[30, 31, 0, 1]] * 3
    assert actual.ranking_scores[1].tolist() == [[1.5, 1.5, 0, 0]] * 3


@pytest.mark.parametrize("autocast", [False, True])
def test_sums_lose_no_small_score(vit: VisionTransformer, monkeypatch: pytest.MonkeyPatch, autocast: bool) -> None:
    rows = torch.zeros(2, 64)
    rows[0, [3, 5]] = 2.0**25
    rows[1, 5] = 1.0  # lost beside 2**25 in float32
    give(monkeypatch, rows)
    actual = CategorySearch(vit, 1, SearchOptions(steps=1))
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        streamed(actual, (numbered(0, 1), torch.tensor([0, 0])))
    assert actual.ranking.flatten().tolist() == [5] * 3
    assert actual.ranking_scores[0, 0].tolist() == [(2**25 + 1) / 2]


def _process(rank: int, folder: str, images: Tensor) -> None:
    store = distributed.FileStore(f"{folder}/store", 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=60))
    torch.set_num_threads(1)
    vit = make_vit()
    # Unequal shares, of which the second has no image of category 2.
    share = slice(0, 4) if rank == 0 else slice(4, 6)
    actual = streamed(CategorySearch(vit, 3, OPTIONS), (images[share], LABELS[share], TARGETS[share]))
    if rank == 0:  # a search of a process's own waits for nobody
        search(vit, images[share], TARGETS[share], granularity="category", steps=2)
        assert streamed(CategorySearch(vit, 1, OPTIONS), (images, LABELS * 0, TARGETS), reduce=False).layer == 3
    paths = actual.paths(6)
    torch.save([paths.neurons, paths.votes, paths.images], f"{folder}/{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


def test_two_processes_choose_as_one(vit: VisionTransformer, images: Tensor, tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(_process, (str(tmp_path), images), nprocs=2, start_method="fork")
    expected = streamed(CategorySearch(vit, 3, OPTIONS), (images, LABELS, TARGETS)).paths(6)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for one, other in zip(first, second):
        assert torch.equal(one, other)
    assert torch.equal(first[0], expected.neurons)
    torch.testing.assert_close(first[1], expected.votes, rtol=1e-12, atol=1e-15)
    assert first[2].tolist() == [2, 3, 1]


def test_an_interrupted_search_goes_on(vit: VisionTransformer, images: Tensor) -> None:
    whole = streamed(CategorySearch(vit, 3, OPTIONS), (images, LABELS, TARGETS))
    first = CategorySearch(vit, 3, OPTIONS)
    for _ in range(2):
        first.update(images, LABELS, TARGETS)
        first.choose()
    first.update(images[:2], LABELS[:2], TARGETS[:2])  # lost
    second = CategorySearch(vit, 3, OPTIONS, chosen=first.chosen)
    assert second.layer == 2
    assert torch.equal(streamed(second, (images, LABELS, TARGETS)).ranking_scores, whole.ranking_scores)
    assert torch.equal(second.ranking, whole.ranking)
    finished = CategorySearch(vit, 3, OPTIONS, chosen=whole.chosen)
    assert torch.equal(finished.paths(6).neurons, whole.ranking)


@pytest.mark.parametrize("mode", [contextlib.nullcontext, torch.no_grad, torch.inference_mode])
def test_it_works_in_every_mode_and_leaves_the_model_as_it_was(
    vit: VisionTransformer, images: Tensor, mode: Any
) -> None:
    expected = streamed(CategorySearch(vit, 3, OPTIONS), (images, LABELS, TARGETS))
    vit.train()
    with mode():
        batch = images.clone(), LABELS.clone(), TARGETS.clone()
        actual = CategorySearch(vit, 3, OPTIONS)
        actual.update(*batch)
        actual.choose()
        own = search(vit, *batch[::2], granularity="category", steps=3, top_k=2, ranked=6)
    streamed(actual, batch)  # in another mode than the sums were made in
    for ranking, scores in ((actual.ranking[LABELS], actual.ranking_scores[LABELS]), (own.ranking, own.ranking_scores)):
        assert torch.equal(ranking, expected.ranking[LABELS])
        torch.testing.assert_close(scores, expected.ranking_scores[LABELS], **EXACT)
        assert not scores.requires_grad
    assert all(module.training for module in vit.modules())
    assert all(weight.requires_grad and weight.grad is None for weight in vit.parameters())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in vit.modules())


def test_an_image_that_fails_leaves_the_sums_as_they_were(vit: VisionTransformer, images: Tensor) -> None:
    expected = streamed(CategorySearch(vit, 3, OPTIONS), (images, LABELS, TARGETS))
    actual = CategorySearch(vit, 3, SearchOptions(top_k=2, ranked=6, steps=3, chunk_size=3))
    broken = images.clone()
    broken[4, 0, 1, 1] = torch.nan
    for _ in range(3):
        with pytest.raises(NonFiniteError, match="pixels for the images at positions 4"):
            actual.update(broken, LABELS, TARGETS)
        actual.update(images, LABELS, TARGETS)
        actual.choose()
    torch.testing.assert_close(actual.ranking_scores, expected.ranking_scores, **EXACT)


@pytest.mark.parametrize("pool", POOLS)
def test_scores_that_are_all_zero_go_to_the_lowest_index(images: Tensor, pool: str) -> None:
    vit = make_vit(global_pool=pool)
    with torch.no_grad():
        for block in vit.blocks:
            block.mlp.fc1.weight.zero_()
            block.mlp.fc1.bias.zero_()
    actual = search(vit, images, TARGETS, granularity="category", top_k=2, ranked=5, steps=3)
    assert actual.ranking.tolist() == [[[0, 1, 2, 3, 4]] * 3] * 6
    assert actual.ranking_scores.abs().sum() == 0
    assert actual.scores.tolist() == [0] * 6


def test_every_method_that_searches_jointly_has_a_definition() -> None:
    assert list(JOINT) == [method for method, row in METHODS.items() if row.joint is not None]


@pytest.mark.parametrize("method", [method for method in METHODS if METHODS[method].joint is None])
def test_other_methods_do_not_search_jointly(vit: VisionTransformer, images: Tensor, method: str) -> None:
    with pytest.raises(ArgumentError, match=f"`granularity` must be 'image' for .* got 'category' for '{method}'"):
        search(vit, images, method=method, granularity="category")


def test_bad_settings_are_refused(vit: VisionTransformer, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="`num_classes` must be an integer of at least 1, got 0"):
        CategorySearch(vit, 0)
    with pytest.raises(ArgumentError, match="`num_classes` must be at most"):
        CategorySearch(vit, 1 << 40)
    with pytest.raises(ArgumentError, match=r"`method` must be 'jas', .* for granularity 'category', got 'activation'"):
        CategorySearch(vit, 3, method="activation")
    with pytest.raises(ArgumentError, match="`ranked` must be at most 64"):
        CategorySearch(vit, 3, SearchOptions(ranked=65))
    monkeypatch.setattr(importlib.import_module("nplight.searching.options"), "PATCH_STREAMS", ("exact", "frozen"))
    with pytest.raises(ArgumentError, match="`patch_stream` must be 'exact' for granularity 'category', got 'frozen'"):
        search(vit, images, granularity="category", patch_stream="frozen")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"labels": torch.tensor([0, 1, 2, 3, 0, 0])}, "`labels` must be in 0 … 2, got 3 for image 3"),
        ({"labels": LABELS[:5]}, r"`labels` must be an int64 tensor of shape \(6,\), got torch.int64 \(5,\)"),
        ({"labels": LABELS.tolist()}, "`labels` must be an int64 tensor .* got list"),
        ({"targets": TARGETS + 1}, "`targets` must be categories in 0 … 4, got 5 for image 2"),
        ({"images": torch.zeros(6, 3, 8, 9)}, "`images` must have shape"),
    ],
)
def test_bad_batches_are_refused(vit: VisionTransformer, images: Tensor, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason):
        CategorySearch(vit, 3).update(**{"images": images, "labels": LABELS, "targets": TARGETS, **change})


def test_passes_that_do_not_hold_the_same_images_are_refused(vit: VisionTransformer, images: Tensor) -> None:
    actual = CategorySearch(vit, 4, OPTIONS)
    with pytest.raises(ArgumentError, match="at least one image to form its path, but categories 0, 1, 2, 3 have"):
        actual.choose()
    actual.update(images, LABELS, TARGETS)
    with pytest.raises(ArgumentError, match="at least one image to form its path, but categories 3 have none"):
        actual.choose()
    actual.update(images[:1], LABELS[:1] + 3, TARGETS[:1])
    actual.choose()
    actual.update(images, LABELS, TARGETS)
    actual.update(images[:2], LABELS[:2] + 3 - LABELS[:2], TARGETS[:2])
    with pytest.raises(ArgumentError, match="same images, but category 3 has 2 in layer 1 and had 1 before"):
        actual.choose()


def test_what_is_not_finished_says_so(vit: VisionTransformer, images: Tensor) -> None:
    actual = CategorySearch(vit, 3, OPTIONS)
    for unfinished in (actual.paths, lambda: actual.ranking, lambda: actual.image_paths(images, LABELS)):
        with pytest.raises(NplightError, match="0 of 3 layers are chosen"):
            unfinished()
    streamed(actual, (images, LABELS, TARGETS))
    for chosen in (lambda: actual.update(images, LABELS), actual.choose):
        with pytest.raises(NplightError, match="all 3 layers are chosen"):
            chosen()
    with pytest.raises(ArgumentError, match="`top_k` must be at most `ranked` = 6, got 7"):
        actual.paths(7)
    with pytest.raises(ArgumentError, match="`top_k` must be an integer of at least 1, got 0"):
        actual.paths(0)


def test_what_was_found_for_something_else_is_refused(vit: VisionTransformer, images: Tensor) -> None:
    paths = streamed(CategorySearch(vit, 3, OPTIONS), (images, LABELS, TARGETS)).paths(6)
    for arguments in ((2, OPTIONS), (3, SearchOptions(ranked=5))):
        with pytest.raises(ArgumentError, match=r"`chosen` must .* got \(3, 3, 6\)"):
            CategorySearch(vit, *arguments, chosen=paths)
    with pytest.raises(ArgumentError, match=r"`chosen` must .* \(3, 2, 6\), got \(3, 3, 6\)"):
        CategorySearch(make_vit(depth=2), 3, OPTIONS, chosen=paths)
    wide = CategoryPaths(paths.neurons + 64, paths.votes, paths.images, "joint")
    with pytest.raises(ArgumentError, match="`neurons` of layer 0 must be in 0 … 63"):
        CategorySearch(vit, 3, OPTIONS, chosen=wide)


def test_the_seed_is_that_of_random_alone(vit: VisionTransformer, images: Tensor) -> None:
    for method in METHODS:
        first, same, other = (search(vit, images, method=method, steps=2, ranked=9, seed=seed) for seed in (0, 0, 1))
        assert_same(first, same)
        assert torch.equal(first.ranking, other.ranking) == (method != "random")
