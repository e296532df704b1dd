"""Images of a chain: how far apart they are, which way the chain goes at each, and how to spread them evenly."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import CubicHermiteSpline, CubicSpline
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.precision import uncast


def lengths(images: Float[Tensor, "n p"]) -> Float[Tensor, " n"]:
    """Return the length along the chain up to each image, from 0, in double precision on the processor.

    Raises:
        ArgumentError: If two neighbours coincide, to rounding of the chain's length, so that it has no direction there.
    """
    steps = torch.linalg.vector_norm(images[1:] - images[:-1], dim=1).double().cpu()
    length = torch.cat([torch.zeros(1, dtype=torch.float64), steps.cumsum(0)])
    same = int((~(length[1:] > length[:-1])).sum())
    if same:
        raise ArgumentError(
            f"images: expected neighbours that differ, got {same} of {len(steps)} pairs that "
            "coincide. Take fewer images, shorter steps, or ends that are further apart."
        )
    return length


def redistributed(images: Float[Tensor, "n p"]) -> Float[Tensor, "n p"]:
    """Return images at equal lengths along a smooth curve through the given ones; the ends stay where they are.

    The curve is cubic between two images, and at each has the direction of the parabola through it and its neighbours.
    It is linear in the images, so that an n × n matrix moves images of any dimension. Straight segments would cut the
    corners of a bent chain a little at every step, and hold it off the valley. A cubic spline overshoots where the
    spacing is very uneven, so that the images run away; this curve stays near the chain, however they stand.
    """
    length = lengths(images).numpy()
    even = np.linspace(0, 1, len(images)) * length[-1]
    shares = np.eye(len(images))
    out = _combined(CubicHermiteSpline(length, shares, _slopes(length, shares))(even), images)
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


def _slopes(length: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the slopes of parabolas through three neighbours, at the ends those of the last segments."""
    widths = np.diff(length)[:, None]
    secants = np.diff(values, axis=0) / widths
    slopes = np.empty_like(values)
    slopes[0], slopes[-1] = secants[0], secants[-1]
    slopes[1:-1] = (widths[1:] * secants[:-1] + widths[:-1] * secants[1:]) / (widths[1:] + widths[:-1])
    return slopes


def _combined(weights: object, images: Tensor) -> Tensor:
    shares = torch.as_tensor(weights, dtype=images.dtype, device=images.device)
    with uncast(images.device):
        return shares @ images


def _unit(rows: Tensor) -> Tensor:
    return torch.nn.functional.normalize(rows, dim=1, eps=0.0)
