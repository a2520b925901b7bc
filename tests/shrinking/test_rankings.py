"""Rankings of all neurons."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nplight import open_vit, read_paths, search
from nplight.data import ImageBatch
from nplight.errors import ArgumentError
from nplight.runs import SearchRun, SearchSettings
from nplight.shrinking import top_share
from nplight.shrinking.rankings import (
    known_rankings,
    magnitude_scores,
    random_scores,
    search_scores,
    stored_scores,
)
from nplight.store import RunFolder
from tests.conftest import make_vit


def batches(images: Tensor, labels: Tensor) -> list[ImageBatch]:
    return [ImageBatch(images[:3], labels[:3]), ImageBatch(images[3:], labels[3:])]


def test_a_search_ranks_by_its_mean_score(images: Tensor, targets: Tensor) -> None:
    model = make_vit()
    paths = search(model, images, targets, method="gradient_activation", ranked=64, tokens="all")
    scores = search_scores(open_vit(model), "gradient_activation", lambda: batches(images, targets))
    for layer in range(3):
        means = torch.zeros(64, dtype=torch.float64)
        for image in range(4):
            means[paths.ranking[image, layer]] += paths.ranking_scores[image, layer] / 4
        torch.testing.assert_close(scores[layer], means)


def test_a_stored_ranking_is_taken_where_it_covers_the_share(images: Tensor, targets: Tensor, tmp_path: Path) -> None:
    vit = open_vit(make_vit(global_pool="avg", class_token=False))
    settings = SearchSettings.of(["activation"], top_k=1, kept=(8,), labelled=False)
    with SearchRun(vit, RunFolder(tmp_path), settings) as run:
        for batch in batches(images, targets):
            run.update(batch)
    table = read_paths(tmp_path).where(search="activation")
    paths = search(vit, images, method="activation", ranked=8)
    ranked = [paths.ranking[:, layer].unique().tolist() for layer in range(3)]
    share = min(map(len, ranked)) / 64
    scores = stored_scores(vit, "activation", table, share)
    assert scores is not None
    for chosen, known in zip(top_share(scores, share), ranked):
        assert set(chosen.tolist()) <= set(known)
    assert stored_scores(vit, "activation", table, 1.0) is None


def test_magnitude_and_random(images: Tensor, targets: Tensor) -> None:
    vit = open_vit(make_vit())
    scores = magnitude_scores(vit, lambda: batches(images, targets))
    assert all((layer >= 0).all() and layer.shape == (64,) for layer in scores)
    first, again, other = (random_scores(vit.widths, seed) for seed in (0, 0, 1))
    assert all(torch.equal(one, two) for one, two in zip(first, again))
    assert not any(torch.equal(one, two) for one, two in zip(first, other))


@pytest.mark.parametrize(("pool", "tokens"), [("token", "tokens 0"), ("avg", "tokens 1 and later")])
def test_stored_scores_of_some_tokens_are_refused(
    pool: str, tokens: str, images: Tensor, targets: Tensor, tmp_path: Path
) -> None:
    vit = open_vit(make_vit(global_pool=pool))
    at_all = {"name": "everywhere", "method": "activation", "tokens": "all"}
    settings = SearchSettings.of(["activation", at_all], top_k=1, kept=(64,), labelled=False)
    with SearchRun(vit, RunFolder(tmp_path), settings) as run:
        for batch in batches(images, targets):
            run.update(batch)
    table = read_paths(tmp_path)
    assert [table.where(search=name).tokens for name in table.searches] == ["path", "all"]
    assert table.tokens == "path"
    with pytest.raises(ArgumentError, match=f"path tokens alone, {tokens}, .* tokens: all, or by magnitude"):
        stored_scores(vit, "activation", table.where(search="activation"), 0.5)
    stored = stored_scores(vit, "everywhere", table.where(search="everywhere"), 0.5)
    anew = search_scores(vit, "activation", lambda: batches(images, targets))
    assert stored is not None
    for one, other in zip(stored, anew):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)  # stored in float32


def test_names_are_listed_once() -> None:
    names = known_rankings(["jas", "mine"])
    assert names[:4] == ["magnitude", "random", "jas", "mine"]
    assert len(names) == len(set(names))
