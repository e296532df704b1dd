"""The loss on a plane."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.landscape._sampling import grid, sample
from thalweg.progress import Progress
from thalweg.surfaces._columns import directions_of
from thalweg.surfaces._results import Directions, Surface

Span = tuple[float, float]


def plane_scan(
    landscape: Landscape,
    directions: Directions | Float[Tensor, "p 2"],
    *,
    points: int | tuple[int, int] = 15,
    span: Span | tuple[Span, Span] = (-1.0, 1.0),
    progress: bool | Progress = False,
) -> Surface:
    r"""Evaluate L(θ + x·d₁ + y·d₂) on a grid.

    Row i of the result is at y[i], column j at x[j]; every point is computed from θ, row by row and always from left
    to right. An odd number of points over a span symmetric about 0 has θ itself in the middle.

    Cost: rows × columns passes without gradients.

    Valid for: any model. A plane is one section of very many: what it does not show may still be there.

    Args:
        landscape: Its θ is (0, 0); buffers stay as they are there.
        directions: d₁ and d₂, orthogonal to one another, shape (P, 2), or a record of two directions. They are not
            scaled: see ``norms`` of the result.
        points: Number of points along both axes, or (rows, columns).
        span: First and last coefficient along both axes, or one pair for x and one for y.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Returns:
        The surface; a loss that is not finite is NaN in its cell.

    Raises:
        ArgumentError: If ``directions`` do not fit or are not orthogonal (distances on the grid would be wrong), or
            ``points`` or ``span`` is out of range.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> eye = torch.eye(2, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(2 * eye, 0 * eye[:, :1])])  # x² + y²
        >>> plane_scan(landscape, eye, points=3, span=((-1, 1), (0, 2))).loss
        tensor([[1., 0., 1.],
                [2., 1., 2.],
                [5., 4., 5.]], dtype=torch.float64)
    """
    d = directions_of(landscape, directions, "directions", ("first direction", "second direction"))
    first, second = d.vectors[:, 0], d.vectors[:, 1]
    cosine = float(first.double() @ second.double()) / (d.norms[0] * d.norms[1])
    # Directions that were made orthogonal in a type of their own are so to its rounding.
    if abs(cosine) > torch.finfo(landscape.space.dtype).eps ** 0.5:
        raise ArgumentError(
            f"directions: expected two that are orthogonal, got cosine {cosine:.3g}. Take from the second its part "
            "along the first: d2 - (d1 @ d2) / (d1 @ d1) * d1."
        )
    rows, columns = (points, points) if isinstance(points, int) else points
    across, up = _spans(span)
    x, y = grid(across, columns), grid(up, rows)
    theta = landscape.theta

    def cells() -> Iterator[Landscape]:
        for b in y.tolist():
            for a in x.tolist():
                yield landscape.at(theta + a * first + b * second)

    found = sample(cells(), rows * columns, "surface", progress)
    return Surface(
        x=x,
        y=y,
        loss=found.loss.view(rows, columns),
        metrics={name: values.view(rows, columns) for name, values in found.metrics.items()},
        labels=(d.labels[0], d.labels[1]),
        norms=(d.norms[0], d.norms[1]),
        cosine=cosine,
        cost=found.cost,
    )


def _spans(span: Span | tuple[Span, Span]) -> tuple[Span, Span]:
    across, up = span
    if isinstance(across, tuple) and isinstance(up, tuple):
        return across, up
    if isinstance(across, tuple) or isinstance(up, tuple):
        raise ArgumentError(f"span: expected (first, last) or ((first, last), (first, last)), got {span}.")
    return (across, up), (across, up)
