"""Differentiate in the landscape's own types, whatever the caller's surroundings."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from thalweg.precision import uncast


@contextmanager
def differentiating(device: torch.device) -> Iterator[None]:
    """Inside, gradients are on, and inference mode and the caller's ``torch.autocast`` rest.

    The latter would round the backward passes of a landscape whose provenance says that nothing is rounded.
    """
    with torch.inference_mode(mode=False), torch.enable_grad(), uncast(device):
        yield
