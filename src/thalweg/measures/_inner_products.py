"""Traces of products of matrices, all from the same random vectors."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Estimate
from thalweg.krylov._operator import SymmetricOperator, require_whole
from thalweg.krylov._widened import widened
from thalweg.operators import Operator
from thalweg.operators._composite import require_operator
from thalweg.progress import Progress
from thalweg.vectors import VectorSpace

_BLOCK = 8

Ratio = Callable[[Tensor, Tensor], float | None]


@dataclass(frozen=True)
class InnerProducts:
    """What is known of tr A_iA_j and of tr A_i: a part that is exact, and one that random probes see.

    Attributes:
        products: Exact part of tr A_iA_j, shape (m, m).
        traces: Exact part of tr A_i, shape (m,).
        drawn_products: zᵀA_iA_jz of each probe, shape (n, m, m); n = 0 where nothing is left for probes.
        drawn_traces: zᵀA_iz of each probe, shape (n, m).
        made: Products with each matrix.
        eps: Unit roundoff of the vectors.
    """

    products: Tensor
    traces: Tensor
    drawn_products: Tensor
    drawn_traces: Tensor
    made: int
    eps: float = 0.0

    def estimate(self, function: Ratio) -> Estimate | None:
        """Return a function of tr A_iA_j, (m, m), and tr A_i, (m,), with its error by the jackknife over probes.

        ``None`` where the function has no value; without an error where it has none for some probes left out.
        """
        count = len(self.drawn_traces)
        if not count:
            value = function(self.products, self.traces)
            return None if value is None else Estimate(value, standard_error=0.0)
        products, traces = self.drawn_products.sum(dim=0), self.drawn_traces.sum(dim=0)
        value = function(self.products + products / count, self.traces + traces / count)
        if value is None:
            return None
        left = [
            function(self.products + (products - p) / (count - 1), self.traces + (traces - t) / (count - 1))
            for p, t in zip(self.drawn_products, self.drawn_traces, strict=True)
        ]
        known = torch.tensor([each for each in left if each is not None], dtype=torch.float64)
        if len(known) < count:
            return Estimate(value)
        error = math.sqrt((count - 1) * float(known.var(correction=0)))
        if error <= self.eps**0.75 * abs(value):
            # Probes that agree to rounding are exact.
            return Estimate(value, standard_error=0.0)
        return Estimate(value, error, count - 1)


def inner_products(
    matrices: Sequence[Operator], given: Tensor | None, products: int, generator: torch.Generator | None, bar: Progress
) -> InnerProducts:
    r"""Estimate tr A_iA_j and tr A_i for all i and j from ``products`` products with each matrix.

    With orthonormal columns Q, :math:`\operatorname{tr} AB = \operatorname{tr} Q^\top AB\,Q + \operatorname{E}
    (Az)^\top (Bz)` for z drawn in the complement of Q, with identity covariance there: the first part is exact, and
    the variance of the second is what the rest of the matrices leaves (Meyer et al., 2021). Q holds the given columns
    and a sketch of every matrix's range. All columns of the identity are taken where that is no more work.

    Args:
        matrices: Symmetric ones of one space.
        given: Columns for Q, shape (P, k), of single precision at least.
        products: With each matrix.
        generator: Of sketch and probes; ``None`` is a fresh one of seed 0.
        bar: Told of every product.

    Raises:
        ArgumentError: If the products do not suffice for two probes.
    """
    operators = [widened(matrix) for matrix in matrices]
    space, size, many = operators[0].space, operators[0].space.size, len(operators)
    source = torch.Generator().manual_seed(0) if generator is None else generator
    if size <= products:
        exact = [_forms(operators, _identity(space, start, size), bar) for start in range(0, size, _BLOCK)]
        whole = torch.cat([p for p, _ in exact]).sum(dim=0), torch.cat([t for _, t in exact]).sum(dim=0)
        return InnerProducts(*whole, torch.empty(0, many, many), torch.empty(0, many), size)
    columns = 0 if given is None else given.shape[1]
    sketched = max(0, products - columns) // (2 * (many + 1))
    probes = products - columns - sketched * (many + 1)
    if probes < 2:
        raise ArgumentError(
            f"products: expected at least {columns + 2}, two more than the directions given, got {products}."
        )
    parts = [] if given is None else [given]
    for start in range(0, sketched, _BLOCK):
        drawn = space.randn(source, min(_BLOCK, sketched - start))
        parts += [operator @ drawn for operator in operators]
        bar.advance(drawn.shape[1])
    basis = torch.linalg.qr(torch.cat(parts, dim=1)).Q if parts else space.zeros(0)
    # Fewer than P columns, since P exceeds the products.
    inside = [_forms(operators, part, bar) for part in basis.mT.split(_BLOCK) if len(part)]
    outside = list[tuple[Tensor, Tensor]]()
    for start in range(0, probes, _BLOCK):
        drawn = space.randn(source, min(_BLOCK, probes - start))
        outside.append(_forms(operators, space.without(basis, drawn).mT, bar))
    return InnerProducts(
        torch.cat([p for p, _ in inside]).sum(dim=0) if inside else torch.zeros(many, many, dtype=torch.float64),
        torch.cat([t for _, t in inside]).sum(dim=0) if inside else torch.zeros(many, dtype=torch.float64),
        torch.cat([p for p, _ in outside]),
        torch.cat([t for _, t in outside]),
        products,
        float(torch.finfo(space.dtype).eps),
    )


def require_comparable(operators: dict[str, Operator], products: int) -> None:
    """Refuse what cannot be compared.

    Raises:
        ArgumentError: If one is no operator, they act on different spaces, or ``products`` is no whole number from 4.
    """
    for name, operator in operators.items():
        require_operator(operator, name)
    (first, one), *others = operators.items()
    for name, other in others:
        if other.space != one.space:
            raise ArgumentError(
                f"{name}: expected an operator on the space of {first}, {one.space.size} entries of {one.space.dtype} "
                f"on {one.space.device}, got {other.space.size} entries of {other.space.dtype} on {other.space.device}."
            )
    require_whole("products", products)
    if products < 4:
        raise ArgumentError(f"products: expected at least 4, got {products}.")


def _forms(operators: Sequence[SymmetricOperator], rows: Tensor, bar: Progress) -> tuple[Tensor, Tensor]:
    """Return zᵀA_iA_jz and zᵀA_iz of every row z, shapes (n, m, m) and (n, m)."""
    space = operators[0].space
    block = rows.contiguous().mT
    images = [operator @ block for operator in operators]
    products = torch.empty(len(rows), len(images), len(images), dtype=torch.float64)
    traces = torch.empty(len(rows), len(images), dtype=torch.float64)
    for n in range(len(rows)):
        for i, left in enumerate(images):
            traces[n, i] = space.dot(block[:, n], left[:, n])
            for j in range(i + 1):
                products[n, i, j] = products[n, j, i] = space.dot(left[:, n], images[j][:, n])
    bar.advance(len(rows))
    return products, traces


def _identity(space: VectorSpace, start: int, size: int) -> Tensor:
    count = min(_BLOCK, size - start)
    columns = space.zeros(count)
    columns[torch.arange(start, start + count), torch.arange(count)] = 1
    return columns.mT
