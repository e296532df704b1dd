"""The signs of the Hessian's eigenvalues at the end of a search for a critical point."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import NonFiniteError
from thalweg.krylov import Eigenpairs, eigenpairs, minres
from thalweg.landscape import Landscape
from thalweg.measures._negative_curvature import negative_curvature
from thalweg.operators import Operator, dense, hessian

# An eigenvalue that changes by this share of itself within the Newton step may vanish where the gradient does. Where
# the loss is x^k to lowest order, the share is 1/2 for k = 3 and tends to 1 − 1/e.
_CHANGE = 0.1


@dataclass(frozen=True)
class Signs:
    """The signs of eigenvalues; what is not named here is as in :class:`CriticalPoint`.

    Attributes:
        step: Newton's step, −H⁺∇L over the eigenvalues beyond the threshold.
        values: Eigenvalues that were computed.
        vectors: Their eigenvectors.
    """

    index: int
    index_exact: bool
    nullity: int
    nullity_exact: bool
    smallest: float
    largest: float
    residual: float
    threshold: float
    distance: float
    step: Tensor
    values: Tensor
    vectors: Tensor

    @property
    def scale(self) -> float:
        """‖H‖."""
        return max(abs(self.smallest), abs(self.largest))


def all_signs(operator: Operator, gradient: Float[Tensor, " p"], degenerate: float) -> Signs:
    """Return the signs of all eigenvalues."""
    matrix = dense(operator).double()
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    threshold = degenerate * float(values.abs().max())
    negative, null = values < -threshold, values.abs() <= threshold
    parts = (vectors.mT @ gradient.double())[~null] / values[~null]
    return Signs(
        index=int(negative.sum()),
        index_exact=True,
        nullity=int(null.sum()),
        nullity_exact=True,
        smallest=float(values[0]),
        largest=float(values[-1]),
        residual=0.0,
        threshold=threshold,
        distance=float(torch.linalg.vector_norm(parts)),
        step=-(vectors[:, ~null] @ parts).to(gradient),
        values=values,
        vectors=vectors,
    )


def signs_of_ends(
    operator: Operator,
    gradient: Float[Tensor, " p"],
    degenerate: float,
    pairs: int,
    generator: torch.Generator | None,
) -> Signs:
    """Return those of both ends."""
    top = eigenpairs(operator, 1, "LA", tol=degenerate, generator=generator)
    bottom = eigenpairs(operator, pairs, "SA", tol=degenerate, generator=generator)
    scale = max(top.scale, bottom.scale)
    threshold = degenerate * scale
    negative = negative_curvature(bottom, threshold=threshold)
    index, index_exact = negative.count, negative.exhaustive
    values = bottom.values
    null = int(((values.abs() <= threshold) & bottom.converged).sum())
    null_exact = index_exact and bool((values > threshold).any())
    if float(top.values[0] + top.residuals[0]) < -threshold:
        # Nothing is above it.
        index, index_exact, null, null_exact = operator.shape[0], True, 0, True
    vectors = _vectors(bottom)
    if pairs < operator.shape[0]:
        values, vectors = torch.cat([values, top.values]), torch.cat([vectors, _vectors(top)], dim=1)
    solved = minres(operator, gradient, rtol=1e-2, cutoff=min(1.0, degenerate), max_matvecs=200)
    return Signs(
        index=index,
        index_exact=index_exact,
        nullity=null,
        nullity_exact=null_exact,
        smallest=float(bottom.values.min()),
        largest=float(top.values[0]),
        residual=max(float(top.residuals[0]), float(bottom.residuals[int(bottom.values.argmin())])),
        threshold=threshold,
        distance=operator.space.norm(solved.x),
        step=-solved.x,
        values=values,
        vectors=vectors,
    )


def unsure(landscape: Landscape, theta: Float[Tensor, " p"], signs: Signs) -> tuple[Signs, int]:
    """Raise the threshold to the largest eigenvalue that the next Newton step changes, and count the products made."""
    beyond = (signs.values.abs() > signs.threshold).nonzero().flatten()
    if not len(beyond) or not bool(signs.step.any()):
        return signs, 0
    ahead = hessian(landscape.at(theta + signs.step), engine="double-backward")
    vectors, values = signs.vectors[:, beyond].to(theta), signs.values[beyond]
    try:
        there = (vectors * (ahead @ vectors)).sum(dim=0).double()
    except NonFiniteError:
        # The model ends within the step: nothing is known of what is beyond.
        return replace(signs, index_exact=False, nullity_exact=False), ahead.matvecs
    changed = values[(there - values).abs() >= _CHANGE * values.abs()]
    if not len(changed):
        return signs, ahead.matvecs
    threshold = float(changed.abs().max())
    null = int((signs.values.abs() <= threshold).sum())
    gone = int(((signs.values < -signs.threshold) & (signs.values >= -threshold)).sum())
    # What lies between the ends and was not computed is within the threshold or not.
    whole = len(signs.values) == len(theta)
    between = signs.values[:-1]
    return replace(
        signs,
        threshold=threshold,
        index=signs.index - gone,
        index_exact=whole or (signs.index < len(theta) and bool((between >= -threshold).any())),
        nullity=null,
        nullity_exact=whole or (signs.nullity_exact and bool((between > threshold).any())),
    ), ahead.matvecs


def _vectors(pairs: Eigenpairs) -> Tensor:
    assert pairs.vectors is not None  # noqa: S101 - they were asked for
    return pairs.vectors
