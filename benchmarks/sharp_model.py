"""Train a Vision Transformer whose integrands are sharp, for the benchmarks of the adaptive search.

    python -m benchmarks.sharp_model --output sharp.safetensors

Digits at 32 pixels in patches of 4 (65 tokens), 8 layers of 384 features, AdamW at 2e-3, at most 70 epochs: up to
three hours on one core. In block 0 the class token's stream is almost the output of the FFN alone, so that the
LayerNorm after it changes fast where alpha approaches 0.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from jsonargparse import auto_cli
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from nplight.data import DigitsDataModule

SIZE = 32


def sharp_vit(features: int = 384) -> VisionTransformer:
    """The untrained model: (images, 3, 32, 32) -> (images, 10)."""
    return VisionTransformer(
        img_size=SIZE, patch_size=4, embed_dim=features, depth=8, num_heads=features // 64, num_classes=10
    )


def sharp_model(weights: str, features: int = 384) -> VisionTransformer:
    """The trained model, in evaluation mode, from a file of this command."""
    model = sharp_vit(features)
    model.load_state_dict(load_file(weights))
    return model.eval()


def held_digits() -> tuple[Tensor, Tensor]:
    """The digits that the model was not trained on, at 32 pixels: (images, 3, 32, 32) and (images,)."""
    data, labels = DigitsDataModule().evaluation_data()
    return enlarged(torch.stack([data[position]["image"] for position in range(len(labels))])), labels


def enlarged(images: Tensor) -> Tensor:
    """Digits at 32 pixels."""
    return functional.interpolate(images, size=SIZE, mode="bilinear", align_corners=False)


def main(
    output: str,
    features: int = 384,
    epochs: int = 70,
    learning_rate: float = 2e-3,
    enough: float = 0.98,
    seed: int = 0,
) -> None:
    """Train and write the weights.

    Args:
        output: a safetensors file.
        features: of the stream.
        epochs: passes over the digits for training.
        learning_rate: the largest of AdamW.
        enough: accuracy on the other digits at which it stops; looked at every fifth epoch.
        seed: of initial weights, order and augmentation.
    """
    torch.manual_seed(seed)
    model = sharp_vit(features).train()
    digits: Dataset[dict[str, Tensor]] = DigitsDataModule().train_data()
    loader = DataLoader(digits, batch_size=64, shuffle=True, drop_last=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.05)
    steps = epochs * len(loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    start = time.perf_counter()
    for epoch in range(epochs):
        for batch in loader:
            with torch.autocast("cpu", torch.bfloat16):
                loss = functional.cross_entropy(model(enlarged(batch["image"])), batch["label"])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{epochs}: loss {loss.item():.3f}, {time.perf_counter() - start:.0f} s", flush=True)
        if epoch % 5 == 4 and _accuracy(model) >= enough:
            break
    save_file(model.state_dict(), Path(output))
    print(f"accuracy on the other digits: {_accuracy(model):.1%}")


def _accuracy(model: VisionTransformer) -> float:
    images, labels = held_digits()
    model.eval()
    with torch.no_grad():
        predicted = torch.cat([model(part).argmax(1) for part in images.split(64)])
    model.train()
    return (predicted == labels).float().mean().item()


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
