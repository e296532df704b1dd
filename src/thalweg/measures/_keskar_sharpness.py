"""How far the loss can rise within a box whose sides grow with the weights."""

import time

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._require import require_columns
from thalweg.measures._ascent import Box, highest, require_climb
from thalweg.measures._require import require_radius
from thalweg.measures._sharpness_results import KeskarSharpness
from thalweg.operators._require import require_landscape
from thalweg.vectors import VectorSpace


def keskar_sharpness(
    landscape: Landscape,
    epsilon: float = 1e-3,
    *,
    subspace: int | Float[Tensor, " p"] | Float[Tensor, "p q"] | None = None,
    steps: int = 20,
    restarts: int = 2,
    generator: torch.Generator | None = None,
) -> KeskarSharpness:
    r"""Return the sharpness of Keskar et al. (2017), by projected ascent, which gives a lower bound.

    .. math:: \phi = 100\, \frac{\max_{z \in C_\epsilon} L(\theta + A z) - L(\theta)}{1 + L(\theta)}, \qquad
              C_\epsilon = \{z : |z_i| \le \epsilon\, (|(A^{+}\theta)_i| + 1)\}

    with A the identity, or the columns of a subspace, drawn at random or given. The box follows the weights only
    where these are larger than 1: φ is not invariant under rescaling of the parameters.

    The ascent starts from the corner that the gradient points into, and from random corners. In a corner that its
    gradient points into it is at a local maximum, and ends.

    Cost: one gradient, and at most ``steps`` gradients a start; q vectors of memory for a subspace.

    Args:
        landscape: Its point is the centre; it does not move. φ supposes a loss above −1.
        epsilon: ε > 0; 1e-3 and 5e-4 in Keskar et al.
        subspace: ``None`` for the whole space; how many random directions (100 in Keskar et al.), standard normal ones
            scaled to unit length, which their definition leaves open; or A itself, columns of full rank.
        steps: Most gradients a start.
        restarts: Random starts, 0 for none where the gradient does not vanish.
        generator: Of the subspace, and then of the random starts; ``None`` is a fresh one of seed 0.

    Raises:
        ArgumentError: If an argument is out of range, the subspace's columns are dependent, or no start is left.
        NonFiniteError: If the loss or gradient is not finite somewhere in the box.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(one, 0 * one)])  # ½w² at 1, |δ| ≤ 0.2
        >>> print(keskar_sharpness(landscape, 0.1))  # 100 · (0.72 − 0.5) / 1.5
        sharpness ≥ 14.67 in the box with ε = 0.1
    """
    require_landscape(landscape)
    epsilon = require_radius("epsilon", epsilon)
    require_climb(steps, restarts)
    started = time.perf_counter()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    basis = _basis(landscape, subspace, source)
    halves = epsilon * (_coordinates(basis, landscape.theta).abs() + 1)
    base, gradient = landscape.loss_and_gradient()
    box = Box(landscape, halves, base, basis)
    slope = box.slope(gradient)
    starts = [slope] if box.norm(slope) > 0 else []
    if restarts:
        starts += list(VectorSpace(len(slope), slope.dtype, slope.device).randn(source, restarts).mT)
    if not starts:
        raise ArgumentError("restarts: expected at least 1 where the gradient vanishes, got 0.")
    rises = highest(box, starts, steps)
    rise = max(0.0, float(rises.max()))
    return KeskarSharpness(
        value=100 * rise / (1 + base) if base > -1 else None,
        rise=rise,
        epsilon=epsilon,
        subspace=None if basis is None else basis.shape[1],
        base=base,
        restarts=rises,
        lower_bound=True,
        cost=Cost(gradients=1 + box.gradients, seconds=time.perf_counter() - started),
    )


def _basis(landscape: Landscape, subspace: int | Tensor | None, source: torch.Generator) -> Tensor | None:
    if subspace is None:
        return None
    if isinstance(subspace, Tensor):
        columns = require_columns(landscape.space, subspace, "subspace")
        if columns.shape[1] > columns.shape[0]:
            raise ArgumentError(
                f"subspace: expected at most P = {columns.shape[0]} columns, got {columns.shape[1]}, which are "
                "dependent."
            )
        return columns
    if isinstance(subspace, bool) or not isinstance(subspace, int) or not 1 <= subspace <= landscape.size:
        raise ArgumentError(
            f"subspace: expected None, a number from 1 to P = {landscape.size}, or columns, got {subspace!r}."
        )
    drawn = landscape.space.randn(source, subspace)
    units: Tensor = drawn / torch.linalg.vector_norm(drawn, dim=0)
    return units


def _coordinates(basis: Tensor | None, theta: Tensor) -> Tensor:
    """A⁺θ, by the normal equations: A has few columns, and they are far from dependent or refused."""
    if basis is None:
        return theta
    lengths = torch.linalg.vector_norm(basis, dim=0)
    units = basis / lengths
    gram = (units.mT @ units).cpu().double()
    values = torch.linalg.eigvalsh(gram) if bool(gram.isfinite().all()) else gram.new_zeros(1)
    if float(values[0]) < 1e3 * len(gram) * torch.finfo(basis.dtype).eps:
        raise ArgumentError(
            "subspace: expected independent columns, got some that are dependent to rounding. Orthonormalise them "
            "with torch.linalg.qr(A).Q."
        )
    solved: Tensor = torch.linalg.solve(gram, (units.mT @ theta).cpu().double()).to(theta) / lengths
    return solved
