"""How many leading eigenvalues stand apart from the rest."""

from thalweg.errors import ArgumentError
from thalweg.krylov._results import Eigenpairs


def outlier_count(top: Eigenpairs, *, ratio: float = 1.5) -> int | None:
    r"""Count the eigenvalues above the largest relative gap :math:`\lambda_i / \lambda_{i+1}` among those computed.

    In classification the Hessian of a trained network has about as many outliers as classes (Sagun et al., 2017;
    Papyan, 2019), most clearly early in training; later the gap closes and there may be none to see.

    Cost: none, the eigenvalues are computed already.

    Valid for: converged positive eigenvalues, of which only those count whose residual bounds leave the gap open. A gap
    below the last eigenvalue computed cannot be seen.

    Args:
        top: Eigenpairs of the upper end (which="LA").
        ratio: The least gap that counts as one.

    Returns:
        The count, or ``None`` where no gap is wide enough.

    Raises:
        ArgumentError: If ``top`` holds another end of the spectrum, or ``ratio`` is not above 1.

    Example:
        >>> import torch
        >>> import thalweg as tw
        >>> diagonal = torch.tensor([9.0, 8.0, 2.0, 1.9, 1.8, 0.0])
        >>> outlier_count(tw.eigenpairs(tw.FunctionOperator(lambda v: diagonal * v, 6), 4))
        2
    """
    if top.which != "LA":
        raise ArgumentError(f"top: expected eigenpairs with which='LA', got {top.which!r}.")
    if not ratio > 1:
        raise ArgumentError(f"ratio: expected a number above 1, got {ratio}.")
    lower, upper = (top.values - top.residuals).tolist(), (top.values + top.residuals).tolist()
    gaps = [
        lower[i] / upper[i + 1]
        for i in range(len(lower) - 1)
        if upper[i + 1] > 0 and bool(top.converged[i : i + 2].all())
    ]
    if not gaps or max(gaps) < ratio:
        return None
    return gaps.index(max(gaps)) + 1
