"""How much negative curvature was found."""

import math

from thalweg.errors import ArgumentError
from thalweg.krylov._results import Eigenpairs
from thalweg.measures._ends import is_whole, rounding
from thalweg.measures._results import NegativeCurvature


def negative_curvature(
    bottom: Eigenpairs, *, scale: float | None = None, threshold: float | None = None
) -> NegativeCurvature:
    r"""Count the negative eigenvalues among those computed, and sum their magnitudes.

    An eigenvalue counts if it is below −threshold and its residual bound cannot reach zero: the exact null
    directions of a network (a shift of all logits) come out of floating-point arithmetic as −1e−17.

    The count is a lower bound on the number of negative eigenvalues of the matrix (its *index*) unless
    ``exhaustive``: then the computation went past zero, so that none is left below. For "SA" and "BE" that takes a
    converged value of the lower end at or above −threshold, all below it converged, and no missed copies
    (``bottom.complete``); all P eigenvalues are exhaustive; "LM" otherwise never is. A value below −threshold whose
    residual bound reaches zero is not counted, and leaves the count a lower bound.

    Cost: none, the eigenvalues are computed already.

    Args:
        bottom: Eigenpairs of the lower end (which="SA"; also "BE", "LM", or all P).
        scale: ‖H‖, if a better estimate is known than ``bottom.scale``, the largest magnitude seen.
        threshold: What still counts as zero, in units of the eigenvalues; by default 100 machine epsilons of the
            type that products are computed in, times ``scale``.

    Raises:
        ArgumentError: If ``bottom`` holds the upper end alone, ``scale`` or ``threshold`` is negative or not finite,
            or both are given.

    Example:
        >>> import thalweg as tw
        >>> import torch
        >>> from thalweg.krylov import eigenpairs
        >>> op = tw.FunctionOperator(lambda v: torch.tensor([4.0, 0.0, -1.0, -2.0]) * v, 4)
        >>> print(negative_curvature(eigenpairs(op, 2, "SA")))
        at least 2 negative eigenvalues, mass 3, smallest -2
    """
    whole = is_whole(bottom)
    if bottom.which == "LA" and not whole:
        raise ArgumentError(
            "bottom: expected eigenpairs of the lower end, got which='LA'. Compute them with eigenpairs(op, k, 'SA')."
        )
    if scale is not None and threshold is not None:
        raise ArgumentError("scale: expected None together with threshold, which replaces it.")
    for name, number in (("scale", scale), ("threshold", threshold)):
        if number is not None and not (math.isfinite(number) and number >= 0):
            raise ArgumentError(f"{name}: expected a finite number that is not negative, got {number}.")
    limit = rounding(bottom, scale) if threshold is None else threshold
    values, residuals = bottom.values, bottom.residuals
    negative = (values < -limit) & (values + residuals < 0)
    undecided = (values < -limit) & ~negative
    return NegativeCurvature(
        count=int(negative.sum()),
        mass=float(values[negative].abs().sum()),
        smallest=float(values.min()),
        threshold=limit,
        exhaustive=not bool(undecided.any()) and (whole or _went_past_zero(bottom, limit)),
    )


def _went_past_zero(bottom: Eigenpairs, limit: float) -> bool:
    low = {"SA": len(bottom.values), "BE": len(bottom.values) // 2}.get(bottom.which, 0)
    if low == 0 or not bottom.complete:
        return False
    order = bottom.values.argsort()[:low]
    past = bottom.values[order] >= -limit
    if not bool(past.any()):
        return False
    first = int(past.int().argmax())
    return bool(bottom.converged[order[: first + 1]].all())
