"""A wrapper's forward belongs to what is searched: its own figures, or a refusal by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import timm
import torch
from lightning.pytorch import LightningModule
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from nplight import UnsupportedModelError, intervene, joint_score, open_vit, references, search
from nplight.errors import ArgumentError
from nplight.neurons import overwrite
from nplight.vit import WrappedViT, undisturbed
from tests.conftest import make_vit
from tests.vit.families import hugging_face_vit, torchvision_vit


class Wrapper(nn.Module):
    """A ViT with something before it and something after it."""

    def __init__(
        self,
        net: nn.Module,
        before: Callable[[Tensor], Any] = lambda images: images,
        after: Callable[[Any], Any] = lambda logits: logits,
    ) -> None:
        super().__init__()
        self.net = net
        self.before, self.after = before, after

    def forward(self, images: Tensor) -> Any:
        return self.after(self.net(self.before(images)))


class Backbone(LightningModule):
    """The commonest fine-tune: a backbone without a head, and a head of its own."""

    def __init__(self, backbone: nn.Module, features: int = 16) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Sequential(nn.LayerNorm(features), nn.Dropout(0.5), nn.Linear(features, 7)).double()

    def forward(self, images: Tensor) -> Tensor:
        actual: Tensor = self.head(self.backbone(images))
        return actual


def normalised(images: Tensor) -> Tensor:
    return (images - 0.5) / 0.7


def backbone() -> VisionTransformer:
    return make_vit(num_classes=0)


def with_head(model: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    return Backbone(model).eval()


def hooked() -> VisionTransformer:
    model = make_vit()
    model.register_forward_hook(lambda module, arguments, output: output * 3)
    model.register_forward_pre_hook(lambda module, arguments: (normalised(arguments[0]),))
    return model


WRAPPERS: Mapping[str, Callable[[], nn.Module]] = {
    "normalises and scales": lambda: Wrapper(make_vit(), normalised, lambda logits: logits * 3),
    "an added head": lambda: nn.Sequential(make_vit(), nn.Linear(5, 7).double()),
    "a backbone with a head of its own": lambda: with_head(backbone()),
    "a backbone that averages patches": lambda: with_head(make_vit(num_classes=0, global_pool="avg")),
    "in a wrapper without a forward": lambda: nn.ModuleDict({"a": Wrapper(make_vit(), normalised)}),
    "another size of images": lambda: Wrapper(make_vit(), lambda images: images[:, :, ::2, ::2]),
    "one channel for three": lambda: Wrapper(make_vit(), lambda images: images.repeat(1, 3, 1, 1)),
    "works in place": lambda: Wrapper(make_vit(), lambda images: images.sub_(0.3), lambda logits: logits.mul_(2)),
    "named logits": lambda: Wrapper(make_vit(), normalised, lambda logits: {"logits": logits, "loss": None}),
    "hooks on the model itself": hooked,
    "torchvision": lambda: Wrapper(torchvision_vit(), normalised, lambda logits: logits * 2),
    "transformers": lambda: Wrapper(hugging_face_vit(), normalised, lambda output: output.logits * 2),
    "transformers by name": lambda: Wrapper(
        hugging_face_vit(), lambda images: images * 2, lambda output: {"logits": output.logits * 2}
    ),
    "does nothing": lambda: Wrapper(make_vit()),
}
SHAPES = {"another size of images": (4, 3, 16, 16), "one channel for three": (4, 1, 8, 8)}


def images_for(case: str) -> Tensor:
    return torch.randn(SHAPES.get(case, (4, 3, 8, 8)), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def logits(model: nn.Module, images: Tensor) -> Tensor:
    """The wrapper's own; a container has those of what it holds."""
    with torch.no_grad():
        output = (model["a"] if isinstance(model, nn.ModuleDict) else model)(images.clone())
    return output["logits"] if isinstance(output, dict) else getattr(output, "logits", output)


