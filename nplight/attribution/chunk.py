"""How many (image, node) rows to have in flight."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from nplight.attribution.clean import target_probability
from nplight.errors import check_at_least
from nplight.vit import OpenViT

# What pays: on a CPU larger graphs fall out of the caches, on a GPU they keep it busy. A limit below the memory there
# is, and powers of two, keep the rounding the same from run to run.
_CPU_BYTES = 256 << 20
_GPU_BYTES = 16 << 30
_SHARE_OF_MEMORY = 0.5


def resolve_chunk_size(vit: OpenViT, image: Tensor, chunk_size: int | None) -> int:
    """The user's `chunk_size`, or a power of two of rows whose graphs are quick to work on and fit in memory.

    Args:
        vit: the opened model, undisturbed.
        image: (1, channels, height, width), one of the images to come.
        chunk_size: what the user asked for.

    Raises:
        ArgumentError: a chunk size below 1.
    """
    if chunk_size is not None:
        check_at_least("chunk_size", chunk_size, 1)
        return chunk_size
    quick = _CPU_BYTES if image.device.type == "cpu" else _GPU_BYTES
    usable = min(quick, int(_free_bytes(image.device) * _SHARE_OF_MEMORY))
    rows = max(1, usable // _graph_bytes(vit, image))
    return 1 << (rows.bit_length() - 1)


def _graph_bytes(vit: OpenViT, image: Tensor) -> int:
    """Memory that the graph of one row holds: what a forward pass from block 0 saves for its backward."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in vit.model.parameters()}
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.no_grad():
        stream = vit.embed(image)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = vit.forward_from(0, stream.requires_grad_())
        target_probability(logits, logits.argmax(1))
    return max(1, sum(saved.values()))


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    # Without a way to ask (Windows, MPS): a modest guess.
    names = getattr(os, "sysconf_names", {})
    if "SC_AVPHYS_PAGES" not in names:
        return 4 << 30
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
