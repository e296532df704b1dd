"""A trajectory projected onto a plane, with what the projection hides."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._require import require_columns
from thalweg.landscape._sampling import sample
from thalweg.progress import Progress
from thalweg.surfaces._checkpoints import Checkpoints, checkpoint_vectors
from thalweg.surfaces._digests import digest_of, digests_of
from thalweg.surfaces._projection_results import Plane, Projection
from thalweg.surfaces._results import Directions
from thalweg.vectors import VectorSpace


def project(
    points: Checkpoints,
    directions: Directions | Plane | Float[Tensor, "p k"],
    origin: Landscape | Float[Tensor, " p"] | None = None,
    *,
    landscape: Landscape | None = None,
    names: tuple[str, ...] | None = None,
    progress: bool | Progress = False,
) -> Projection:
    r"""Project points onto the plane o + span(D), and say how much of them is in it.

    .. math:: c_t = (D^\top D)^{-1} D^\top (\theta_t - o), \qquad r_t = \lVert \theta_t - o - D c_t \rVert, \qquad
              \text{share} = \frac{\sum_t \lVert \Pi_D (\theta_t - \bar\theta) \rVert^2}
                                  {\sum_t \lVert \theta_t - \bar\theta \rVert^2}

    A projected trajectory shows the wrong loss wherever the points are off the plane, and a distance r_t that is large
    beside the picture's own size means that the contours around a point are not those it has been at. With
    ``landscape`` both losses are computed, at each point and at its projection.

    Cost: nP operations; with ``landscape`` two passes a point.

    Valid for: directions that are independent; they need not be orthogonal.

    Args:
        points: A tensor (n + 1, P), or a sequence of vectors, landscapes, or state dicts.
        directions: Columns D, (P, k), a record of them, or a :class:`Plane`, which has its own origin.
        origin: Where the coefficients are zero: the θ or the landscape that was scanned.
        landscape: Where to take losses, with its buffers, and what state dicts are read by.
        names: Of the points, for those that are no trajectory.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Raises:
        ArgumentError: If shapes, types or devices differ, an entry is not finite, the directions are not
            independent, or the origin is missing or given twice.

    Example:
        >>> path = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 2.0]])
        >>> found = project(path, torch.eye(3)[:, :2], path[0])
        >>> found.coordinates[2], found.residuals
        (tensor([1., 1.], dtype=torch.float64), tensor([0., 0., 2.], dtype=torch.float64))
    """
    found = checkpoint_vectors(points, landscape, "points", 1)
    if names is not None and len(names) != len(found):
        raise ArgumentError(f"names: expected {len(found)}, one a point, got {len(names)}.")
    if isinstance(directions, Plane):
        if origin is not None:
            raise ArgumentError("origin: expected None with a plane, which has its own, got one.")
        origin = directions.origin
        directions = directions.directions
    if origin is None:
        raise ArgumentError(
            "origin: expected where the coefficients are zero, the θ or the landscape that was scanned."
        )
    start = origin.theta if isinstance(origin, Landscape) else origin
    space = VectorSpace(len(found[0]), found[0].dtype, found[0].device)
    given = directions.vectors if isinstance(directions, Directions) else directions
    columns = require_columns(space, given, "directions").double()
    base = require_columns(space, start, "origin")
    if base.shape[1] != 1:
        raise ArgumentError(f"origin: expected one vector ({space.size},), got {base.shape[1]}.")
    gram = columns.mT @ columns
    _require_independent(gram, directions)
    where = base[:, 0].double()
    coordinates, residuals = _onto(found, columns, gram, where)
    coordinates, residuals = coordinates.cpu(), residuals.cpu()
    losses: tuple[Tensor | None, Tensor | None] = (None, None)
    cost = Cost()
    if landscape is not None:
        losses, cost = _losses(landscape, found, columns, coordinates, where, progress)
    plain = ("first direction", "second direction", *(f"direction {i + 1}" for i in range(2, columns.shape[1])))
    labels = directions.labels if isinstance(directions, Directions) else plain[: columns.shape[1]]
    return Projection(
        coordinates=coordinates,
        residuals=residuals,
        share=_share(found, columns, gram),
        labels=labels,
        norms=tuple(gram.diagonal().sqrt().tolist()),
        names=names,
        loss=losses[0],
        projected_loss=losses[1],
        cost=cost,
        scale=directions.scale if isinstance(directions, Directions) else "as given",
        digests=digests_of(columns),
        origin=digest_of(where),
    )


def _require_independent(gram: Tensor, directions: Directions | Tensor) -> None:
    lengths = gram.diagonal().sqrt()
    if bool((lengths == 0).any()):
        raise ArgumentError(f"directions: expected vectors that are not zero, got {int((lengths == 0).sum())} zero.")
    cosines = gram / lengths / lengths[:, None]
    if float(torch.linalg.eigvalsh(cosines)[0]) > 1e-10:
        return
    named = directions.labels if isinstance(directions, Directions) else [f"column {i}" for i in range(len(gram))]
    close = (cosines - torch.eye(len(gram), dtype=gram.dtype, device=gram.device)).abs()
    row, column = divmod(int(close.argmax()), len(gram))
    one, other = named[min(row, column)], named[max(row, column)]
    what = f"{one} and {other} are parallel" if len(gram) == 2 else "one lies in the span of the others"
    raise ArgumentError(f"directions: expected independent ones, but {what}.")


def _onto(found: list[Tensor], columns: Tensor, gram: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    coordinates, residuals = list[Tensor](), list[Tensor]()
    for point in found:
        rest, place = point.double() - where, torch.zeros(len(gram), dtype=gram.dtype, device=gram.device)
        # Twice, so that a residual that is small beside the point is right.
        for _ in range(2):
            step = torch.linalg.solve(gram, columns.mT @ rest)
            rest, place = rest - columns @ step, place + step
        coordinates.append(place)
        residuals.append(torch.linalg.vector_norm(rest))
    return torch.stack(coordinates), torch.stack(residuals)


def _share(found: list[Tensor], columns: Tensor, gram: Tensor) -> float | None:
    """Σ‖Π(θ − θ̄)‖² / Σ‖θ − θ̄‖²; differences to the first point are taken first, while the digits are there."""
    first = found[0].double()
    mean = sum(((point.double() - first) for point in found), torch.zeros_like(first)) / len(found)
    inside = outside = 0.0
    for point in found:
        rest = point.double() - first - mean
        held = columns @ torch.linalg.solve(gram, columns.mT @ rest)
        inside += float(held.square().sum())
        outside += float((rest - held).square().sum())
    return inside / (inside + outside) if inside + outside > 0 else None


def _losses(
    landscape: Landscape,
    found: list[Tensor],
    columns: Tensor,
    coordinates: Tensor,
    where: Tensor,
    progress: bool | Progress,
) -> tuple[tuple[Tensor, Tensor], Cost]:
    def places() -> Iterator[Landscape]:
        for point in found:
            yield landscape.at(point)
        for place in coordinates.to(columns.device):
            yield landscape.at((where + columns @ place).to(found[0].dtype))

    count = len(found)
    taken = sample(places(), 2 * count, "points and their projections", progress)
    return (taken.loss[:count], taken.loss[count:]), taken.cost
