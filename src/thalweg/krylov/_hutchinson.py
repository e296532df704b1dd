"""The trace by random probes, with an interval that keeps its promise."""

import functools
import math
import time
from dataclasses import replace
from typing import Literal

import torch

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov._deflation import Known, without
from thalweg.krylov._hutch_plus_plus import hutch_plus_plus
from thalweg.krylov._lockstep import together
from thalweg.krylov._operator import SymmetricOperator, require_symmetric, require_whole
from thalweg.krylov._probes import Distribution, draw_probes
from thalweg.krylov._results import Eigenpairs
from thalweg.krylov._spread import Forms
from thalweg.krylov._stein import to_accuracy
from thalweg.krylov._widened import widened
from thalweg.krylov._xtrace import xtrace
from thalweg.progress import Progress, track

Method = Literal["hutchinson", "hutch++", "xtrace"]


def trace(
    operator: SymmetricOperator,
    *,
    rtol: float | None = 0.05,
    probes: int | None = None,
    method: Method = "hutchinson",
    known: Eigenpairs | None = None,
    pilot: int = 10,
    max_probes: int = 500,
    level: float = 0.95,
    distribution: Distribution = "rademacher",
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Estimate:
    r"""Estimate tr A by Hutchinson's method, :math:`\frac1m \sum_i z_i^\top A z_i` with E zzᵀ = I.

    Unbiased. The variance of one probe is :math:`2(\lVert A\rVert_F^2 - \sum_i a_{ii}^2)` for random signs and
    :math:`2\lVert A\rVert_F^2` for normal probes, so signs are never worse (Hutchinson, 1990).

    With ``probes`` that many are drawn. Otherwise their number is decided in two stages (Stein, 1945): the
    spread s of a pilot fixes it to :math:`m = \lceil (t\,s / d)^2 \rceil` for the half-width d = ``rtol``·|pilot
    mean|, with Student's t of the pilot's degrees of freedom, and the interval uses the pilot's s, or that of all
    probes where it is larger. For normally distributed probes it covers with at least its level, which a rule that
    watches the running mean does not: that one stops whenever two means happen to agree.

    The spread is not that of the sample: Az says more than zᵀAz. It is 2·mean ‖Az‖² for normal probes and twice the
    sum of the variances of the entries of z∘Az for signs, the formulas above without bias. Where one eigenvalue
    dominates the trace and probes are skewed (χ² with one degree of freedom at worst), 95 % intervals of 8 probes
    cover in 93 to 98 % of runs by it, and in 85 % by the sample.

    Eigenpairs that are known count exactly and leave the probes only the rest: tr A = Σλ_i + tr (I − UUᵀ)A(I − UUᵀ),
    whose spread is far smaller where a few eigenvalues dominate. The other methods find such directions themselves,
    from a fixed number of products: "hutch++" (Meyer et al., 2021) spends a third of them on a sketch of the range, a
    third on its image and a third on probes of the rest; "xtrace" (Epperly, Tropp & Webber, 2024) uses every test
    vector for both, with about half of that error.

    Cost: one product a probe; blocks of 8, and one more vector for signs.

    Args:
        operator: The matrix A, (P, P).
        rtol: Half-width of the interval to reach, relative to |tr A|. Ignored where ``probes`` is given.
        probes: A fixed number of probes, at least 2; for the other methods the products in all, at least 6.
        method: "hutchinson", "hutch++" or "xtrace"; the latter two take ``probes`` and no ``known``.
        known: Eigenpairs with their vectors, of which the converged count.
        pilot: Probes of the first stage, at least 3.
        max_probes: The most probes; if the rule asks for more the result says ``converged=False``.
        level: Confidence of the interval that ``rtol`` is about.
        distribution: "rademacher" or "gaussian".
        generator: Of the probes; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every block of probes to.

    Returns:
        The estimate with its standard error, whose ``dof`` are those of the spread that it comes from.

    Raises:
        ArgumentError: If an argument has a wrong value.
        NonFiniteError: If a product is not finite.

    Example:
        >>> diagonal = torch.arange(4.0)
        >>> print(trace(tw.FunctionOperator(lambda v: diagonal * v, 4)))  # signs are exact on a diagonal matrix
        6
    """
    require_symmetric(operator)
    _check_arguments(rtol, probes, pilot, max_probes, level)
    _check_method(method, probes, known, distribution)
    operator = widened(operator)
    started = time.perf_counter()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    if method != "hutchinson" and probes is not None:
        return _sketched(operator, method, probes, distribution, source, progress)
    basis = Known.of(operator, known)
    forms = Forms(operator.space, distribution, operator.space.size - basis.count)
    with track(probes, "trace", progress) as bar:
        draw = functools.partial(extend, operator, basis, forms, distribution=distribution, generator=source, bar=bar)
        draw(pilot if probes is None else probes)
        exact = float(basis.values.sum())
        if probes is None and rtol is not None:
            found = to_accuracy(forms, draw, exact, rtol, level, max_probes)
        else:
            found = forms.estimate(exact)
    cost = Cost(matvecs=len(forms.values), seconds=time.perf_counter() - started)
    return replace(found, cost=cost, provenance=operator.provenance)


def extend(
    operator: SymmetricOperator,
    basis: Known,
    forms: Forms,
    target: int,
    *,
    distribution: Distribution | None,
    generator: torch.Generator,
    bar: Progress,
    until: float = math.inf,
) -> None:
    """Add probes until there are ``target`` or the time is over, in blocks that share their passes over the data.

    Where no distribution is named, they lie on the sphere of radius √(P − k) in the complement of the basis.
    """
    space = operator.space
    while len(forms.values) < target and time.perf_counter() < until:
        count = min(together(operator), target - len(forms.values))
        drawn = draw_probes(space, count, distribution or "gaussian", generator)
        block = without(space, basis, drawn)
        # Known vectors are inexact, and what they let through is no part of the forms.
        image = without(space, basis, operator @ block)
        for each in zip(drawn.mT, block.mT, image.mT, strict=True):
            forms.add(*each)
        bar.advance(count)


def _sketched(
    operator: SymmetricOperator,
    method: Method,
    products: int,
    distribution: Distribution,
    generator: torch.Generator,
    progress: bool | Progress,
) -> Estimate:
    """The methods that find a part of the range themselves."""
    started = time.perf_counter()
    with track(products, "trace", progress) as bar:
        if method == "xtrace":
            found, made = xtrace(operator, products, generator, bar)
        else:
            found, made = hutch_plus_plus(operator, products, distribution, generator, bar)
    cost = Cost(matvecs=made, seconds=time.perf_counter() - started)
    return replace(found, cost=cost, provenance=operator.provenance)


def _check_method(method: str, probes: int | None, known: object, distribution: str) -> None:
    if method not in ("hutchinson", "hutch++", "xtrace"):
        raise ArgumentError(f"method: expected 'hutchinson', 'hutch++' or 'xtrace', got {method!r}.")
    if method == "hutchinson":
        return
    if probes is None or probes < 6:
        raise ArgumentError(f"probes: expected at least 6 products with method={method!r}, got {probes}.")
    if known is not None:
        raise ArgumentError(f"known: expected None with method={method!r}, which finds the range itself.")
    if method == "xtrace" and distribution != "rademacher":
        raise ArgumentError(
            "distribution: expected the default with method='xtrace', whose test vectors lie on a sphere."
        )


def _check_arguments(rtol: float | None, count: int | None, pilot: int, max_probes: int, level: float) -> None:
    for name, number in {"probes": 2 if count is None else count, "pilot": pilot, "max_probes": max_probes}.items():
        require_whole(name, number)
    if count is not None and count < 2:
        raise ArgumentError(f"probes: expected at least 2, since one probe has no spread, got {count}.")
    if count is None and (rtol is None or not rtol > 0):
        raise ArgumentError(f"rtol: expected a positive number, or probes=, got {rtol}.")
    if pilot < 3:
        raise ArgumentError(f"pilot: expected at least 3, got {pilot}.")
    if max_probes < pilot and count is None:
        raise ArgumentError(f"max_probes: expected at least pilot = {pilot}, got {max_probes}.")
    if not 0 < level < 1:
        raise ArgumentError(f"level: expected a number strictly between 0 and 1, got {level}.")
