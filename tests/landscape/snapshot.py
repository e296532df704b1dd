"""Everything about a model and the random states around it that a call must leave as it was."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.unchecked import unchecked

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Copy what must not change; identities too, since an equal tensor in another place is a change."""
    state: dict[str, Any] = {}
    for kind, named in (("parameter", model.named_parameters()), ("buffer", model.named_buffers())):
        for name, tensor in named:
            state[f"{kind} {name}"] = _bits(tensor)
            state[f"{kind} {name} is"] = (id(tensor), tensor.data_ptr(), tensor.dtype, tensor.device.type)
            state[f"{kind} {name} requires_grad"] = tensor.requires_grad
            state[f"{kind} {name} grad"] = None if tensor.grad is None else _bits(tensor.grad)
            state[f"{kind} {name} grad is"] = None if tensor.grad is None else id(tensor.grad)
            state[f"{kind} {name} version"] = tensor._version
            state[f"{kind} {name} hooks"] = tuple(getattr(tensor, "_backward_hooks", None) or ())
    for name, module in model.named_modules():
        state[f"module {name} training"] = module.training
        for hooks in _HOOKS:
            state[f"module {name} {hooks}"] = tuple(getattr(module, hooks))
        state[f"module {name} attributes"] = tuple(vars(module))
    state["torch"] = _bits(torch.get_rng_state())
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    state["numpy"] = (name, keys.tobytes(), *rest)
    state["python"] = random.getstate()
    state["gradients enabled"] = torch.is_grad_enabled()
    state["attention kernels"] = (
        torch.backends.cuda.flash_sdp_enabled(),
        torch.backends.cuda.mem_efficient_sdp_enabled(),
        torch.backends.cuda.math_sdp_enabled(),
        torch.backends.cuda.cudnn_sdp_enabled(),
    )
    return state


@contextlib.contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Fail if the body changes the model or a random state, also when the body raises.

    The body runs without the type checks of the tests, which draw from Python's random state themselves.
    """
    before = snapshot(model)
    try:
        with unchecked():
            yield
    finally:
        after = snapshot(model)
        different = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        assert not different, f"changed: {different}"


def _bits(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
