from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from nplight.errors import ArgumentError, CheckpointError, NplightError
from nplight.modules import ViTClassifier
from nplight.vit import is_compiled

ARGUMENTS = {"img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2}


def classifier(**changes: Any) -> ViTClassifier:
    torch.manual_seed(0)
    return ViTClassifier("vit_tiny_patch16_224", **{"num_classes": 2, "model_args": ARGUMENTS, **changes})


def loader(labels: bool = True) -> DataLoader[dict[str, Any]]:
    draw = torch.Generator().manual_seed(0)
    samples = [
        {"image": torch.randn(3, 8, 8, generator=draw) + 3 * (number % 2), "index": number} for number in range(16)
    ]
    if labels:
        samples = [{**sample, "label": sample["index"] % 2} for sample in samples]
    return DataLoader(samples, batch_size=6)


def trainer(**options: Any) -> Trainer:
    return Trainer(
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        accelerator="cpu", **options,
    )  # fmt: skip


def test_it_learns_and_counts_unequal_batches_right() -> None:
    model = classifier()
    runner = trainer(max_epochs=20)
    rates: list[float] = []
    model.on_train_batch_end = lambda *_: rates.append(runner.optimizers[0].param_groups[0]["lr"])
    runner.fit(model, loader(), loader())
    (result,) = runner.validate(model, loader(), verbose=False)
    predicted = torch.cat([model.model.eval()(batch["image"]).argmax(1) for batch in loader()])
    assert result["val/accuracy"] == pytest.approx((predicted == torch.arange(16) % 2).float().mean().item())
    assert result["val/accuracy"] >= 0.9
    assert runner.test(model, loader(), verbose=False)[0]["test/accuracy"] == result["val/accuracy"]
    # Warm-up over a tenth of the 60 steps, then down to almost nothing.
    assert rates[0] < rates[3] < max(rates) == pytest.approx(1e-3, rel=0.02)
    assert rates.index(max(rates)) <= 6
    assert rates[-1] < 1e-5


def test_it_predicts_probabilities_without_labels() -> None:
    predictions = torch.cat(trainer().predict(classifier(), loader(labels=False)))
    assert predictions.shape == (16, 2)
    torch.testing.assert_close(predictions.sum(1), torch.ones(16))


def test_biases_and_norms_do_not_decay() -> None:
    model = classifier(weight_decay=0.1)
    model._trainer = type("Steps", (), {"estimated_stepping_batches": 10})()
    groups = model.configure_optimizers()["optimizer"].param_groups
    decay = {id(weight): group["weight_decay"] for group in groups for weight in group["params"]}
    assert decay[id(model.model.head.weight)] == 0.1
    assert decay[id(model.model.head.bias)] == 0
    assert decay[id(model.model.norm.weight)] == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_args": {"dopth": 3}}, "`model_args` do not fit vit_tiny_patch16_224: .*dopth"),
        ({"model_args": {"num_heads": 7}}, "`model_args` do not fit vit_tiny_patch16_224: dim should be divisible"),
        ({"model_args": {"patch_size": 0}}, "`model_args` do not fit vit_tiny_patch16_224: integer division"),
        ({"model_args": {"pos_embed": "x"}}, "`model_args` do not fit vit_tiny_patch16_224: AssertionError"),
        ({"num_classes": 1}, "its head has 1 categories, at least 2 are needed"),
        ({"checkpoint": "x" * 5000}, "`checkpoint` must be a file that exists, got x+\\.\\.\\."),
        ({"pretrained": True, "checkpoint": "x"}, "`pretrained` and `checkpoint` exclude each other"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(NplightError, match=reason):
        classifier(**change)


def test_an_unknown_model_is_named_with_similar_ones() -> None:
    with pytest.raises(
        ArgumentError, match=r"must be a timm model, got 'vit_base_patch16_223'; .*vit_base_patch16_224"
    ):
        ViTClassifier("vit_base_patch16_223", num_classes=2)
    with pytest.raises(ArgumentError, match="`model_name` must be the name of a timm model, got None"):
        ViTClassifier(None, num_classes=2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet18", "a ResNet, which cannot be opened"),
        ("cait_xxs24_224", "a Cait, which cannot be opened"),
    ],
)
def test_a_model_that_is_no_vit_is_refused_at_birth(name: str, reason: str) -> None:
    with pytest.raises(
        ArgumentError, match=rf"`model_name` must be a Vision Transformer that nplight opens, got '{name}'.*{reason}"
    ) as caught:
        ViTClassifier(name, num_classes=2)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_with_nan_is_refused_by_the_trainer(tmp_path: Path) -> None:
    model = classifier()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    state["model.norm.bias"][0] = float("nan")
    torch.save({"state_dict": state, "pytorch-lightning_version": "2.6.0", "global_step": 0}, tmp_path / "bad.ckpt")
    with pytest.raises(CheckpointError, match=r"`ckpt_path` must hold finite weights, .* are in model\.norm\.bias"):
        trainer().validate(model, loader(), ckpt_path=tmp_path / "bad.ckpt", verbose=False)


def test_training_needs_labels() -> None:
    with pytest.raises(ArgumentError, match="the batch must have labels"):
        classifier().training_step(next(iter(loader(labels=False))), 0)


def test_compiled_blocks_keep_their_names_and_their_weights() -> None:
    plain, compiled = classifier(), classifier(compile_blocks=True)
    assert [is_compiled(block) for block in compiled.model.blocks] == [True]
    assert not any(is_compiled(block) for block in plain.model.blocks)
    assert plain.state_dict().keys() == compiled.state_dict().keys()
