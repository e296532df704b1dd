"""How many samples are enough: the laws by which the data's errors fall."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.measures._cross_fitted import Parts, cross_fitted, leading
from thalweg.measures._data_errors import Matrix, parted
from thalweg.measures._data_results import DataErrors, SubsetSize
from thalweg.measures._error_laws import Gaps, Goal, maximum_law, mean_law
from thalweg.operators import Operator, hessian
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track

Quantity = Literal["eigenvalue", "trace", "both"]

_CUTS = (2, 4)
_SEEN = 4


def subset_size(
    landscape: Landscape,
    rtol: float,
    *,
    quantity: Quantity = "both",
    matrix: Matrix = hessian,
    available: int | None = None,
    folds: int = 5,
    parts: int = 20,
    tol: float = 1e-3,
    probes: int = 32,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> SubsetSize:
    r"""Advise how many samples bring λ₁, the trace, or both within a relative error of all the data.

    The error meant is the root mean square of (value on n samples − value on all data), relative to the latter. For λ₁
    it is :math:`\sqrt{b^2 (N/n)^{2\alpha} + s^2 N/n}`, with the N samples at hand: s is the standard error of
    :func:`thalweg.data_errors`, and b the upward bias of the in-sample maximum. The gap between in-sample and held-out
    quotients is measured by fits on (K − 1)/K, a half and a quarter of the samples, and :math:`g \propto n^{-\alpha}`
    fitted to it; then :math:`b = g(N) / (2\alpha)` (for matrices with Gaussian noise by Stein's identity, which
    gives :math:`\hat\lambda_1 - \lambda_1 = \int_0^{1/N} g / (2s)\, ds`). α is 1 where the gap to the next
    eigenvalue is wide and ½ where there is nothing but noise; the fitted exponent is kept between these. How well the
    three gaps obey the law is the law's ``misfit``. For the trace, a mean, there is s alone.

    ``size_interval`` of each law covers what one sample of data leaves open in b, s, α and the value, not a wrong law:
    that has been seen from N/4 to N, and advice below N/4 or beyond 4N is marked ``extrapolated``. It takes gaps to be
    as uncertain as s, which is too much where the data fix the direction well. s itself comes from ``parts`` parts:
    with 20 of them it is uncertain by a sixth, and a size that it decides by a third.

    Cost: that of :func:`thalweg.data_errors` and of two to three more fits on all data.

    Args:
        landscape: In eval mode, its batches free to be cut.
        rtol: The relative error asked for.
        quantity: "eigenvalue", "trace" or "both" (the larger of the two sizes).
        matrix: Makes the operator on a landscape.
        available: How many samples there are, to say whether the advice can be followed; nothing is cut to it.
        folds: K, at least 2.
        parts: Random parts of the data, whole folds of them, at least 8.
        tol: Residual at which an eigenpair counts as converged, relative to ‖A‖.
        probes: For the trace, at least 2.
        generator: Of all draws; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every fit to.

    Raises:
        ArgumentError: As :func:`thalweg.data_errors`, and if ``rtol`` is not positive.
        DataError: If batches cannot be cut, or a part has no weight.
        MemoryBudgetError: If a basis would not fit.
        NonFiniteError: If a product is not finite.

    Warns:
        ConvergenceWarning: If eigenpairs have not converged.

    Example:
        >>> import thalweg as tw
        >>> inputs = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
        >>> model = torch.nn.Linear(3, 1, bias=False)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(inputs, torch.zeros(400, 1))])
        >>> advice = subset_size(landscape, 0.01, quantity="trace")  # a sum of three squares: s² = 6/N, so 6666 samples
        >>> 2000 < advice.size < 20_000, advice.enough
        (True, False)
    """
    require_landscape(landscape)
    _check_arguments(rtol, quantity, available, parts)
    started = time.perf_counter()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    operators, weights = parted(landscape, matrix, folds, parts, source)
    found = size_advice(
        operators,
        rtol,
        landscape.count,
        weights=weights,
        quantity=quantity,
        available=available,
        folds=folds,
        tol=tol,
        probes=probes,
        generator=source,
        progress=progress,
    )
    cost = Cost(matvecs=found.cost.matvecs + 2, losses=1, seconds=time.perf_counter() - started)
    provenance = landscape.provenance(getattr(operators[0].provenance, "engine", None))
    return replace(found, cost=cost, provenance=provenance)


def size_advice(
    parts: Sequence[Operator],
    rtol: float,
    samples: int,
    *,
    weights: Sequence[float] | None = None,
    quantity: Quantity = "both",
    available: int | None = None,
    folds: int = 5,
    tol: float = 1e-3,
    probes: int = 32,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> SubsetSize:
    """Advise as :func:`thalweg.subset_size`, from matrices that are given part by part.

    Cost: as :func:`thalweg.subset_size`.

    Args:
        parts: The matrices of independent parts of the data, in an order that means nothing; at least 8.
        rtol: The relative error asked for.
        samples: N, the data items behind all parts.
        weights: What each part counts, by default the same.
        quantity: "eigenvalue", "trace" or "both".
        available: How many samples there are.
        folds: In how many folds of parts to cut.
        tol: Residual at which an eigenpair counts as converged, relative to ‖A‖.
        probes: For the trace, at least 2.
        generator: Of all draws; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every fit to.

    Raises:
        ArgumentError: If an argument has a wrong value, or an operator is not symmetric.
        MemoryBudgetError: If a basis would not fit.
        NonFiniteError: If a product is not finite.

    Warns:
        ConvergenceWarning: If eigenpairs have not converged.

    Example:
        >>> import thalweg as tw
        >>> parts = [tw.FunctionOperator(lambda v, c=c: c * v, 2) for c in (0.8, 1.2, 0.9, 1.1) * 2]
        >>> advice = size_advice(parts, 0.01, 80, folds=2)  # s² = 0.2/(8·7) for a value of 1
        >>> advice.size
        2858
    """
    _check_arguments(rtol, quantity, available, len(parts))
    require_whole("samples", samples)
    whole = Parts(parts, weights)
    if samples < len(whole):
        raise ArgumentError(f"samples: expected at least one a part, {len(whole)}, got {samples}.")
    started = time.perf_counter()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    found = cross_fitted(
        parts, weights=weights, folds=folds, tol=tol, probes=probes, generator=source, progress=progress
    )
    goal = Goal(float(rtol), samples, found.dof)
    top = traced = None
    products = found.cost.matvecs
    if quantity != "trace":
        gaps, more = _gaps(whole, found, tol, source, progress)
        top = maximum_law(float(found.corrected[0]), float(found.standard_errors[0]), gaps, goal)
        products += more
    if quantity != "eigenvalue":
        traced = mean_law(found.trace.value, found.trace.data_error or 0.0, goal)
    asked = [law.size for law in (top, traced) if law is not None]
    known = [size for size in asked if size is not None]
    size = max(known) if len(known) == len(asked) else None
    return SubsetSize(
        size=size,
        rtol=float(rtol),
        samples=samples,
        enough=None if size is None else size <= samples,
        extrapolated=size is None or not samples <= _SEEN * size <= _SEEN**2 * samples,
        available=available,
        reachable=None if size is None or available is None else size <= available,
        eigenvalue=top,
        trace=traced,
        cost=Cost(matvecs=products, seconds=time.perf_counter() - started),
        provenance=found.provenance,
    )


def _gaps(
    parts: Parts, found: DataErrors, tol: float, generator: torch.Generator, progress: bool | Progress
) -> tuple[Gaps, int]:
    """Return the mean gaps of fits on shares of the data, and the products that the smaller shares took."""
    shares, gaps = [(found.folds - 1) / found.folds], [float(found.fitted[0] - found.cross_fitted[0])]
    products = 0.0
    with track(sum(_CUTS), "bias on smaller samples", progress) as bar:
        for cut in _CUTS:
            each = []
            for piece in range(cut):
                inside = [g for g in range(len(parts)) if g % cut == piece]
                outside = [g for g in range(len(parts)) if g % cut != piece]
                fit = leading(parts, inside, 1, tol, generator)
                weights = parts.weights[outside] / parts.weights[outside].sum()
                held = float(weights @ parts.quotients(outside, fit.vectors)[:, 0])
                each.append(float(fit.values[0]) - held)
                products += fit.products + parts.share(outside)
                bar.advance(note=f"1/{cut} of the data")
            shares.append(1 / cut)
            gaps.append(math.fsum(each) / cut)
    return Gaps(shares, gaps, float(found.standard_errors[0])), round(products)


def _check_arguments(rtol: float, quantity: str, available: int | None, parts: int) -> None:
    if not (math.isfinite(rtol) and rtol > 0):
        raise ArgumentError(f"rtol: expected a positive finite number, got {rtol}.")
    if quantity not in ("eigenvalue", "trace", "both"):
        raise ArgumentError(f"quantity: expected 'eigenvalue', 'trace' or 'both', got {quantity!r}.")
    if available is not None:
        require_whole("available", available)
    if parts < 2 * max(_CUTS):
        raise ArgumentError(f"parts: expected at least {2 * max(_CUTS)} for fits on a quarter of them, got {parts}.")
