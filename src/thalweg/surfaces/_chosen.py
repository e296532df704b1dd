"""Directions that the landscape itself prefers: eigenvectors of its curvature, and its gradient."""

import warnings
from collections.abc import Sequence

import torch

from thalweg.errors import ArgumentError, ConvergenceWarning
from thalweg.krylov._results import Eigenpairs
from thalweg.landscape import Landscape
from thalweg.surfaces._results import Directions


def eigen_directions(pairs: Eigenpairs, indices: Sequence[int] = (0, 1), *, matrix: str | None = None) -> Directions:
    """Take eigenvectors as directions of unit length, so that a coefficient is a distance in parameter space.

    The sign of an eigenvector is arbitrary, and within a degenerate eigenspace so is the vector.

    Cost: none, the eigenpairs are computed already.

    Args:
        pairs: Eigenpairs with vectors.
        indices: Which ones, in the order of ``pairs``, counted from 0, none twice.
        matrix: Name of the matrix that they belong to, "H" or "GGN", for the labels.

    Raises:
        ArgumentError: If ``pairs`` has no vectors, or ``indices`` is empty, out of range or repeats itself.

    Warns:
        ConvergenceWarning: If one of them has not converged.

    Example:
        >>> import thalweg as tw
        >>> from thalweg.krylov import eigenpairs
        >>> op = tw.FunctionOperator(lambda v: torch.tensor([4.0, 2.0, 1.0]) * v, 3)
        >>> print(eigen_directions(eigenpairs(op, 2)))
        eigenvector 1 (λ = 4) (‖d‖ = 1), eigenvector 2 (λ = 2) (‖d‖ = 1)
    """
    if not isinstance(pairs, Eigenpairs):
        raise ArgumentError(f"pairs: expected eigenpairs, got {type(pairs).__name__}.")
    if pairs.vectors is None:
        raise ArgumentError("pairs: expected eigenpairs with vectors, got some without.")
    count = len(pairs.values)
    if not isinstance(indices, Sequence):
        raise ArgumentError(f"indices: expected a sequence of numbers, such as (0, 1), got {indices!r}.")
    chosen = list(indices)
    whole = all(isinstance(index, int) and not isinstance(index, bool) for index in chosen)
    if not chosen or not whole or len(set(chosen)) != len(chosen) or not all(0 <= index < count for index in chosen):
        raise ArgumentError(f"indices: expected different numbers from 0 to {count - 1}, got {tuple(chosen)}.")
    loose = [index for index in chosen if not bool(pairs.converged[index])]
    if loose:
        residuals = ", ".join(f"{index} (residual {float(pairs.residuals[index]):.1e})" for index in loose)
        warnings.warn(f"Eigenvectors that have not converged: {residuals}.", ConvergenceWarning, stacklevel=2)
    vectors = pairs.vectors[:, chosen]
    of = "" if matrix is None else f" of {matrix}"
    labels = tuple(f"eigenvector {index + 1}{of} (λ = {float(pairs.values[index]):.4g})" for index in chosen)
    return Directions(vectors, labels, tuple(torch.linalg.vector_norm(vectors, dim=0).tolist()), "unit length")


def gradient_direction(landscape: Landscape) -> Directions:
    """Take g/‖g‖ as a direction of unit length: the loss rises along it, and falls towards negative coefficients.

    Cost: one gradient.

    Args:
        landscape: Where to take the gradient.

    Raises:
        ArgumentError: If the gradient vanishes.
        NonFiniteError: If the gradient is not finite.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> landscape = tw.Landscape(model, tw.objectives.mse(), [(torch.ones(1, 1), torch.zeros(1, 1))])
        >>> gradient_direction(landscape).vectors
        tensor([[1.]])
    """
    if not isinstance(landscape, Landscape):
        raise ArgumentError(f"landscape: expected a Landscape, got {type(landscape).__name__}.")
    gradient = landscape.gradient()
    length = landscape.space.norm(gradient)
    if length == 0:
        raise ArgumentError("landscape: expected a point with a gradient, got a critical point, where it vanishes.")
    unit = gradient / length
    return Directions(unit.unsqueeze(1), ("gradient",), (landscape.space.norm(unit),), "unit length")
