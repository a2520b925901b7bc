"""The number of node rows in flight, and smaller chunks when memory runs out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from nplight.attribution.node_rows import NodeRows
from nplight.attribution.objective import target_probability
from nplight.errors import check_at_least
from nplight.vit import OpenViT, interrupt_point

Result = TypeVar("Result")

# Larger chunks amortise launch overhead, up to these sizes. A limit below the available memory keeps the rounding the
# same from run to run; so do powers of two where memory is the limit.
_CPU_BYTES = 512 << 20
_GPU_BYTES = 16 << 30
_SHARE_OF_MEMORY = 0.5

# A frozen row, of one token among N, takes this many Nths of an exact row: its graph holds attention weights too.
_FROZEN_SHARE = 4

# The largest chunk, in node rows, for models that ran out of memory with a larger one.
_fitting: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()

# Graph size and token count of a node row, by model and kind of image: measuring them costs a forward pass.
_measured: WeakKeyDictionary[nn.Module, dict[object, tuple[int, int]]] = WeakKeyDictionary()


def resolve_chunk_size(vit: OpenViT, image: Tensor, chunk_size: int | None, patch_stream: str = "exact") -> int:
    """The user's `chunk_size`, or as many node rows as amortise the launch overhead and fit in memory.

    Args:
        vit: the opened model, undisturbed.
        image: (1, channels, height, width), one of the images to search.
        chunk_size: the user's setting; `None`: choose one.
        patch_stream: `frozen`: node rows hold the class token only, so that many more fit.

    Raises:
        ArgumentError: a chunk size below 1.

    Examples:
        >>> import nplight
        >>> from nplight.attribution import resolve_chunk_size
        >>> from nplight.planted import PLANTED, build_planted
        >>> planted = build_planted(PLANTED["chain"])
        >>> vit = nplight.open_vit(planted.model)
        >>> resolve_chunk_size(vit, planted.images[:1], 32)  # the caller's own
        32
    """
    if chunk_size is not None:
        check_at_least("chunk_size", chunk_size, 1)
        return chunk_size
    useful_bytes = _CPU_BYTES if image.device.type == "cpu" else _GPU_BYTES
    row_bytes, tokens = _row_size(vit, image)
    if patch_stream == "frozen":
        row_bytes = -(-row_bytes * _FROZEN_SHARE // tokens)
    useful = max(1, useful_bytes // row_bytes)
    fitting = max(1, int(_free_bytes(image.device) * _SHARE_OF_MEMORY) // row_bytes)
    return useful if useful <= fitting else 1 << (fitting.bit_length() - 1)


def in_chunks(
    vit: OpenViT, shape: tuple[int, int], chunk_size: int, run: Callable[[NodeRows], Result]
) -> Iterator[tuple[NodeRows, Result]]:
    """Call `run` on all node rows, at most `chunk_size` rows at a time.

    A chunk holds whole images or an even part of one image. When memory runs out, the chunk size is halved, also for
    later calls on this model.

    Args:
        vit: the opened model.
        shape: images and nodes per image; node rows are ordered by image.
        chunk_size: node rows in flight.
        run: takes the node rows of a chunk; called again with fewer of them after it ran out of memory.

    Yields:
        The node rows of each chunk and the result of `run`, in order.
    """
    images, nodes = shape
    start = 0
    while start < images * nodes:
        interrupt_point()
        size = min(chunk_size, _fitting.get(vit.model, chunk_size))
        whole_images = size // nodes * nodes
        stop = min(start + whole_images, images * nodes) if whole_images else _within(start, size, nodes)
        rows = NodeRows(start, stop, nodes)
        try:
            result = run(rows)
        except RuntimeError as error:
            if len(rows) == 1 or not _out_of_memory(error):
                raise
        else:
            yield rows, result
            start = stop
            continue
        # Outside of `except`, which keeps the tensors of the failed call alive.
        _halve(vit, len(rows))


def _within(start: int, size: int, nodes: int) -> int:
    """The end of a chunk of at most `size` rows: the remaining rows of the image, in even parts."""
    remaining = nodes - start % nodes
    parts = -(-remaining // size)
    return start + -(-remaining // parts)


def _out_of_memory(error: RuntimeError) -> bool:
    # A CPU allocation that fails raises a plain RuntimeError.
    return isinstance(error, torch.cuda.OutOfMemoryError) or "not enough memory" in str(error)


def _halve(vit: OpenViT, rows: int) -> None:
    _fitting[vit.model] = rows // 2
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    warnings.warn(
        f"{rows} node rows at a time do not fit in memory; continuing with {rows // 2}. "
        f"Set `chunk_size={rows // 2}` to start with that",
        RuntimeWarning,
        stacklevel=2,
    )


def _row_size(vit: OpenViT, image: Tensor) -> tuple[int, int]:
    """`_graph_bytes`, measured once per kind of image."""
    autocast = torch.is_autocast_enabled(image.device.type) and torch.get_autocast_dtype(image.device.type)
    weights = next(vit.model.parameters())
    kind = (image.shape, image.dtype, image.device, weights.dtype, autocast)
    sizes = _measured.setdefault(vit.model, {})
    if kind not in sizes:
        sizes[kind] = _graph_bytes(vit, image)
    return sizes[kind]


def _graph_bytes(vit: OpenViT, image: Tensor) -> tuple[int, int]:
    """Bytes that a forward pass from block 0 saves for the backward pass of one node row, and its tokens."""
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
    return max(1, sum(saved.values())), stream.shape[1]


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    # A modest guess where the system does not tell (Windows, MPS).
    names = getattr(os, "sysconf_names", {})
    if "SC_AVPHYS_PAGES" not in names:
        return 4 << 30
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
