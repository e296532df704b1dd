"""Leave the model, and the world around it, as they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from thalweg.landscape._exclusive import exclusive


@contextmanager
def untouched(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Run the body with the model in train or eval mode, and restore modes and random states after it.

    Other threads that want the same model wait. Parameters and buffers need no care here, since the model is evaluated
    functionally. But models exist whose ``train`` freezes parameters, so that ``requires_grad`` is restored too.
    """
    with exclusive(model), random_states_kept(), _in_mode(model, training):
        yield


@contextmanager
def _in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    # Without a second walk: for a small model the walks are what a product costs beside its arithmetic.
    held = [parameter for module, _ in modes for parameter in module._parameters.values()]  # noqa: SLF001
    flags = [(parameter, parameter.requires_grad) for parameter in held if parameter is not None]
    try:
        # A walk through all modules, which most often are as they should be.
        if any(mode != training for _, mode in modes):
            model.train(training)
        yield
    finally:
        for module, mode in modes:
            if module.training != mode:
                module.training = mode
        for parameter, flag in flags:
            if parameter.requires_grad != flag:
                parameter.requires_grad_(flag)


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Restore the global random states of torch, its accelerators, NumPy and Python after the body."""
    processor, python, legacy = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002 - kept, not used
    accelerators = torch.cuda.get_rng_state_all() if _cuda_in_use() else None
    try:
        yield
    finally:
        torch.set_rng_state(processor)
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        if accelerators is not None:
            torch.cuda.set_rng_state_all(accelerators)


def _cuda_in_use() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]  # torch leaves it untyped
