"""The plane through three points."""

import itertools

import torch

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.surfaces._checkpoints import Checkpoints, checkpoint_vectors
from thalweg.surfaces._orthogonal import across
from thalweg.surfaces._projection_results import Plane
from thalweg.surfaces._results import Directions

# Of the plane's second side, this much has to be left beyond the rounding of the points.
_NOISE = 16.0


def plane_through(
    points: Checkpoints,
    *,
    names: tuple[str, str, str] = ("A", "B", "C"),
    landscape: Landscape | None = None,
) -> Plane:
    r"""Lay the plane through three points A, B, C, as Garipov et al. (2018) show curves between solutions.

    .. math:: d_1 = \frac{B - A}{\lVert B - A \rVert}, \qquad
              d_2 = \frac{(C - A) - d_1 d_1^\top (C - A)}{\lVert (C - A) - d_1 d_1^\top (C - A) \rVert}

    All three are met exactly, but for the rounding of their type; scan it by
    ``plane_scan(landscape.at(plane.origin), plane.directions, span=plane.spans())``. A Bezier curve with one bend, and
    a chain with one, lies in the plane through its three nodes.

    Cost: none.

    Valid for: three points that are not on a line. Buffers are those of the landscape that is scanned.

    Args:
        points: Three of them: a tensor (3, P), or a sequence of vectors, landscapes, or state dicts.
        names: Of the points.
        landscape: Says what of a state dict to take, and in which order.

    Raises:
        ArgumentError: If they are not three, do not fit one another, are not finite, or lie on a line.

    Example:
        >>> plane = plane_through(torch.tensor([[1.0, 1.0, 0.0], [4.0, 1.0, 0.0], [2.0, 1.0, 2.0]]))
        >>> plane.coordinates
        tensor([[0., 0.],
                [3., 0.],
                [1., 2.]], dtype=torch.float64)
    """
    found = checkpoint_vectors(points, landscape, "points", 3)
    if len(found) != 3:
        raise ArgumentError(f"points: expected 3, got {len(found)}.")
    if len(names) != 3:
        raise ArgumentError(f"names: expected 3, got {len(names)}.")
    if not all(isinstance(name, str) for name in names) or len(set(names)) != 3:
        raise ArgumentError(f"names: expected three different ones, got {names!r}.")
    a, b, c = (point.double() for point in found)
    rounding = _NOISE * torch.finfo(found[0].dtype).eps
    for (one, first), (other, second) in itertools.combinations(zip(names, (a, b, c), strict=True), 2):
        if bool((second - first).abs().max() <= rounding * first.abs().max()):
            raise ArgumentError(f"points: expected three different ones, but {one} and {other} are the same.")
    base, side = b - a, c - a
    length, reach = torch.linalg.vector_norm(base), torch.linalg.vector_norm(side)
    # The difference carries the rounding of the points, not its own.
    noise = rounding * torch.stack([torch.linalg.vector_norm(point) for point in (a, b, c)]).max()
    first = base / length
    rest = across(side, [first])
    height = torch.linalg.vector_norm(rest)
    if bool(height <= noise * (1 + reach / length)) or bool(height <= 1e-12 * reach):
        raise ArgumentError(
            f"points: expected three that span a plane, but they lie on a line: {names[1]} - {names[0]} and "
            f"{names[2]} - {names[0]} are parallel."
        )
    vectors = torch.stack([first, rest / height]).to(found[0].dtype).mT
    labels = (f"{names[0]} → {names[1]}", f"the normal, towards {names[2]}")
    norms = tuple(torch.linalg.vector_norm(vectors.double(), dim=0).tolist())
    coordinates = torch.tensor(
        [[0.0, 0.0], [float(length), 0.0], [float(first @ side), float(height)]], dtype=torch.float64
    )
    return Plane(found[0].clone(), Directions(vectors, labels, norms, "unit length"), coordinates, names)
