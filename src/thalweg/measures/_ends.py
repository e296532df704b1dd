"""The two ends of a spectrum, from eigenpairs that hold them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.krylov._results import Eigenpairs


@dataclass(frozen=True)
class Ends:
    """The largest and the smallest algebraic eigenvalue.

    Attributes:
        largest: λ_max.
        smallest: λ_min.
        above: Bound on the residual of ``largest``.
        below: Bound on the residual of ``smallest``.
        rounding: What rounding makes of a zero eigenvalue, see :func:`rounding`.
        converged: Whether both pairs have converged.
    """

    largest: float
    smallest: float
    above: float
    below: float
    rounding: float
    converged: bool


def ends_of(top: Eigenpairs, bottom: Eigenpairs | None) -> Ends:
    """Take λ_max and λ_min from eigenpairs of both ends.

    Raises:
        ArgumentError: If an end is not among the eigenpairs.
    """
    low = top if bottom is None else bottom
    if not (is_whole(top) or top.which == "LA" or (top.which == "BE" and len(top.values) > 1)):
        raise ArgumentError(f"top: expected eigenpairs of the upper end (which='LA' or 'BE'), got {described(top)}.")
    if not (is_whole(low) or (low.which == "SA" and bottom is not None) or (low.which == "BE" and len(low.values) > 1)):
        if bottom is None:
            raise ArgumentError(
                f"bottom: expected eigenpairs of the lower end, since top holds {described(top)} only. Compute them "
                "with eigenpairs(op, k, 'SA'), or both ends at once with 'BE'."
            )
        raise ArgumentError(
            f"bottom: expected eigenpairs of the lower end (which='SA' or 'BE'), got {described(bottom)}."
        )
    high, deep = int(top.values.argmax()), int(low.values.argmin())
    return Ends(
        largest=float(top.values[high]),
        smallest=float(low.values[deep]),
        above=float(top.residuals[high]),
        below=float(low.residuals[deep]),
        rounding=max(rounding(top), rounding(low)),
        converged=bool(top.converged[high]) and bool(low.converged[deep]),
    )


def is_whole(pairs: Eigenpairs) -> bool:
    """Whether the eigenpairs are all P of them, which only their vectors can tell."""
    return pairs.vectors is not None and pairs.vectors.shape[0] == pairs.vectors.shape[1]


def rounding(pairs: Eigenpairs, scale: float | None = None) -> float:
    """Return what rounding can make of a zero eigenvalue: 100 machine epsilons of the products, times ‖A‖."""
    if pairs.vectors is not None:
        dtype = pairs.vectors.dtype
    elif pairs.provenance is not None:
        dtype = getattr(torch, pairs.provenance.dtype)
    else:
        dtype = torch.float64
    return rounding_of(pairs.scale if scale is None else scale, dtype)


def rounding_of(scale: float, dtype: torch.dtype) -> float:
    """The same for a matrix of a given norm and type."""
    return 100 * torch.finfo(dtype).eps * scale


def sorted_spectrum(values: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
    """Return all P eigenvalues in ascending order, in double precision on the processor.

    Raises:
        ArgumentError: If there are none, or one is not finite.
    """
    if values.ndim != 1 or len(values) == 0 or not bool(values.isfinite().all()):
        raise ArgumentError(
            f"spectrum: expected finite eigenvalues, shape (P,), got shape {tuple(values.shape)} with "
            f"{int((~values.isfinite()).sum())} that are not finite."
        )
    return values.detach().double().cpu().sort().values


def described(pairs: Eigenpairs) -> str:
    """Say how many eigenpairs of which end there are."""
    return f"{len(pairs.values)} of which={pairs.which!r}"
