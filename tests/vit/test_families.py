from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nplight import UnsupportedModelError, joint_score, open_vit, search
from nplight.attribution import plain_search
from nplight.vit import FAMILIES, undisturbed
from tests.vit.families import CASES, PAGE, Case, table

SUPPORTED = [case for case in CASES if case.refused is None]
REFUSED = [case for case in CASES if case.refused is not None]


def name(case: Case) -> str:
    return f"{case.family}, {case.variant}".replace("`", "")


def build(case: Case) -> nn.Module:
    if "Hugging Face" in case.family:
        pytest.importorskip("transformers", reason="the optional extra `huggingface` is not installed")
    return case.build()


@pytest.mark.parametrize("case", SUPPORTED, ids=name)
def test_what_the_table_calls_exact_is_exact(case: Case, images: Tensor, targets: Tensor) -> None:
    model = build(case)
    vit = open_vit(model)
    with torch.no_grad():
        output = model(images)
        torch.testing.assert_close(vit.forward(images), getattr(output, "logits", output), rtol=1e-12, atol=1e-12)
        assert tuple(range(vit.embed(images).shape[1])[vit.path_tokens]) == case.tokens
    assert len(vit.down) == 3

    options = {"steps": 3, "top_k": 2, "ranked": 4}
    with undisturbed(model):
        expected = plain_search(vit, images, targets, **options)
    for chunk_size in (2, None):
        actual = search(model, images, targets, chunk_size=chunk_size, **options)
        assert torch.equal(actual.ranking, expected.ranking)
        torch.testing.assert_close(actual.ranking_scores, expected.ranking_scores, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(actual.scores, expected.scores, rtol=1e-9, atol=1e-12)
    scores = joint_score(model, images, targets, expected.neurons, steps=3)
    torch.testing.assert_close(scores, expected.scores, rtol=1e-9, atol=1e-12)
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("case", REFUSED, ids=name)
def test_what_the_table_calls_refused_is_refused_with_the_reason(case: Case) -> None:
    with pytest.raises(UnsupportedModelError, match=rf"(?s){case.refused}.*Supported: "):
        open_vit(build(case))


def test_every_family_has_a_row() -> None:
    opened = {type(open_vit(build(case))) for case in SUPPORTED}
    assert opened == set(FAMILIES)


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == table(), "run `python -m tests.vit.families`"
