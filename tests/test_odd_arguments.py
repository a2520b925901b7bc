"""Whatever stands in an argument's place, a public function takes it or refuses it in its own words, in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

import nplight
from nplight import CategoryPaths, PathBatch
from nplight.errors import ArgumentError, NplightError, UnsupportedModelError
from nplight.searching import CategorySearch, SearchOptions, named_searches
from nplight.shrinking import top_share
from tests.conftest import make_vit
from tests.vit.test_timm_eva import make_eva

NEURONS = torch.tensor([[[0], [1], [2]], [[3], [4], [5]]])
LABELS = torch.tensor([0, 1])
REFERENCES = {layer: torch.zeros(1, 1, 64) for layer in range(3)}

ODD: list[Any] = [
    None,
    True,
    -1,
    1.5,
    2**70,
    float("nan"),
    "x",
    "a\0b",
    b"x",
    ["jas"],
    (1, 2),
    {"a": 1},
    object(),
    int,
    np.zeros((2, 3)),
    torch.tensor(1),
    torch.tensor([]),
    torch.zeros(2, 3, 8, 8, device="meta", dtype=torch.float64),
    torch.zeros(2, device="meta", dtype=torch.int64),
    NEURONS.to("meta"),
    torch.zeros(2, 3, 8, 8, dtype=torch.float64).to_sparse(),
    torch.zeros(2, dtype=torch.int64).to_sparse(),
    NEURONS.to_sparse(),
    torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
    torch.full((2,), 2**62),
    [None],
    [torch.zeros(2, 2)],
    nn.Identity(),
    slice(0, 1),
]


def intervened(model: Any, images: Tensor, **options: Any) -> None:
    with torch.no_grad(), nplight.intervene(model, **options):
        model(images)


def recorded(model: Any, tokens: Any) -> None:
    with nplight.record(model, tokens=tokens):
        model(torch.zeros(1, 3, 8, 8, dtype=torch.float64))


def jointly(
    model: Any, num_classes: Any, options: Any, chosen: Any, images: Tensor, labels: Any, targets: Any, top_k: Any
) -> None:
    search = CategorySearch(model, num_classes, options, chosen=chosen)
    for _ in range(search.depth):
        search.update(images, labels, targets)
        search.choose()
    search.paths(top_k)


def calls(vit: VisionTransformer, images: Tensor) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Each public function with arguments that it takes."""
    paths = nplight.search(vit, images, steps=1)
    category = nplight.category_paths(NEURONS, LABELS, num_classes=2)
    return {
        "search": (
            nplight.search,
            {
                "model": vit, "images": images, "targets": LABELS, "method": "jas", "granularity": "image",
                "top_k": 1, "ranked": 1, "steps": 1, "rule": "midpoint", "patch_stream": "exact", "chunk_size": None,
                "seed": 0,
            },
        ),
        "joint_score": (
            nplight.joint_score,
            {"model": vit, "images": images, "targets": LABELS, "neurons": NEURONS, "steps": 1, "rule": "midpoint"},
        ),
        "intervene": (
            lambda model=vit, **options: intervened(model, images, **options),
            {
                "model": vit, "neurons": NEURONS, "operation": "keep", "fill": "mean", "fraction": 0.5,
                "generator": None, "references": REFERENCES, "tokens": "path",
            },
        ),
        "references": (
            nplight.references,
            {"model": vit, "batches": [images], "fill": "resample", "tokens": "path", "seed": 0},
        ),
        "references.of": (nplight.references(vit, [images], "resample").of, {"images": images}),
        "record": (recorded, {"model": vit, "tokens": "path"}),
        "category_paths": (
            nplight.category_paths,
            {
                "neurons": NEURONS, "labels": LABELS, "num_classes": 2, "top_k": 1, "method": "mean-score",
                "scores": NEURONS.double(),
            },
        ),
        "CategorySearch": (
            jointly,
            {
                "model": vit, "num_classes": 2, "options": SearchOptions(steps=1), "chosen": None, "images": images,
                "labels": LABELS, "targets": None, "top_k": 1,
            },
        ),
        "named_searches": (lambda entries: named_searches(entries, SearchOptions()), {"entries": ["jas"]}),
        "an entry": (lambda **entry: named_searches([entry], SearchOptions()), {
            "method": "jas", "name": "x", "granularity": "image", "search_per_t": False, "steps": 1,
            "rule": "midpoint", "patch_stream": "exact", "seed": 0,
        }),
        "read_paths": (nplight.read_paths, {"directory": "."}),
        "shrink": (
            nplight.shrink, {"model": vit, "neurons": NEURONS[0], "fill": "mean", "references": REFERENCES},
        ),
        "edit_model": (nplight.edit_model, {"model": vit, "neurons": NEURONS[0], "scale": 0.5}),
        "top_share": (top_share, {"scores": [torch.ones(3)], "share": 0.5, "across": "layer"}),
        "open_vit": (nplight.open_vit, {"model": vit, "name": ""}),
        "PathBatch": (PathBatch, {field.name: getattr(paths, field.name) for field in fields(PathBatch)}),
        "PathBatch.[]": (paths.__getitem__, {"images": 0}),
        "PathBatch.plot": (paths.plot, {"image": 0}),
        "PathBatch.load": (PathBatch.load, {"path": None}),
        "PathBatch.cat": (PathBatch.cat, {"batches": [paths]}),
        "CategoryPaths": (CategoryPaths, {field.name: getattr(category, field.name) for field in fields(category)}),
        "CategoryPaths.of": (category.of, {"labels": LABELS}),
    }  # fmt: skip


