"""The saddle of a path: from its highest image to a critical point, and what kind it is of."""

import math
import time

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.measures import CriticalPoint, critical_point
from thalweg.paths._alike import require_landscape
from thalweg.paths._minimum_energy_results import MinimumEnergyPath, PathSaddle
from thalweg.progress import Progress


def path_saddle(
    landscape: Landscape,
    path: MinimumEnergyPath,
    *,
    tol: float | None = None,
    steps: int = 200,
    pairs: int = 10,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> PathSaddle:
    r"""Refine the highest image of a path to a critical point, and say whether its Hessian has index 1.

    The highest point of a minimum-energy path between two minima is a critical point with one direction in which the
    loss falls, the path's own. The search is that of :func:`thalweg.critical_point`, Newton–MR on
    :math:`\|\nabla L\|`, with its certificate: how far the gradient was lowered, the eigenvalues, and whether all of
    their signs were seen. Nothing binds it to the path: see ``shift``, ``spacing`` and ``on_path``.

    Cost: that of :func:`thalweg.critical_point`.

    Valid for: losses with two derivatives. Of networks with symmetries, saddles are degenerate: zero eigenvalues do not
    count in the index, and are told of as the ``nullity`` of ``critical``.

    Args:
        landscape: The one that the path was found on.
        path: From :func:`string_method` or :func:`nudged_elastic_band`.
        tol: ‖∇L‖ to reach; see :func:`thalweg.critical_point`.
        steps: Most steps.
        pairs: Eigenvalues of the lower end, for more than 256 parameters.
        generator: Of the random starts of eigenpairs; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every step to.

    Raises:
        ArgumentError: If the path is one of another landscape, or an argument has a wrong value.

    Example:
        >>> class Line(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.x = torch.nn.Parameter(torch.tensor([-1.0], dtype=torch.float64))
        >>> objective = tw.objectives.from_function(lambda model, batch: (model.x**2 - 1).square().sum(), lambda b: 1)
        >>> landscape = tw.Landscape(Line(), objective, [torch.zeros(1)])
        >>> path = tw.string_method(landscape, -landscape.theta, images=6)
        >>> saddle = path_saddle(landscape, path)
        >>> saddle.index_one, round(saddle.rise, 12), saddle.critical.kind
        (True, 1.0, 'maximum')
    """
    require_landscape("landscape", landscape)
    if not isinstance(path, MinimumEnergyPath):
        raise ArgumentError(
            f"path: expected a MinimumEnergyPath, got {type(path).__name__}. "
            "Give a curve to string_method or nudged_elastic_band as initial=."
        )
    nodes = path.curve.nodes
    if nodes.ndim != 2 or nodes.shape[1] != landscape.size:
        raise ArgumentError(
            f"path: expected images of {landscape.size} parameters, as the landscape has, got {tuple(nodes.shape)}."
        )
    started = time.perf_counter()
    image, last = path.highest, len(path.loss) - 1
    here = path.distance
    spacing = max(float(here[i + 1] - here[i]) for i in {max(image - 1, 0), min(image, last - 1)})
    if image in (0, last):
        return PathSaddle(None, None, image, None, None, spacing, None, Cost(seconds=time.perf_counter() - started))
    top: Tensor = nodes[image].to(landscape.space.device, landscape.space.dtype)
    found = critical_point(landscape.at(top), tol=tol, steps=steps, pairs=pairs, generator=generator, progress=progress)
    higher = max(float(path.loss[0]), float(path.loss[-1]))
    return PathSaddle(
        critical=found,
        index_one=_index_one(found),
        image=image,
        shift=landscape.space.norm(found.theta - top),
        along=_along(path, found.theta),
        spacing=spacing,
        rise=found.loss - higher if found.converged else None,
        cost=found.cost,
    )


def _along(path: MinimumEnergyPath, point: Float[Tensor, " p"]) -> float:
    """Return the length up to the point of the chain that is nearest to a given one."""
    best, found = math.inf, 0.0
    nodes = path.curve.nodes.to(point.device)
    for i, start in enumerate(nodes[:-1]):
        segment = nodes[i + 1] - start
        share = float(torch.clamp(torch.dot(point - start, segment) / torch.dot(segment, segment), 0, 1))
        away = float(torch.linalg.vector_norm(point - start - share * segment))
        if away < best:
            best, found = away, float(path.distance[i] + share * (path.distance[i + 1] - path.distance[i]))
    return found


def _index_one(found: CriticalPoint) -> bool | None:
    if not found.converged:
        return None
    if found.index_exact:
        return found.index == 1
    # What was seen is a lower bound.
    return False if found.index > 1 else None
