"""The length of the parameter vector, measured by the Fisher matrix."""

import time
from collections.abc import Callable

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate
from thalweg.landscape import Landscape
from thalweg.measures._folding import folded_point
from thalweg.measures._gradient_noise import require_separate
from thalweg.operators import Operator
from thalweg.operators._covariance import second_moment
from thalweg.operators._require import require_landscape

Matrix = Callable[[Landscape], Operator]


def fisher_rao_norm(landscape: Landscape, matrix: Matrix = second_moment) -> Estimate:
    r"""Return :math:`\theta^\top F \theta`, the square of the Fisher–Rao norm (Liang, Poggio, Rakhlin & Stokes, 2019).

    .. math:: \theta^\top F \theta = \mathbb{E}\, \langle \theta, \nabla_\theta \ell \rangle^2
              = D^2\, \mathbb{E}\, \langle f, \nabla_f \ell \rangle^2

    The second equation is Euler's, for f homogeneous of degree D in θ: ReLU networks of D layers without biases. There
    it does not change when layers are rescaled against one another, in any way that leaves f as it is.

    By default F is the second moment of the items' gradients at the data's own targets, Σ + ∇L∇Lᵀ, as in that paper's
    definition: it depends on the loss of each item, and not on how many terms that is written in.
    ``matrix=tw.fisher`` takes the expectation over the model's own targets. They differ where the model does not fit.

    Batch norm that :func:`thalweg.capacity` folds into a layer, x ↦ s(Wx + b) + t, is folded here too: θ holds
    W' = sW and b' = sb + t in place of W, b and what batch norm learned, and the gradients are those by W' and b', so
    that the network with its batch norm and the fused one have the same norm. A b' that no selected parameter moves,
    with neither a bias nor an affine batch norm, is left out.

    Valid for: landscapes in eval mode; in train mode items have no gradients of their own through batch norm.

    Cost: one product; with batch norm a pass of one item.

    Args:
        landscape: In eval mode; θ are its selected parameters.
        matrix: Makes F on a landscape.

    Raises:
        ArgumentError: If an argument has a wrong value, the landscape is in train mode, or a folded batch norm shares
            its parameters with another one.
        ObjectiveError: If the objective has no terms, or no likelihood, that F needs.
        NonFiniteError: If the product is not finite.

    Example:
        >>> import thalweg as tw
        >>> import torch
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.constant_(model.weight, 2.0)
        >>> data = [(torch.tensor([[3.0]]), torch.tensor([[5.0]]))]  # ℓ = ½(6 − 5)², f ∂ℓ/∂f = 6
        >>> fisher_rao_norm(tw.Landscape(model, tw.objectives.squared_error(), data)).value
        36.0
    """
    require_landscape(landscape)
    if not callable(matrix):
        raise ArgumentError(
            f"matrix: expected a function of a landscape, such as tw.fisher, got {type(matrix).__name__}."
        )
    require_separate(landscape)
    started, theta = time.perf_counter(), folded_point(landscape)
    operator = matrix(landscape)
    value = landscape.space.dot(theta, operator @ theta)
    cost = Cost(matvecs=1, seconds=time.perf_counter() - started)
    provenance = landscape.provenance(getattr(operator.provenance, "engine", None))
    return Estimate(value, standard_error=0.0, cost=cost, provenance=provenance)
