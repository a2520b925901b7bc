"""Correlations of neurons with words, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nplight.errors import ArgumentError
from nplight.metrics import ConceptAgreement, word_correlation


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_correlation_is_numpys() -> None:
    values, words = 5 + 2 * drawn(50, 3), drawn(50, 4, seed=1) - 100
    wanted = np.corrcoef(values.T.numpy(), words.T.numpy())[:3, 3:]
    assert word_correlation(values, words).numpy() == pytest.approx(wanted, abs=1e-10)


def test_a_value_that_is_the_same_for_all_images_has_none() -> None:
    values, words = drawn(20, 2), drawn(20, 3, seed=1)
    values[:, 1], words[:, 2] = 0.3, 7
    correlation = word_correlation(values, words)
    assert correlation.isnan().tolist() == [[False, False, True], [True, True, True]]
    assert word_correlation(words[:, :1], 3 * words[:, :1] + 2).item() == pytest.approx(1)


@pytest.mark.parametrize("sizes", [[40], [1] * 40, [13, 27]])
def test_batches_do_not_matter(sizes: list[int]) -> None:
    values, words = drawn(40, 3), drawn(3, 40, 2, seed=1)
    agreement = ConceptAgreement(3, 2, controls=2)
    for batch, of_batch in zip(values.split(sizes), words.split(sizes, 1)):
        agreement.update(batch, of_batch)
    result = agreement.compute()
    assert result.shape == (3, 3, 2)
    for draw in range(3):
        assert torch.allclose(result[draw], word_correlation(values, words[draw]), atol=1e-12)


def test_two_devices_give_what_one_gives() -> None:
    values, words = drawn(40, 3), drawn(1, 40, 2, seed=1)
    whole, parts = ConceptAgreement(3, 2), [ConceptAgreement(3, 2) for _ in range(2)]
    whole.update(values, words)
    for part, batch, of_batch in zip(parts, values.chunk(2), words.chunk(2, 1)):
        part.update(batch, of_batch)
    together = ConceptAgreement(3, 2)
    for name in ("images", "of_neurons", "of_words", "products"):
        setattr(together, name, sum(getattr(part, name) for part in parts))
    together._update_count = 1
    assert torch.allclose(together.compute(), whole.compute(), atol=1e-12)


def test_what_does_not_fit_is_refused() -> None:
    agreement = ConceptAgreement(3, 2)
    for values, words in ((drawn(4, 2), drawn(1, 4, 2)), (drawn(4, 3), drawn(1, 5, 2)), (drawn(4, 3), drawn(2, 4, 2))):
        with pytest.raises(ArgumentError, match=r"`values` must be \(images, 3\) and `words` \(1, images, 2\), got"):
            agreement.update(values, words)
    with pytest.raises(ArgumentError, match="must be finite, got NaN"):
        agreement.update(drawn(4, 3) * torch.nan, drawn(1, 4, 2))
    with pytest.raises(ArgumentError, match="`words` must be an integer of at least 1, got 0"):
        ConceptAgreement(3, 0)
