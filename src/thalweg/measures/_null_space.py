"""How flat is a landscape at interpolation, against what the number of constraints makes it?"""

import time

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, ObjectiveError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov import eigenpairs
from thalweg.krylov._operator import require_whole
from thalweg.krylov._quadrature import spread_of
from thalweg.krylov._spectral_measure import between
from thalweg.landscape import Landscape
from thalweg.measures._dimension_results import NullSpace
from thalweg.measures._require import require_real
from thalweg.measures._spectrum import Spectrum
from thalweg.operators import residual
from thalweg.operators._require import require_landscape


def null_space(
    eigenvalues: Spectrum | Float[Tensor, " p"],
    landscape: Landscape | None = None,
    *,
    items: int | None = None,
    outputs: int | None = None,
    threshold: float | None = None,
    tolerance: float = 0.01,
    generator: torch.Generator | None = None,
) -> NullSpace:
    r"""Count the eigenvalues near zero, and hold them against what interpolation implies.

    The Gauss–Newton matrix of n items with C outputs each has a rank of at most nC, and of at most n(C − 1) with a
    softmax and cross-entropy, whose loss does not see a constant added to the logits. Where every item is fitted,
    H = G, so that at least P − nC (Cooper, 2018), or P − n(C − 1), eigenvalues of the Hessian are zero: the dimension
    of the manifold of minima. Cross-entropy of hard labels reaches that in the limit alone.

    Away from interpolation H = G + R, R has a rank of its own, and the comparison says nothing. With a landscape,
    ‖R‖ = ‖H − G‖ is computed, and the result says whether the comparison is valid (``valid``: ‖R‖ ≤ ``tolerance``·‖H‖).
    Where ‖R‖ is within the threshold, Weyl's theorem makes the count at least that of G's zeros (``implied``).

    The count of a spectrum is an estimate, exact for the eigenvalues that have converged; its density blurs
    others, so that its zeros are told from what is small only where a gap of the quadrature's width is between them.

    Cost: that of the leading eigenpair of H − G, with a landscape; none otherwise.

    Args:
        eigenvalues: Of the Hessian: a spectrum of :func:`thalweg.spectrum`, or all P of them.
        landscape: Where the Hessian is from, to compute ‖H − G‖, n and C; its objective declares ``convex``.
        items: n; the landscape's by default.
        outputs: C; by default what the landscape's model returns an item.
        threshold: What counts as zero; by default ``Spectrum.zero``, or √P ε ‖H‖ of all eigenvalues.
        tolerance: The most that ‖H − G‖ / ‖H‖ may be for the comparison to count as valid.
        generator: Of the start of the eigenpair's search; ``None`` is a fresh one of seed 0.

    Raises:
        ArgumentError: If an argument has a wrong value, or n and C are not known.
        ObjectiveError: If the model's outputs are no tensor of n rows, or the objective is not convex in them.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(5, 1, bias=False).double()
        >>> inputs = torch.eye(5, dtype=torch.float64)[:2]
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(inputs, inputs.sum(dim=1, keepdim=True))])
        >>> found = null_space(torch.linalg.eigvalsh(tw.hessian(landscape).dense()), landscape)
        >>> found.count.value, found.regression, found.valid
        (3.0, 3, True)
    """
    started = time.perf_counter()
    _check(landscape, threshold, tolerance)
    size, zero, norm = _known(eigenvalues)
    if landscape is not None and landscape.size != size:
        raise ArgumentError(f"landscape: expected one of the {size} eigenvalues' parameters, got {landscape.size}.")
    limit = zero if threshold is None else float(threshold)
    n = _whole("items", landscape.count if items is None and landscape is not None else items)
    c = _whole("outputs", outputs_of(landscape) if outputs is None and landscape is not None else outputs)
    beyond, products = None, 0
    if landscape is not None:
        pair = eigenpairs(residual(landscape), 1, which="LM", tol=1e-2, vectors=False, generator=generator)
        beyond, products = abs(float(pair.values[0])), pair.cost.matvecs
    return NullSpace(
        count=_counted(eigenvalues, limit),
        threshold=limit,
        size=size,
        items=n,
        outputs=c,
        regression=max(0, size - n * c),
        classification=max(0, size - n * (c - 1)),
        residual=beyond,
        norm=norm,
        tolerance=float(tolerance),
        cost=Cost(matvecs=products, seconds=time.perf_counter() - started),
    )


