"""Let a model hold other tensors than its own for a while."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def held(model: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Put tensors in the place of the model's parameters and buffers of these names, and give the own back after it.

    A functional call ends before the backward pass, in which gradient checkpointing runs parts of the model again:
    those must see the same values.
    """
    own, stores = dict[str, Tensor | None](), list[dict[str, Any]]()
    for prefix, module in model.named_modules():
        for store in (module._parameters, module._buffers):  # noqa: SLF001 - what functional_call swaps
            stores.append(store)
            own.update((f"{prefix}.{name}" if prefix else name, tensor) for name, tensor in store.items())
    # By identity, so that tied tensors are replaced in every place.
    others = {id(own[name]): tensor for name, tensor in tensors.items()}
    before = [dict(store) for store in stores]
    try:
        for store in stores:
            # A plain tensor may take the place of a parameter, as in a functional call.
            store.update({name: others.get(id(tensor), tensor) for name, tensor in store.items()})
        yield
    finally:
        for store, values in zip(stores, before, strict=True):
            store.update(values)
