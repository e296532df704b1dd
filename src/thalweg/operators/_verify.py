"""A cheap test of what silent errors break first."""

from dataclasses import dataclass

import torch

from thalweg.operators._composite import require_operator
from thalweg.operators._curvature import Curvature
from thalweg.operators._operator import Operator
from thalweg.record import Record

# A difference above this share is remarked on: on smooth models, single precision stays well below.
_REMARKABLE = 1e-2


@dataclass(frozen=True)
class Verification(Record):
    """How far an operator is from being a symmetric linear map, and from the gradient's derivative.

    Attributes:
        asymmetry: |uᵀAv − vᵀAu| / (‖u‖‖Av‖ + ‖v‖‖Au‖).
        nonlinearity: ‖A(2u − 3v) − 2Au + 3Av‖ / (2‖Au‖ + 3‖Av‖).
        repetition: ‖Au − Au‖ / ‖Au‖ of two products of the same vector. Kernels that add in any order differ by
            rounding; more than that is a model, or data, that change.
        difference: ‖Au − (∇L(θ+hu) − ∇L(θ−hu))/2h‖ / ‖Au‖; ``None`` for operators without a gradient. Large at
            the kinks of piecewise linear networks, whose curvature automatic differentiation does not define.
        tolerance: What rounding explains in the first three.
        passed: Whether all of them are within it.
    """

    asymmetry: float
    nonlinearity: float
    repetition: float
    difference: float | None
    tolerance: float
    passed: bool

    def __str__(self) -> str:
        steady = "" if self.repetition <= self.tolerance else f", two equal products differ by {self.repetition:.1e}"
        verdict = "symmetric and linear" if self.passed else "NOT symmetric and linear"
        against = "" if self.difference is None else f", finite difference {self.difference:.1e}"
        if self.difference is not None and self.difference > _REMARKABLE:
            against += " (as at kinks of ReLU networks, which automatic differentiation does not see)"
        return f"{verdict}: asymmetry {self.asymmetry:.1e}, nonlinearity {self.nonlinearity:.1e}{steady}{against}"


def verify(operator: Operator, *, generator: torch.Generator | None = None) -> Verification:
    """Test symmetry, linearity, repetition, and agreement with one central difference of the gradient.

    Cost: four products, and two gradients for an operator that belongs to a landscape.

    Args:
        operator: Any operator.
        generator: Of the two random vectors; ``None`` is a fresh one of seed 0.

    Raises:
        ArgumentError: If ``operator`` is none.

    Example:
        >>> import thalweg as tw
        >>> print(verify(tw.FunctionOperator(lambda v: v + v.flip(0), 4)).passed)
        True
        >>> print(verify(tw.FunctionOperator(lambda v: v.cumsum(0), 4)).passed)
        False
    """
    require_operator(operator)
    space = operator.space
    u, v = space.randn(generator, 2).mT.contiguous()
    image_u, image_v = operator @ u, operator @ v
    scale = space.norm(u) * space.norm(image_v) + space.norm(v) * space.norm(image_u)
    asymmetry = _ratio(abs(space.dot(u, image_v) - space.dot(v, image_u)), scale)
    gap = operator @ (2 * u - 3 * v) - 2 * image_u + 3 * image_v
    nonlinearity = _ratio(space.norm(gap), 2 * space.norm(image_u) + 3 * space.norm(image_v))
    repetition = _ratio(space.norm(operator @ u - image_u), space.norm(image_u))
    tolerance = 100 * torch.finfo(space.dtype).eps
    if isinstance(operator, Curvature):
        tolerance = max(tolerance, 100 * operator.landscape.precision, 2 * (operator.error or 0.0))
    return Verification(
        asymmetry,
        nonlinearity,
        repetition,
        _difference(operator, u, image_u),
        tolerance,
        max(asymmetry, nonlinearity, repetition) <= tolerance,
    )


def _difference(operator: Operator, u: torch.Tensor, image: torch.Tensor) -> float | None:
    if not (isinstance(operator, Curvature) and operator.kind == "hessian"):
        return None
    landscape, space = operator.landscape, operator.space
    theta = landscape.theta
    step = torch.finfo(space.dtype).eps ** (1 / 3) * (1 + space.norm(theta)) / space.norm(u)
    slope = (landscape.gradient(theta + step * u) - landscape.gradient(theta - step * u)) / (2 * step)
    return _ratio(space.norm(slope - image), space.norm(image))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else part