def outputs_of(landscape: Landscape) -> int:
    """Return how many numbers the model returns an item.

    Raises:
        ObjectiveError: If what it returns is no tensor with a row for each item.
    """
    with landscape.reading(), torch.no_grad():
        leaves = landscape.leaves(grad=False)
        for _, batch in landscape.batches():
            found = landscape.outputs(leaves, batch)
            rows = len(landscape.terms_of(found, batch).item_sums())
            if isinstance(found, Tensor) and found.ndim > 0 and len(found) == rows:
                return found.numel() // rows
            break
    raise ObjectiveError("outputs: expected a model that returns a tensor with a row for each item. Give outputs=C.")


def _known(eigenvalues: Spectrum | Tensor) -> tuple[int, float, float]:
    """Return P, what is zero to rounding, and ‖H‖."""
    if isinstance(eigenvalues, Spectrum):
        ends = float(eigenvalues.top.values[0]), float(eigenvalues.bottom.values[0])
        return eigenvalues.size, eigenvalues.zero, max(map(abs, ends))
    if not isinstance(eigenvalues, Tensor) or eigenvalues.ndim != 1 or len(eigenvalues) == 0:
        got = tuple(eigenvalues.shape) if isinstance(eigenvalues, Tensor) else type(eigenvalues).__name__
        raise ArgumentError(
            f"eigenvalues: expected a Spectrum, or all eigenvalues in a tensor of shape (P,), got {got}."
        )
    if not eigenvalues.is_floating_point() or not bool(eigenvalues.isfinite().all()):
        raise ArgumentError("eigenvalues: expected finite real numbers.")
    norm = float(eigenvalues.abs().max())
    return len(eigenvalues), len(eigenvalues) ** 0.5 * float(torch.finfo(eigenvalues.dtype).eps) * norm, norm


def _counted(eigenvalues: Spectrum | Tensor, limit: float) -> Estimate:
    if isinstance(eigenvalues, Tensor):
        return Estimate(float((eigenvalues.abs() <= limit).sum()), 0.0)
    if limit == eigenvalues.zero:
        return eigenvalues.nullity
    density, size = eigenvalues.density, eigenvalues.size
    inside = (density.nodes.abs() <= limit).double()
    value, spread = size * float((density.weights * inside).sum(dim=1).mean()), spread_of(density, size * inside)
    rows = zip(density.nodes[:, density.known :].numpy(), density.weights[:, density.known :].numpy(), strict=True)
    hidden = [size * between(*row, -limit, limit) for row in rows if len(row[0])]
    if spread is None or (spread.variance == 0 and sum(hidden) > 0.5 * len(hidden)):
        return Estimate(value, converged=False)
    return Estimate(value, spread.of_mean(len(density.nodes)), dof=spread.dof)


def _whole(name: str, count: int | None) -> int:
    if count is None:
        raise ArgumentError(f"{name}: expected a number, or a landscape that says it, got neither.")
    require_whole(name, count)
    if count < 1:
        raise ArgumentError(f"{name}: expected at least 1, got {count}.")
    return count


def _check(landscape: Landscape | None, threshold: float | None, tolerance: float) -> None:
    if landscape is not None:
        require_landscape(landscape)
    if threshold is not None and not 0 <= require_real("threshold", threshold, "a finite number of at least 0") < float(
        "inf"
    ):
        raise ArgumentError(f"threshold: expected a finite number of at least 0, got {threshold}.")
    if not 0 < require_real("tolerance", tolerance, "a number strictly between 0 and 1") < 1:
        raise ArgumentError(f"tolerance: expected a number strictly between 0 and 1, got {tolerance}.")