NAMES = [
    "search", "joint_score", "intervene", "references", "references.of", "record", "category_paths", "CategorySearch",
    "named_searches", "an entry", "read_paths", "shrink", "edit_model", "top_share", "open_vit", "PathBatch",
    "PathBatch.cat", "CategoryPaths",
    "CategoryPaths.of", "PathBatch.[]", "PathBatch.plot", "PathBatch.load",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_odd_arguments_are_taken_or_refused_in_one_line(name: str, vit: VisionTransformer, images: Tensor) -> None:
    images = images[:2]
    function, arguments = calls(vit, images)[name]
    if name not in ("read_paths", "PathBatch.load"):  # which need files
        function(**arguments)
    refused = 0
    for argument in arguments:
        for odd in ODD:
            with contextlib.suppress(NplightError):
                function(**{**arguments, argument: odd})
                continue
            with pytest.raises(NplightError) as caught:
                function(**{**arguments, argument: odd})
            refused += 1
            assert len(str(caught.value)) < 900, argument
            assert "\n" not in str(caught.value), argument
    assert refused > 10
    assert all(weight.requires_grad for weight in vit.parameters())


@pytest.mark.parametrize(
    ("call", "error", "reason"),
    [
        (lambda vit: nplight.read_paths(("runs", "x")), ArgumentError, r"`directory` must be the path of a run folder, "
         r"got \('runs', 'x'\)"),
        (lambda vit: nplight.references(vit, True, "mean"), ArgumentError, "`batches` must be something to go through "
         "several times, such as a list or a DataLoader, got True"),
        (lambda vit: nplight.references(vit, torch.zeros(2, 3, 8, 8), "mean"), ArgumentError, "`batches` must be "
         r"something.*got a torch.float32 tensor of shape \(2, 3, 8, 8\)"),
        (lambda vit: nplight.open_vit((1,), "head"), UnsupportedModelError, "`model` is a tuple"),
        (lambda vit: nplight.search(vit, torch.zeros(1, 3, 8, 8, dtype=torch.float64).to_sparse()), ArgumentError,
         "`images` must be a dense tensor that holds its values, got one that is sparse"),
        (lambda vit: nplight.search(vit, torch.zeros(1, 3, 8, 8, device="meta")), ArgumentError,
         "`images` must be a dense tensor.*got one that is on the meta device, without values"),
        (lambda vit: CategoryPaths(NEURONS, NEURONS, LABELS + 1, "joint").of(torch.tensor([0, -1])), ArgumentError,
         "`labels` must be in 0 … 1, the categories that have a path, got -1 for image 1"),
        (lambda vit: nplight.search(vit, torch.zeros(1, 3, 8, 8).double(), steps=10_001), ArgumentError,
         "`steps` must be at most 10000, got 10001"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_wrong(
    vit: VisionTransformer, call: Callable[[Any], Any], error: type[NplightError], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        call(vit)


@pytest.mark.parametrize("make", [make_vit, make_eva])
def test_an_image_size_between_two_patches_is_refused_and_others_are_open(make: Callable[..., nn.Module]) -> None:
    options = {"img_size": 8, "dynamic_img_size": True}
    model = make(**options, **({"use_rot_pos_emb": False} if make is make_eva else {}))
    dtype = next(model.parameters()).dtype
    reason = r"height and a width that are multiples of the model's patches, \(4, 4\), got \(12, 9\); resize or crop"
    with pytest.raises(ArgumentError, match=reason):
        nplight.search(model, torch.zeros(1, 3, 12, 9, dtype=dtype))
    images = torch.randn(1, 3, 12, 8, dtype=dtype)
    torch.testing.assert_close(
        nplight.search(model, images, steps=1).probability, model(images).softmax(-1).amax(-1).detach()
    )


def test_a_model_that_pads_its_images_takes_any_size() -> None:
    model = make_vit(dynamic_img_size=True, dynamic_img_pad=True)
    images = torch.randn(1, 3, 9, 7, dtype=torch.float64)
    expected = model(images).softmax(-1).amax(-1).detach()
    torch.testing.assert_close(nplight.search(model, images, steps=1).probability, expected)


class Converting(nn.Linear):
    """A head in float32 after a body of another dtype."""

    def forward(self, values: Tensor) -> Tensor:
        return super().forward(values.float())


def test_weights_of_several_dtypes_are_searched_where_the_model_converts_and_else_named() -> None:
    model = make_vit().bfloat16()
    model.head.float()
    images = torch.randn(2, 3, 8, 8, dtype=torch.bfloat16)
    reason = r"of torch.bfloat16 with head.weight of torch.float32, head.bias.*model.to\(torch.bfloat16\)"
    for call in (
        lambda: nplight.search(model, images, steps=1),
        lambda: nplight.joint_score(model, images, None, NEURONS),
        lambda: nplight.references(model, [images], "mean"),
    ):
        with pytest.raises(UnsupportedModelError, match=reason):
            call()
    with torch.autocast("cpu", torch.bfloat16):
        nplight.search(model, images, steps=1)
    head = Converting(16, 5)
    head.load_state_dict(model.head.state_dict())
    model.head = head
    found = nplight.search(model, images, steps=1)
    torch.testing.assert_close(found.probability, model(images).softmax(-1).amax(-1).detach())


@pytest.mark.parametrize("fill", ["mean", "peak", "resample"])
def test_references_of_no_image_say_only_that(vit: VisionTransformer, fill: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        nplight.references(vit, [], fill)
    assert str(caught.value) == "`batches` must hold at least one image, got none"
