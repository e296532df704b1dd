"""The diagonal of a matrix that is known by its products."""

import math
import time
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Provenance
from thalweg.krylov._leave_one_out import directions, sketched
from thalweg.krylov._operator import SymmetricOperator, require_symmetric, require_whole
from thalweg.krylov._widened import widened
from thalweg.progress import Progress, track
from thalweg.record import Record

_BLOCK = 8


@dataclass(frozen=True)
class Diagonal(Record):
    """Estimates of the entries of a diagonal.

    Attributes:
        values: Shape (P,), in units of the operator's entries.
        standard_error: Of each, shape (P,).
        dof: Degrees of freedom behind them.
        cost: What it took.
        provenance: How it was computed.
    """

    values: Tensor
    standard_error: Tensor
    dof: int
    cost: Cost
    provenance: Provenance | None = None

    def __str__(self) -> str:
        error = float(self.standard_error.double().square().mean().sqrt())
        return f"diagonal of {len(self.values)} entries, mean {float(self.values.mean()):.4g}, each ± {error:.2g}"


def diagonal(
    operator: SymmetricOperator,
    *,
    probes: int = 32,
    method: Literal["hutchinson", "xdiag"] = "hutchinson",
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Diagonal:
    r"""Estimate the diagonal of A, entry by entry and without bias.

    "hutchinson": the mean of :math:`z \circ A z` over random signs z (Bekas, Kokiopoulou & Saad, 2007); the variance of
    entry i is :math:`\sum_{j \ne i} a_{ij}^2` a probe. "xdiag": the mean over test vectors ω_i, random signs too, of

    .. math:: \operatorname{diag}(Q_{(i)} Q_{(i)}^\top A) + \omega_i \circ (I - Q_{(i)} Q_{(i)}^\top) A\,\omega_i

    with a basis Q₍ᵢ₎ of what A makes of all others (Epperly, Tropp & Webber, 2024): far more accurate where eigenvalues
    decay. Its terms share their sketches; as for the trace, the standard error is √2 times that of independent ones.

    Cost: ``probes`` products; "hutchinson" holds 3 vectors and blocks of 8, "xdiag" 2·``probes`` vectors.

    Args:
        operator: The matrix A, (P, P).
        probes: Products, at least 2, and 6 for "xdiag", which makes half as many test vectors of them.
        method: "hutchinson" or "xdiag".
        generator: Of the probes; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report to.

    Raises:
        ArgumentError: If an argument has a wrong value.
        NonFiniteError: If a product is not finite.

    Example:
        >>> entries = torch.tensor([3.0, 1.0, 2.0])
        >>> op = tw.FunctionOperator(lambda v: entries * v, 3)
        >>> diagonal(op, probes=2).values  # signs are exact on a diagonal matrix
        tensor([3., 1., 2.])
    """
    require_symmetric(operator)
    operator = widened(operator)
    require_whole("probes", probes)
    if method not in ("hutchinson", "xdiag"):
        raise ArgumentError(f"method: expected 'hutchinson' or 'xdiag', got {method!r}.")
    if probes < (6 if method == "xdiag" else 2):
        least = 6 if method == "xdiag" else 2
        raise ArgumentError(f"probes: expected at least {least} with method={method!r}, got {probes}.")
    started = time.perf_counter()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    with track(probes, "diagonal", progress) as bar:
        if method == "hutchinson":
            values, error, dof, made = _hutchinson(operator, probes, source, bar)
        else:
            values, error, dof, made = _xdiag(operator, probes, source, bar)
    cost = Cost(matvecs=made, seconds=time.perf_counter() - started)
    return Diagonal(values, error, dof, cost, operator.provenance)


_Found = tuple[Tensor, Tensor, int, int]


def _hutchinson(operator: SymmetricOperator, probes: int, generator: torch.Generator, bar: Progress) -> _Found:
    space = operator.space
    mean = torch.zeros(space.local_size, dtype=space.dtype, device=space.device)
    squares, count = torch.zeros_like(mean), 0
    while count < probes:
        block = space.rademacher(generator, min(_BLOCK, probes - count))
        image = operator @ block
        bar.advance(block.shape[1])
        for z, w in zip(block.mT, image.mT, strict=True):
            # Welford (1962): the mean and the sum of squares around it, in one pass.
            count += 1
            gap = z * w - mean
            mean += gap / count
            squares += gap * (z * w - mean)
    return mean, (squares / (probes - 1) / probes).sqrt(), probes - 1, probes


def _xdiag(operator: SymmetricOperator, products: int, generator: torch.Generator, bar: Progress) -> _Found:
    space = operator.space
    count = min(products // 2, space.size)
    if count == space.size:
        image = operator @ torch.eye(count, dtype=space.dtype, device=space.device)
        exact = image.diagonal().clone()
        return exact, torch.zeros_like(exact), max(count - 1, 1), count
    sketch = sketched(operator, space.rademacher(generator, count), generator, bar)
    s = directions(sketch.triangle)
    weights = (s * sketch.triangle).sum(dim=0).to(sketch.basis)
    whole = (sketch.basis * sketch.image).sum(dim=1)
    total, squares = torch.zeros_like(whole), torch.zeros_like(whole)
    turned = s.to(sketch.basis)
    for i in range(count):
        # Without test vector i the basis lacks Q s, and of A ω_i it leaves Q s sᵀ R e_i.
        lost = sketch.basis @ turned[:, i]
        term = sketch.omega[:, i] * lost * weights[i] - lost * (sketch.image @ turned[:, i])
        gap = term - total
        total += gap / (i + 1)
        squares += gap * (term - total)
    error = math.sqrt(2 / count) * (squares / (count - 1)).sqrt()
    return whole + total, error, count - 1, 2 * count
