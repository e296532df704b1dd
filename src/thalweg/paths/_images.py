"""Images of a chain: how far apart they are, which way the chain goes at each, and how to spread them evenly."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.precision import uncast


def lengths(images: Float[Tensor, "n p"]) -> Float[Tensor, " n"]:
    """Return the length along the chain up to each image, from 0, in double precision on the processor.

    Raises:
        ArgumentError: If two neighbours coincide, so that the chain has no direction there.
    """
    steps = torch.linalg.vector_norm(images[1:] - images[:-1], dim=1).double().cpu()
    if not bool((steps > 0).all()):
        raise ArgumentError(
            f"images: expected neighbours that differ, got {int((steps == 0).sum())} of {len(steps)} pairs that "
            "coincide. Take fewer images, shorter steps, or ends that are further apart."
        )
    return torch.cat([torch.zeros(1, dtype=torch.float64), steps.cumsum(0)])


def redistributed(images: Float[Tensor, "n p"]) -> Float[Tensor, "n p"]:
    """Return images at equal lengths along the cubic spline through the given ones; the ends stay where they are.

    The spline is linear in its nodes, so that an n × n matrix moves images of any dimension. Straight segments would
    cut the corners of a bent chain a little at every step, and hold it off the valley.
    """
    length = lengths(images)
    even = torch.linspace(0, 1, len(images), dtype=torch.float64) * length[-1]
    out = _combined(CubicSpline(length.numpy(), np.eye(len(images)))(even.numpy()), images)
    out[0], out[-1] = images[0], images[-1]
    return out


def spline_tangents(images: Float[Tensor, "n p"]) -> Float[Tensor, "n p"]:
    """Return the unit tangents of the cubic spline through the images."""
    length = lengths(images).numpy()
    return _unit(_combined(CubicSpline(length, np.eye(len(images)))(length, 1), images))


def upwind_tangents(images: Float[Tensor, "n p"], loss: Float[Tensor, " n"]) -> Float[Tensor, "n p"]:
    """Return unit tangents that point to the higher neighbour (Henkelman & Jónsson, 2000).

    At a maximum or minimum of the losses both neighbours count, by how far they are from the image in loss. Where
    tangents are the difference of both neighbours everywhere, a band gets kinks in which images slide back and forth.
    """
    steps = images[1:] - images[:-1]
    tangents = torch.empty_like(images)
    tangents[0], tangents[-1] = steps[0], steps[-1]
    heights = loss.tolist()
    for i in range(1, len(images) - 1):
        back, ahead = heights[i - 1] - heights[i], heights[i + 1] - heights[i]
        if ahead > 0 > back:
            tangents[i] = steps[i]
        elif back > 0 > ahead:
            tangents[i] = steps[i - 1]
        else:
            most, least = max(abs(back), abs(ahead)), min(abs(back), abs(ahead))
            if most == 0:
                most = least = 1.0
            forward, backward = (most, least) if ahead > back else (least, most)
            if ahead == back:
                forward = backward = 1.0
            tangents[i] = forward * steps[i] + backward * steps[i - 1]
    return _unit(tangents)


def _combined(weights: object, images: Tensor) -> Tensor:
    shares = torch.as_tensor(weights, dtype=images.dtype, device=images.device)
    with uncast(images.device):
        return shares @ images


def _unit(rows: Tensor) -> Tensor:
    return torch.nn.functional.normalize(rows, dim=1, eps=0.0)
