"""What one step does to the loss, by the quadratic model and in fact."""

import math
import time

from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._require import require_vector
from thalweg.measures._require import require_real
from thalweg.measures._results import StepPrediction
from thalweg.operators import Operator, hessian
from thalweg.operators._composite import require_operator
from thalweg.operators._require import require_landscape


def predicted_decrease(
    landscape: Landscape,
    eta: float,
    direction: Float[Tensor, " p"] | None = None,
    *,
    operator: Operator | None = None,
) -> StepPrediction:
    r"""Compare the change of the loss for the step θ → θ − ηv with its quadratic model.

    .. math:: L(\theta - \eta v) - L(\theta) \approx -\eta\, v^\top g + \tfrac12 \eta^2\, v^\top H v

    The signs belong to the step −ηv: a direction of descent is −v, as for v = g. The model is good to O(η³).
    For a gradient step it predicts a decrease up to η = 2 gᵀg / gᵀHg.

    Cost: a gradient, a product, and a pass without gradients.

    Args:
        landscape: Where the step starts; it does not move.
        eta: η > 0.
        direction: v, shape (P,); the gradient by default. Not scaled.
        operator: H; by default the Hessian of the landscape. With another matrix, the GGN say, the prediction
            is that of its model.

    Raises:
        ArgumentError: If ``eta`` is not positive and finite, or ``direction`` or ``operator`` does not fit.
        NonFiniteError: If the loss is not finite after the step.

    Example:
        >>> import thalweg as tw
        >>> import torch
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(one, 0 * one)])  # ½w² at 1
        >>> print(predicted_decrease(landscape, 0.5))
        ΔL = -0.375 for η = 0.5 (quadratic model -0.375)
    """
    require_landscape(landscape)
    eta = require_real("eta", eta, "a positive finite number")
    if not (math.isfinite(eta) and eta > 0):
        raise ArgumentError(f"eta: expected a positive finite number, got {eta}. For the step +ηv pass −v.")
    space = landscape.space
    matrix = hessian(landscape) if operator is None else operator
    require_operator(matrix)
    if matrix.shape[0] != space.size:
        raise ArgumentError(f"operator: expected shape ({space.size}, {space.size}), got {matrix.shape}.")
    started, before = time.perf_counter(), matrix.matvecs
    v = None if direction is None else require_vector(space, direction, "direction")
    base, gradient = landscape.loss_and_gradient()
    v = gradient if v is None else v
    slope = space.dot(v, gradient)
    curvature = space.dot(v, matrix @ v)
    actual = landscape.loss(landscape.theta - eta * v) - base
    return StepPrediction(
        eta=eta,
        linear=-eta * slope,
        quadratic=-eta * slope + 0.5 * eta**2 * curvature,
        actual=actual,
        curvature=curvature,
        cost=Cost(matrix.matvecs - before, gradients=1, losses=1, seconds=time.perf_counter() - started),
    )
