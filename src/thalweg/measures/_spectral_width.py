"""How far the spectrum reaches."""

from thalweg.krylov._results import Eigenpairs
from thalweg.measures._ends import ends_of
from thalweg.measures._results import SpectralWidth


def spectral_width(top: Eigenpairs, bottom: Eigenpairs | None = None) -> SpectralWidth:
    r"""Return :math:`\Delta\lambda = \lambda_{\max} - \lambda_{\min}`.

    Ritz values lie inside the spectrum, so the width found is never more than the true one; and an eigenvalue
    lies within the residual of each Ritz value, so that, if these are the extreme ones, it is less by
    at most the sum of the two residuals. That is a bound and no standard error: it carries no probability
    (Parlett, 1998, ch. 4 and 10).

    Cost: none, the eigenpairs are computed already.

    Args:
        top: Of the upper end (which="LA"), or of both ("BE"), or all P.
        bottom: Of the lower end (which="SA" or "BE"); not needed where ``top`` holds both ends.

    Raises:
        ArgumentError: If an end of the spectrum is missing.

    Example:
        >>> import thalweg as tw
        >>> import torch
        >>> from thalweg.krylov import eigenpairs
        >>> op = tw.FunctionOperator(lambda v: torch.tensor([4.0, 2.0, -1.0]) * v, 3)
        >>> round(spectral_width(eigenpairs(op, 2, "BE")).value, 5)
        5.0
    """
    ends = ends_of(top, bottom)
    cost = top.cost if bottom is None else top.cost + bottom.cost
    return SpectralWidth(
        value=ends.largest - ends.smallest,
        slack=ends.above + ends.below,
        largest=ends.largest,
        smallest=ends.smallest,
        converged=ends.converged,
        cost=cost,
    )
