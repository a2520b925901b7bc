from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import strange_cases
from benchmarks.strange_cases import StrangeCase, exchanged, mislabelled_in_training, noisy, some, trained, with_trigger
from benchmarks.strange_paths import BASELINE, CASES, METHODS, page, screened
from nplight.planted.triggered_digits import LabelledImages, seen_digits, unseen_digits

ROOT = Path(__file__).parent.parent.parent


def test_the_page_is_what_was_measured() -> None:
    measured = json.loads((ROOT / "benchmarks" / "results" / "strange_paths.json").read_text())
    assert measured["cases"].keys() == CASES.keys()
    scores = {BASELINE, *(f"{method}, {count} per layer" for method in METHODS for count in (1, 10))}
    for case in measured["cases"].values():
        assert case["auroc"].keys() == scores
    assert (ROOT / "docs" / "strange_paths.md").read_text(encoding="utf-8") == page(measured)


def test_a_tenth_is_strange_and_only_that_is_changed() -> None:
    chosen = some(200, torch.Generator().manual_seed(0))
    assert chosen.sum() == 20
    labels = torch.arange(200) % 10
    assert torch.equal(exchanged(labels, chosen, torch.Generator().manual_seed(0)) != labels, chosen)
    digits = unseen_digits().drawn(400, torch.Generator().manual_seed(0)).images
    attacked = with_trigger("trigger_3", torch.Generator().manual_seed(0), reference=False)
    for case in (attacked, noisy(torch.Generator().manual_seed(0))):
        changed = (case.images != digits).flatten(1).any(1)
        assert torch.equal(changed, case.strange)
        assert changed.sum() == 40
        assert case.labels is None


def test_a_model_is_trained_with_the_labels_that_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = seen_digits()
    model = trained(torch.full_like(digits.labels, 3), epochs=1)
    with torch.no_grad():
        assert (model(digits.images[:50]).argmax(1) == 3).all()
    given = []
    monkeypatch.setattr(strange_cases, "trained", lambda labels, epochs: given.append(labels) or model)
    case = mislabelled_in_training(torch.Generator().manual_seed(0))
    assert case.model is model
    assert case.labels is not None
    assert (given[0] != digits.labels).sum() == 108
    # Each image that is looked through has the label that it was trained with.
    right = {image.numpy().tobytes(): label for image, label in zip(digits.images, digits.labels)}
    wrong = [bool(right[image.numpy().tobytes()] != label) for image, label in zip(case.images, case.labels)]
    assert wrong == case.strange.tolist()


@pytest.mark.parametrize("compared", ["each other", "reference"])
def test_images_of_another_kind_are_found(compared: str) -> None:
    """Pure noise among digits: every score but that of random paths tells it."""
    digits = unseen_digits()
    images, strange = digits.images[:60].clone(), torch.arange(60) < 6
    images[strange] = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    reference = None if compared == "each other" else LabelledImages(digits.images[60:120], digits.labels[60:120])
    case = StrangeCase(strange_cases.digits_model(), images, None, strange, reference)
    found = screened(case, ["gradient_activation", "random"], [1, 10], replicates=20)
    assert (found["images"], found["strange"]) == (60, 6)
    assert next(iter(found["auroc"])) == BASELINE
    assert found["auroc"]["gradient_activation, 10 per layer"][0] > 0.7
    assert 0.2 < found["auroc"]["random, 10 per layer"][0] < 0.8
