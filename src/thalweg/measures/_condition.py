"""Condition numbers of matrices that may be indefinite or singular."""

import math

from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.krylov._results import Eigenpairs
from thalweg.measures._ends import described, ends_of, is_whole, rounding_of, sorted_spectrum
from thalweg.measures._results import Conditioning


def condition_numbers(
    top: Eigenpairs | None = None,
    bottom: Eigenpairs | None = None,
    *,
    spectrum: Eigenpairs | Float[Tensor, " p"] | None = None,
    epsilon: float | None = None,
    tau: float = 1e-6,
) -> Conditioning:
    r"""Return the condition numbers in use for a symmetric matrix that is not positive definite.

    The textbook :math:`\lambda_{\max} / \lambda_{\min}` is negative for a saddle and infinite for the flat
    directions of every overparametrised model, so each number says what it puts in the place of λ_min; the formulas
    are with :class:`Conditioning`. For steering a step size take ``magnitude``.

    An eigenvalue counts as zero if its residual bound or rounding (100 machine epsilons times ‖H‖) could have made
    it: its sign is not known then, and ``raw`` and ``absolute`` are ``None``.

    Cost: none, the eigenvalues are computed already.

    Args:
        top: Eigenpairs of the upper end (which="LA"), of both ("BE"), or all P, which then are the spectrum.
        bottom: Eigenpairs of the lower end (which="SA" or "BE"), unless ``top`` holds them.
        spectrum: All P eigenvalues, instead of ``top`` and ``bottom``; without them what needs interior
            eigenvalues is ``None``.
        epsilon: ε > 0 in units of the eigenvalues; by default τ·max(\|λ_max\|, \|λ_min\|).
        tau: τ in (0, 1): below τ·λ_max a direction does not count for ``effective``.

    Raises:
        ArgumentError: If an end of the spectrum is missing, ``spectrum`` comes with ``top`` or ``bottom`` or is not
            complete, ``epsilon`` or ``tau`` is out of range, or all eigenvalues are zero and no ``epsilon`` is given.

    Example:
        >>> import torch
        >>> found = condition_numbers(spectrum=torch.tensor([10.0, 2.0, 1.0, -4.0]))
        >>> found.raw, found.magnitude, found.absolute, found.effective, found.bulk
        (-2.5, 2.5, 10.0, 10.0, 5.0)
    """
    if not 0 < tau < 1:
        raise ArgumentError(f"tau: expected a number strictly between 0 and 1, got {tau}.")
    largest, smallest, zero, values = _given(top, bottom, spectrum)
    scale = max(abs(largest), abs(smallest))
    epsilon = _epsilon(epsilon, tau * scale)
    interior = (None, None, None) if values is None else _interior_numbers(values, largest, zero, tau)
    return Conditioning(
        raw=largest / smallest if abs(smallest) > zero else None,
        damped=largest / (max(smallest, 0.0) + epsilon),
        magnitude=largest / max(abs(smallest), epsilon),
        absolute=interior[0],
        effective=interior[1],
        bulk=interior[2],
        epsilon=epsilon,
        tau=tau,
    )


def _given(
    top: Eigenpairs | None, bottom: Eigenpairs | None, spectrum: Eigenpairs | Tensor | None
) -> tuple[float, float, float, Tensor | None]:
    """λ_max, λ_min, what could be zero, and the whole spectrum in ascending order if it is known."""
    if spectrum is not None:
        if top is not None or bottom is not None:
            raise ArgumentError("spectrum: expected None together with top or bottom; it holds both ends itself.")
        if isinstance(spectrum, Eigenpairs):
            return _given(_whole(spectrum), None, None)
        whole = sorted_spectrum(spectrum)
        largest, smallest = float(whole[-1]), float(whole[0])
        return largest, smallest, rounding_of(max(abs(largest), abs(smallest)), spectrum.dtype), whole
    if top is None:
        raise ArgumentError("top: expected eigenpairs of the upper end, got None. Give top and bottom, or spectrum=.")
    ends = ends_of(top, bottom)
    known = [pairs.values for pairs in (top, bottom) if pairs is not None and is_whole(pairs)]
    values = sorted_spectrum(known[0]) if known else None
    return ends.largest, ends.smallest, max(ends.below, ends.rounding), values


def _whole(spectrum: Eigenpairs) -> Eigenpairs:
    if not is_whole(spectrum):
        raise ArgumentError(
            f"spectrum: expected all P eigenpairs with their vectors, got {described(spectrum)}. Compute them with "
            "eigenpairs(op, P), or pass the tensor torch.linalg.eigvalsh(op.dense())."
        )
    return spectrum


def _interior_numbers(
    values: Tensor, largest: float, zero: float, tau: float
) -> tuple[float | None, float | None, float | None]:
    """|λ|max / |λ|min, λ_max / (smallest above τ·λ_max), and λ_max / (median positive)."""
    sizes = values.abs()
    absolute = float(sizes.max() / sizes.min()) if float(sizes.min()) > zero else None
    if largest <= zero:
        return absolute, None, None
    effective = largest / float(values[values > tau * largest].min())
    positive = values[values > zero]
    # torch.median takes the lower of two middle values; a median is their mean.
    bulk = largest / float(positive.quantile(0.5))
    return absolute, effective, bulk


def _epsilon(given: float | None, default: float) -> float:
    if given is None:
        if default == 0:
            raise ArgumentError("epsilon: expected a positive number, since every eigenvalue is zero; got None.")
        return default
    if not (math.isfinite(given) and given > 0):
        raise ArgumentError(f"epsilon: expected a positive finite number, got {given}.")
    return float(given)
