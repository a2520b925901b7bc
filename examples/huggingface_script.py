"""Neuron paths of a model of Hugging Face's transformers, in a script without a Trainer.

python examples/huggingface_script.py                                       # a small model, trained here on digits
python examples/huggingface_script.py --weights google/vit-base-patch16-224 # weights of the Hub, on images of noise
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional
from transformers import ViTConfig, ViTForImageClassification

import nplight


def digits() -> tuple[Tensor, Tensor]:
    """scikit-learn's digits as images (images, 1, 8, 8) in [-1, 1], and their labels."""
    scans = load_digits()
    return torch.from_numpy(scans.images).float()[:, None] / 8 - 1, torch.from_numpy(scans.target).long()


def trained(images: Tensor, labels: Tensor, epochs: int) -> ViTForImageClassification:
    """A small model after a few epochs."""
    config = ViTConfig(
        image_size=8, patch_size=4, num_channels=1, hidden_size=32, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=128, num_labels=10,
    )  # fmt: skip
    model = ViTForImageClassification(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for index in torch.randperm(len(images)).split(64):
            loss: Tensor = functional.cross_entropy(model(pixel_values=images[index]).logits, labels[index])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return model


def main() -> None:
    """Search paths, and see what their removal does."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--weights", help="a name of the Hub or a folder; by default a model is trained here")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--output", type=Path, default=Path("paths.nplight"))
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.weights:
        model = ViTForImageClassification.from_pretrained(arguments.weights)
        size = model.config.image_size
        images, labels = torch.randn(4, model.config.num_channels, size, size), None
    else:
        images, labels = digits()
        model = trained(images[:1400], labels[:1400], arguments.epochs)
        images, labels = images[1400:1500], labels[1400:1500]
    model.eval()

    paths = nplight.search(model, images, labels, method="joint_integrated_gradients")
    print(paths)
    print(f"probability of the target {paths.probability.mean():.3f}")
    print(f"effect of removing the path {paths.effect.mean():+.3f}")
    with torch.no_grad(), nplight.intervene(model, paths, "remove"):
        removed = model(pixel_values=images).logits.softmax(-1).gather(1, paths.targets[:, None]).mean()
    print(f"probability without the path {removed:.3f}")
    control = nplight.search(model, images, paths.targets, method="random")
    print(f"effect of removing as many random neurons {control.effect.mean():+.3f}")
    paths.save(arguments.output)
    print(f"saved: {arguments.output}")


if __name__ == "__main__":
    main()