def plain_paths(model: nn.Module, images: Tensor, targets: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The paper's Algorithm 1 by nothing but forward passes of the whole wrapper: neurons and scores, for K = 1."""
    module = model["a"] if isinstance(model, nn.ModuleDict) else model
    vit = open_vit(model)
    clean: dict[int, Tensor] = {}

    @contextmanager
    def recording() -> Any:
        handles = [
            down.linear.register_forward_pre_hook(
                lambda _, arguments, layer=layer: clean.__setitem__(layer, arguments[0][:, vit.path_tokens].detach())
            )
            for layer, down in enumerate(vit.down)
        ]
        yield
        for handle in handles:
            handle.remove()

    def probability() -> Tensor:
        output = module(images.clone())
        actual = output["logits"] if isinstance(output, dict) else getattr(output, "logits", output)
        return actual.softmax(-1).gather(1, targets[:, None]).sum()

    with undisturbed(model):
        with torch.no_grad(), recording():
            probability()
        path: list[Tensor] = []
        for layer in range(vit.depth):
            totals = [torch.zeros_like(clean[j]) for j in range(layer + 1)]
            masks = [torch.zeros_like(clean[j]).scatter(2, picks, 1) for j, picks in enumerate(path)]
            masks.append(torch.ones_like(clean[layer]))
            for node in range(steps):
                leaves = {
                    j: (clean[j] * (1 - masks[j] * (1 - node / steps))).requires_grad_() for j in range(layer + 1)
                }
                with overwrite(vit, leaves):
                    grads = torch.autograd.grad(probability(), list(leaves.values()))
                totals = [total + grad / steps for total, grad in zip(totals, grads)]
            value = sum((clean[j] * masks[j]).sum(2, keepdim=True) for j in range(layer)) + clean[layer]
            along = sum((totals[j] * masks[j]).sum(2, keepdim=True) for j in range(layer)) + totals[layer]
            scores = (value * along).mean(1)
            best = scores.argmax(1)
            path.append(best[:, None, None].expand(-1, clean[layer].shape[1], 1))
    return torch.stack([picks[:, 0] for picks in path], 1), scores.gather(1, best[:, None]).squeeze(1)


@pytest.mark.parametrize("case", WRAPPERS)
def test_a_search_of_a_wrapper_gives_what_the_whole_wrapper_gives(case: str, targets: Tensor) -> None:
    model, images = WRAPPERS[case](), images_for(case)
    before = images.clone()
    own = logits(model, images).softmax(-1).gather(1, targets[:, None]).squeeze(1)
    paths = search(model, images, targets, steps=3)
    torch.testing.assert_close(paths.probability, own, rtol=1e-9, atol=1e-9)
    expected, last = plain_paths(model, images, targets, 3)
    assert torch.equal(paths.neurons, expected)
    torch.testing.assert_close(paths.neuron_scores[:, -1, 0], last, rtol=1e-8, atol=1e-12)
    scores = joint_score(model, images, targets, paths.neurons, steps=3)
    torch.testing.assert_close(scores, paths.scores, rtol=1e-9, atol=1e-12)
    assert torch.equal(images, before)
    inside = open_vit(model).transformer
    assert "forward" not in vars(inside)


@pytest.mark.parametrize("method", ["integrated_gradients", "conductance", "influence_pattern", "cross_layer"])
def test_other_methods_see_the_wrapper_too(method: str, images: Tensor, targets: Tensor) -> None:
    # A head that is scaled and a head whose weights are: the same model, one of them without a wrapper.
    wrapped, plain = Wrapper(make_vit(), after=lambda logits: logits * 3), make_vit()
    with torch.no_grad():
        plain.head.weight.mul_(3)
        plain.head.bias.mul_(3)
    actual, expected = (search(model, images, targets, method=method, steps=4) for model in (wrapped, plain))
    assert torch.equal(actual.neurons, expected.neurons)
    torch.testing.assert_close(actual.neuron_scores, expected.neuron_scores)


def test_a_wrapper_that_does_nothing_is_searched_like_its_vit(images: Tensor, targets: Tensor) -> None:
    vit = open_vit(Wrapper(make_vit()))
    assert vit.searched is vit.transformer
    assert vit.head_takes_path_tokens()
    frozen = search(vit, images, targets, steps=3, patch_stream="frozen")
    assert torch.equal(frozen.scores, search(make_vit(), images, targets, steps=3, patch_stream="frozen").scores)


def test_the_weights_of_a_head_of_its_own_count() -> None:
    model = with_head(backbone())
    assert open_vit(model).searched is model
    assert open_vit(model).num_classes == 7


def test_edits_and_references_see_the_wrapper(images: Tensor) -> None:
    model = Wrapper(make_vit(), normalised)
    bare = model.net
    gathered, expected = references(model, [images], "mean"), references(bare, [normalised(images)], "mean")
    for layer in range(3):
        torch.testing.assert_close(gathered.of(images)[layer], expected.of(images)[layer])
    neurons = search(model, images, steps=2).neurons
    with torch.no_grad(), intervene(model, neurons, "remove"):
        removed = model(images)
    with torch.no_grad(), intervene(bare, neurons, "remove"):
        torch.testing.assert_close(removed, bare(normalised(images)))


@pytest.mark.parametrize("compiled", ["outside", "inside"])
def test_a_compiled_wrapper_is_searched_as_it_was_written(compiled: str, images: Tensor, targets: Tensor) -> None:
    model: Any = Wrapper(make_vit(), normalised)
    expected = search(model, images, targets, steps=2)
    if compiled == "outside":
        model = torch.compile(model, backend="eager")
    else:
        model.net = torch.compile(model.net, backend="eager")
    with torch.no_grad():
        model(images)
    actual = search(model, images, targets, steps=2)
    torch.testing.assert_close(actual.scores, expected.scores)
    torch.testing.assert_close(actual.probability, expected.probability)


def twice(images: Tensor) -> Tensor:
    return torch.cat([images, images])


class Twice(Wrapper):
    def forward(self, images: Tensor) -> Tensor:
        actual: Tensor = (self.net(images) + self.net(images.flip(-1))) / 2
        return actual


class Features(Wrapper):
    def forward(self, images: Tensor) -> Tensor:
        actual: Tensor = self.net.forward_features(images)[:, 0]  # type: ignore[operator, union-attr]
        return actual


class Beside(Wrapper):
    def forward(self, images: Tensor) -> Tensor:
        actual: Tensor = self.net(images) + images.mean((1, 2, 3))[:, None] * torch.arange(5).to(images)
        return actual


class Loader(Wrapper):
    def forward(self, batch: Any) -> Any:
        images, labels = batch
        return self.net(images), labels


class ByChance(Wrapper):
    def forward(self, images: Tensor) -> Tensor:
        actual: Tensor = nn.functional.dropout(self.net(images), 0.5, training=True)
        return actual


class Depends(Wrapper):
    def forward(self, images: Tensor) -> Tensor:
        actual: Tensor = self.net(images)
        return actual * 2 if images.abs().max() > 1 else actual


REFUSED: Mapping[str, tuple[type[Wrapper], Mapping[str, Any], str]] = {
    "two passes": (Twice, {}, "calls its VisionTransformer 2 times"),
    "a piece of the ViT": (Features, {}, "does not call its VisionTransformer as a whole"),
    "the images beside the ViT": (Beside, {}, "Beside whose forward does more"),
    "a whole batch": (Loader, {}, "cannot be called with a batch of images alone"),
    "chance": (ByChance, {}, "or on chance"),
    "other things for other images": (Depends, {}, "something else for these images"),
    "other images of the batch": (Wrapper, {"after": lambda logits: logits - logits.mean(0)}, "other images of the"),
    "more rows": (Wrapper, {"before": twice}, "something else for these images|does more|other logits"),
    "a cut gradient": (Wrapper, {"after": lambda logits: logits.detach() * 2}, "cuts the gradient"),
    "probabilities": (Wrapper, {"after": lambda logits: logits.softmax(-1)}, "gives probabilities"),
    "features": (Wrapper, {"after": lambda logits: logits[:, :, None]}, r"must give logits .* a tensor \(1, 5, 1\)"),
    "one logit": (Wrapper, {"after": lambda logits: logits[:, :1]}, "at least 2 categories"),
    "several results": (Wrapper, {"after": lambda logits: (logits, 1)}, "gives a tuple"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrapper_that_cannot_be_taken_apart_is_refused_by_name(case: str, images: Tensor) -> None:
    kind, settings, reason = REFUSED[case]
    model = kind(make_vit(), **settings)
    with pytest.raises(UnsupportedModelError, match=reason):
        search(model, images, steps=2)
    assert "forward" not in vars(model.net)


def test_a_vit_is_searched_alone_by_its_name(images: Tensor) -> None:
    model = Loader(make_vit())
    alone = search(open_vit(model, "net"), images, steps=2)
    assert torch.equal(alone.scores, search(model.net, images, steps=2).scores)
    # But what the forward does around it is not left out where it can be told.
    assert isinstance(open_vit(Wrapper(make_vit(), normalised), "net"), WrappedViT)


def test_the_one_of_several_that_the_forward_runs_is_searched_with_it(images: Tensor) -> None:
    model = Wrapper(make_vit(), normalised)
    model.teacher = make_vit()
    assert isinstance(open_vit(model, "net"), WrappedViT)
    assert not isinstance(open_vit(model, "teacher"), WrappedViT)
    with pytest.raises(UnsupportedModelError, match="holds 2 Vision Transformers"):
        open_vit(model)


def test_images_that_do_not_fit_behind_the_wrapper_are_refused() -> None:
    model = Wrapper(make_vit(), lambda images: images[:, :, ::2, ::2])
    with pytest.raises(ArgumentError, match=r"as Wrapper passes them to its Vision Transformer, `images` must .* 4, 4"):
        search(model, torch.zeros(2, 3, 8, 8, dtype=torch.float64))


def test_opening_changes_nothing(images: Tensor) -> None:
    model = with_head(backbone()).train()
    before = torch.get_rng_state()
    training = [module.training for module in model.modules()]
    open_vit(model)
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in model.modules()] == training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_head_that_was_put_into_a_timm_model_counts(images: Tensor, targets: Tensor) -> None:
    model = timm.create_model("vit_tiny_patch16_224", img_size=8, patch_size=4, depth=2).double().eval()
    model.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(192, 7)).double()
    assert open_vit(model).num_classes == 7
