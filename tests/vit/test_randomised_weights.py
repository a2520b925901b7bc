from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from nplight.vit import cascade_steps, cascading_randomisation, fingerprint, open_vit, weights_of_pieces
from tests.conftest import make_vit
from tests.vit.families import Case
from tests.vit.test_families import SUPPORTED, build, name

IMAGES = torch.randn(1, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def piece_of(name: str, depth: int) -> int:
    """The number of the step that a weight of timm's ViT belongs to, by its name."""
    if name.startswith("blocks."):
        return depth - int(name.split(".")[1])
    return 0 if name.startswith(("norm.", "head.", "fc_norm.")) else depth + 1


def test_each_weight_belongs_to_the_piece_that_runs_it() -> None:
    model = make_vit()
    pieces = weights_of_pieces(open_vit(model), IMAGES)
    assert len(pieces) == len(cascade_steps(3)) == 5
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    steps = {names[id(weight)]: step for step, weights in enumerate(pieces) for weight in weights}
    assert steps == {name: piece_of(name, 3) for name in names.values()}
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_weights_are_reordered_from_the_head_down_and_restored() -> None:
    model = make_vit().train()
    model.head.weight.requires_grad_(False)
    vit = open_vit(model)
    before, print_before = {name: values.clone() for name, values in model.state_dict().items()}, fingerprint(model)
    pieces = weights_of_pieces(vit, IMAGES)
    with cascading_randomisation(vit, pieces) as randomise:
        assert fingerprint(model) == print_before
        for step in range(5):
            randomise()
            for name, values in model.named_parameters():
                changed = not torch.equal(values, before[name])
                assert changed == (piece_of(name, 3) <= step), (step, name)
                assert torch.equal(values.flatten().sort().values, before[name].flatten().sort().values)
        randomise()  # nothing is left to do
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert model.training
    assert not model.head.weight.requires_grad
    assert model.norm.weight.requires_grad


def test_an_error_and_inference_mode_leave_the_weights_as_they_were() -> None:
    model = make_vit()
    before, vit = fingerprint(model), open_vit(model)

    def failing() -> None:
        with torch.inference_mode(), cascading_randomisation(vit, weights_of_pieces(vit, IMAGES)) as randomise:
            randomise()
            randomise()
            assert fingerprint(model) != before
            raise KeyError("stopped")

    with pytest.raises(KeyError, match="stopped"):
        failing()
    assert fingerprint(model) == before


def test_the_order_depends_on_the_seed_alone() -> None:
    model = make_vit()
    vit = open_vit(model)

    def randomised(seed: int) -> str:
        with cascading_randomisation(vit, weights_of_pieces(vit, IMAGES), seed=seed) as randomise:
            randomise()
            return fingerprint(model)

    assert randomised(0) == randomised(0) != randomised(1)


def test_a_weight_of_several_pieces_belongs_to_the_first() -> None:
    model = make_vit()
    model.blocks[0].attn.qkv.weight = model.blocks[2].attn.qkv.weight
    pieces = weights_of_pieces(open_vit(model), IMAGES)
    holders = [any(weight is model.blocks[0].attn.qkv.weight for weight in piece) for piece in pieces]
    assert holders == [False, True, False, False, False]


@pytest.mark.parametrize("case", SUPPORTED, ids=name)
def test_every_family_has_weights_in_every_piece_and_gets_them_back(case: Case) -> None:
    model = build(case)
    vit, before = open_vit(model), fingerprint(model)
    pieces = weights_of_pieces(vit, IMAGES)
    assert all(pieces)
    weights = [weight for piece in pieces for weight in piece]
    assert len({id(weight) for weight in weights}) == len(weights)
    with torch.no_grad(), cascading_randomisation(vit, pieces) as randomise:
        logits = [vit.forward(IMAGES)]
        for _ in pieces:
            randomise()
            logits.append(vit.forward(IMAGES))
    assert all(not torch.equal(first, second) for first, second in pairwise(logits))
    assert fingerprint(model) == before
