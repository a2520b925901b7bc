"""Fine-tune a model of timm on images of your own, then find and test the neuron paths of its categories.

    python examples/timm_finetune.py                                                            # digits, a small model
    python examples/timm_finetune.py --model vit_small_patch16_224 --pretrained --size 224      # pretrained weights

`digits` gives scikit-learn's digits; put your own in its place.
"""

from __future__ import annotations

import argparse

import timm
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import nplight
from nplight.neurons import OPERATIONS, Operation

DISCOVER, HELD_OUT = slice(1400, 1600), slice(1600, 1797)


def digits(size: int) -> tuple[Tensor, Tensor]:
    """Digits as images (images, 3, size, size) in [-1, 1], and their labels."""
    scans = load_digits()
    pixels = torch.from_numpy(scans.images).float()[:, None].expand(-1, 3, -1, -1) / 8 - 1
    return functional.interpolate(pixels, (size, size), mode="bilinear"), torch.from_numpy(scans.target).long()


def small_model() -> nn.Module:
    """A Vision Transformer that trains in seconds."""
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=16, patch_size=4, embed_dim=48, depth=3, num_heads=4, num_classes=10
    )


def fine_tune(model: nn.Module, pixels: Tensor, labels: Tensor, epochs: int) -> None:
    """Cross-entropy and AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(epochs):
        for index in torch.randperm(len(pixels)).split(64):
            loss: Tensor = functional.cross_entropy(model(pixels[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    model.eval()


def label_probability(model: nn.Module, pixels: Tensor, labels: Tensor) -> float:
    """The mean probability of the label."""
    with torch.no_grad():
        return model(pixels).softmax(-1).gather(1, labels[:, None]).mean().item()


def edited_probability(
    model: nn.Module, neurons: Tensor, operation: Operation, pixels: Tensor, labels: Tensor
) -> float:
    """The mean probability of the label with the neurons edited."""
    with nplight.intervene(model, neurons, operation):
        return label_probability(model, pixels, labels)


def random_neurons(model: nn.Module, top_k: int) -> Tensor:
    """The control: as many neurons per layer as a path has, drawn at random, (layers, K)."""
    return torch.stack([torch.randperm(width)[:top_k] for width in nplight.open_vit(model).widths])


def main() -> None:
    """Fine-tune, search, test."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--model", help="a name of timm; by default a small model")
    parser.add_argument("--pretrained", action="store_true", help="begin with timm's weights")
    parser.add_argument("--size", type=int, default=16, help="of the images, pixels")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    model = small_model()
    if arguments.model:
        model = timm.create_model(arguments.model, pretrained=arguments.pretrained, num_classes=10)
    pixels, labels = digits(arguments.size)
    fine_tune(model, pixels[: DISCOVER.start], labels[: DISCOVER.start], arguments.epochs)

    paths = nplight.search(model, pixels[DISCOVER], labels[DISCOVER], method="joint_integrated_gradients", ranked=5)
    category = nplight.category_paths(
        paths.ranking, labels[DISCOVER], num_classes=10, top_k=5, scores=paths.ranking_scores
    )
    print(f"unedited  {label_probability(model, pixels[HELD_OUT], labels[HELD_OUT]):.1%}")
    draws = [random_neurons(model, top_k=5) for _ in range(20)]
    for operation in OPERATIONS:
        path, *controls = (
            edited_probability(model, neurons, operation, pixels[HELD_OUT], labels[HELD_OUT])
            for neurons in (category.of(labels[HELD_OUT]), *draws)
        )
        print(f"{operation:8}  {path:.1%}, random neurons {sum(controls) / len(controls):.1%} (mean of 20 draws)")


if __name__ == "__main__":
    main()
