"""Recall, precision and AUROC of paths."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score

from nplight.errors import ArgumentError
from nplight.planted import path_precision, path_recall, ranking_auroc


def test_recall_and_precision_are_shares_of_their_own_set() -> None:
    neurons = torch.tensor([[[1, 2, 3], [4, 5, 6]]])
    truth = torch.tensor([[[3, 9], [7, 8]]])
    assert path_recall(neurons, truth).tolist() == [[0.5, 0]]
    torch.testing.assert_close(path_precision(neurons, truth), torch.tensor([[1 / 3, 0]], dtype=torch.float64))
    assert path_recall(truth, truth).tolist() == path_precision(truth, truth).tolist() == [[1, 1]]


@pytest.mark.parametrize("ties", [False, True])
def test_auroc_is_sklearns_for_every_image_and_layer(ties: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 2, 20, generator=generator)
    if ties:
        scores = scores.round()
    truth = torch.rand(3, 2, 20, generator=generator).argsort(-1)[..., :4]
    ordered, ranking = scores.sort(descending=True)
    areas = ranking_auroc(ranking, ordered, truth, width=20)
    for image in range(3):
        for layer in range(2):
            planted = torch.zeros(20).scatter(0, truth[image, layer], 1)
            wanted = roc_auc_score(planted.numpy(), scores[image, layer].numpy())
            assert areas[image, layer].item() == pytest.approx(wanted)


def test_small_scores_are_told_apart() -> None:
    ranking, truth = torch.tensor([[[2, 0, 1]]]), torch.tensor([[[0]]])
    assert ranking_auroc(ranking, torch.tensor([[[3e-30, 2e-30, 1e-30]]]), truth, width=3).item() == 0.5


def test_neurons_that_are_not_ranked_come_last_and_equal() -> None:
    ranking, scores = torch.tensor([[[2, 0]]]), torch.tensor([[[1.0, -1.0]]])
    areas = [ranking_auroc(ranking, scores, torch.tensor([[[neuron]]]), width=4).item() for neuron in range(4)]
    assert areas == pytest.approx([2 / 3, 0.5 / 3, 1, 0.5 / 3])


def test_other_shapes_are_refused() -> None:
    ranking, truth = torch.zeros(2, 3, 4, dtype=torch.int64), torch.zeros(2, 3, 1, dtype=torch.int64)
    with pytest.raises(ArgumentError, match=r"must be \(images, layers, R\) .*got \(2, 3, 4\), \(2, 3, 5\)"):
        ranking_auroc(ranking, torch.zeros(2, 3, 5), truth, width=9)
    with pytest.raises(ArgumentError, match="of the same images and layers"):
        path_recall(ranking, truth[:1])
