"""Batches are any nesting of tensors: walk them, move them, cut them, and recognise them again."""

import copy
import dataclasses
import zlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor

from thalweg.errors import DataError

Batch = Any


def map_tensors(function: Callable[[Tensor], Tensor], batch: Batch) -> Batch:
    """Apply a function to every tensor of a nested structure and keep the structure's own types."""
    if isinstance(batch, Tensor):
        return function(batch)
    # Before mappings: outputs of Hugging Face models are both, and refuse to be updated.
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        parts = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch) if field.init}
        return dataclasses.replace(batch, **{name: map_tensors(function, part) for name, part in parts.items()})
    if isinstance(batch, Mapping):
        items = {key: map_tensors(function, value) for key, value in batch.items()}
        if type(batch) is dict:
            return items
        if not isinstance(batch, MutableMapping):
            return type(batch)(items)  # type: ignore[call-arg]  # mappings take one
        # Constructors differ (a defaultdict's takes its factory first), and a copy keeps further attributes.
        copied = copy.copy(batch)
        copied.update(items)
        return copied
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(map_tensors(function, part) for part in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(map_tensors(function, part) for part in batch)
    return batch


def tensors_of(batch: Batch) -> Iterator[Tensor]:
    """Yield every tensor of a nested structure."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(keep, batch)
    yield from found


def rows_of(batch: Batch, argument: str) -> int:
    """Return the length of the first axis that all tensors of a batch share.

    Raises:
        DataError: If they disagree on it; the message begins with the argument that asks for the cut.
    """
    lengths = sorted({tensor.shape[0] if tensor.ndim else -1 for tensor in tensors_of(batch)})
    if len(lengths) != 1 or lengths[0] < 0:
        raise DataError(
            f"{argument}: expected all tensors of a batch to share their first axis, got lengths "
            f"{[length if length >= 0 else 'scalar' for length in lengths]}. Cut the data into smaller batches instead."
        )
    return lengths[0]


def split(batch: Batch, size: int) -> Iterator[Batch]:
    """Cut a batch along its first axis into parts of at most ``size`` items.

    Raises:
        DataError: If its tensors disagree on the length of the first axis.
    """
    for start in range(0, rows_of(batch, "microbatch"), size):
        yield map_tensors(lambda tensor, at=start: tensor[at : at + size], batch)  # type: ignore[misc]  # default argument


def taken(batch: Batch, index: Tensor) -> Batch:
    """Return some rows of a batch."""
    return map_tensors(lambda tensor: tensor[index.to(tensor.device)], batch)


def joined(batches: list[Batch]) -> list[Batch]:
    """Join batches along their first axis where nothing but that axis differs, in the order of first ones."""
    kinds: dict[Any, list[Batch]] = {}
    for number, batch in enumerate(batches):
        # What holds more than tensors may differ in the rest: it is left alone.
        kinds.setdefault(_kind(batch) or number, []).append(batch)
    return [_concatenated(alike) for alike in kinds.values()]


def _kind(batch: Batch) -> Any:
    if isinstance(batch, Tensor):
        return tuple(batch.shape[1:]), batch.dtype, batch.device, batch.layout
    if type(batch) is dict:
        parts = [(key, _kind(part)) for key, part in batch.items()]
        return None if any(kind is None for _, kind in parts) else tuple(parts)
    if type(batch) in (tuple, list):
        inner = [_kind(part) for part in batch]
        return None if None in inner else (type(batch), *inner)
    return None


def _concatenated(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    columns = zip(*(tensors_of(batch) for batch in batches), strict=True)
    whole = iter([torch.cat(column) for column in columns])
    return map_tensors(lambda _: next(whole), batches[0])


def fingerprint(batch: Batch) -> tuple[int, float]:
    """Return a checksum of the exact bits of a batch, and a sum that does not depend on the order of its items.

    Within an item the sum does depend on the order of the entries: a flipped image is another item.
    """
    # Changes are by accident, not by intent: a checksum is enough, and takes a quarter of a hash's time.
    digest, total = 0, 0.0
    for tensor in tensors_of(batch):
        dense = tensor.detach().to_dense().contiguous().cpu()
        digest = zlib.crc32(str((dense.dtype, tuple(dense.shape))).encode(), digest)
        flat = dense.reshape(-1)
        if flat.stride(0) != 1:
            # A single entry counts as contiguous whatever its stride, but is not seen as bytes.
            flat = flat.new_empty(flat.shape).copy_(flat)
        digest = zlib.crc32(flat.view(torch.uint8).numpy().data, digest)
        rows = dense.reshape(len(dense) if dense.ndim else 1, -1) if dense.numel() else dense.reshape(0, 0)
        if rows.is_complex():
            rows = torch.view_as_real(rows).flatten(start_dim=1)
        marks = torch.arange(rows.shape[1], dtype=torch.float64).mul(0.7).cos()
        total += float((rows.to(torch.float64) @ marks).abs().sum())
    return digest, total
