"""Directions fitted on some parts of the data, and their quotients on the others."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov._eigenpairs import eigenpairs
from thalweg.krylov._operator import require_symmetric, require_whole
from thalweg.measures._data_results import DataErrors
from thalweg.operators import Operator, added, scaled
from thalweg.progress import Progress, track


class Parts:
    """A matrix that is a weighted mean of matrices of parts of the data.

    Args:
        operators: The parts' matrices A_g, of one space.
        weights: W_g > 0, what each counts; ``None`` for the same.

    Raises:
        ArgumentError: If there are fewer than two, one is no operator, or the weights do not fit.
    """

    def __init__(self, operators: Sequence[Operator], weights: Sequence[float] | None) -> None:
        if not isinstance(operators, (list, tuple)) or len(operators) < 2:
            raise ArgumentError(f"parts: expected a list of at least 2 operators, got {_described(operators)}.")
        for operator in operators:
            require_symmetric(operator)
        given = [1.0] * len(operators) if weights is None else [float(weight) for weight in weights]
        if len(given) != len(operators):
            raise ArgumentError(f"weights: expected {len(operators)}, one a part, got {len(given)}.")
        if not all(math.isfinite(weight) and weight > 0 for weight in given):
            raise ArgumentError(f"weights: expected positive finite numbers, got {given}.")
        self.operators = list(operators)
        self.weights = torch.tensor(given, dtype=torch.float64)
        self.space = operators[0].space

    def __len__(self) -> int:
        return len(self.operators)

    def share(self, chosen: Sequence[int]) -> float:
        """What the chosen parts count, of all."""
        return float(self.weights[list(chosen)].sum() / self.weights.sum())

    def mean(self, chosen: Sequence[int]) -> Operator:
        """The matrix on the chosen parts together."""
        total = float(self.weights[list(chosen)].sum())
        return added(*(scaled(self.operators[g], float(self.weights[g]) / total) for g in chosen))

    def quotients(self, chosen: Sequence[int], vectors: Tensor) -> Tensor:
        """vᵀA_g v of each vector (columns) on each chosen part, shape (chosen, k)."""
        # One by one: for blocks, each part would measure anew which engine is the fastest.
        rows = [[self.space.dot(v, self.operators[g] @ v) for v in vectors.mT] for g in chosen]
        return torch.tensor(rows, dtype=torch.float64)

    def spread(self, quotients: Tensor) -> Tensor:
        """Scale what was measured on all parts so that plain means over parts are weighted ones (Cochran, 1977)."""
        relative = (self.weights / self.weights.mean()).unsqueeze(1)
        centre = (relative * quotients).mean(dim=0)
        return centre + relative * (quotients - centre)


def cross_fitted(
    parts: Sequence[Operator],
    k: int = 1,
    *,
    weights: Sequence[float] | None = None,
    folds: int = 5,
    tol: float = 1e-3,
    probes: int = 8,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> DataErrors:
    r"""Compare eigenvalues of a mean of matrices with quotients on parts that had no say in the eigenvectors.

    The statistics of :func:`thalweg.data_errors`, for matrices :math:`\hat A = \sum_g W_g A_g / \sum_g W_g` that are
    given part by part; see there for what is estimated and when it holds.

    Cost: as :func:`thalweg.data_errors`.

    Args:
        parts: The matrices A_g of independent parts of the data, in an order that means nothing; at least ``folds``.
        k: How many leading eigenvalues.
        weights: W_g, by default the same for all.
        folds: In how many folds of parts to cut; each is held out once.
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
        >>> diagonals = 3 + torch.tensor([[0.5, -2.0], [-0.5, -2.0], [0.1, -2.0], [-0.1, -2.0]], dtype=torch.float64)
        >>> parts = [tw.FunctionOperator(lambda v, d=d: d * v, 2, dtype=torch.float64) for d in diagonals]
        >>> found = cross_fitted(parts, folds=2)
        >>> round(float(found.cross_fitted[0]), 6), round(float(found.bias[0]), 6)  # the direction is never in doubt
        (3.0, 0.0)
    """
    whole = Parts(parts, weights)
    _check_arguments(whole, k, folds, tol, probes)
    started = time.perf_counter()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    everything = range(len(whole))
    with track(folds + 1, "data errors", progress) as bar:
        inside = leading(whole, everything, k, tol, source)
        products = inside.products
        bar.advance(note="all data")
        fits, fitted, held = [], [], torch.empty(len(whole), k, dtype=torch.float64)
        for fold in range(folds):
            out = list(everything)[fold::folds]
            others = [g for g in everything if g % folds != fold]
            fit = leading(whole, others, k, tol, source)
            held[out] = whole.quotients(out, fit.vectors)
            products += fit.products + k * whole.share(out)
            fits.append(fit.vectors)
            fitted.append(fit.values)
            bar.advance(note=f"fold {fold + 1}")
        traced = _trace(whole, probes, source)
    spread = whole.spread(held)
    quotients = spread.mean(dim=0)
    seconds = time.perf_counter() - started
    return DataErrors(
        values=inside.values,
        residuals=inside.residuals,
        cross_fitted=quotients,
        fitted=torch.stack(fitted).mean(dim=0),
        bias=inside.values - quotients,
        corrected=(folds * inside.values + (folds - 1) * quotients) / (2 * folds - 1),
        standard_errors=spread.std(dim=0) / math.sqrt(len(whole)),
        overlaps=_overlaps(whole, fits),
        dof=len(whole) - 1,
        trace=traced,
        samples=None,
        parts=len(whole),
        folds=folds,
        cost=Cost(matvecs=round(products) + probes, seconds=seconds),
        provenance=parts[0].provenance,
    )


@dataclass(frozen=True)
class Fit:
    """Leading eigenpairs of the matrix on some parts: values and residuals (k,), vectors (P, k).

    ``products`` counts one with all parts as one.
    """

    values: Tensor
    residuals: Tensor
    vectors: Tensor
    products: float


def leading(parts: Parts, chosen: Sequence[int], k: int, tol: float, generator: torch.Generator) -> Fit:
    """Return the leading eigenpairs of the matrix on the chosen parts together."""
    found = eigenpairs(parts.mean(chosen), k, tol=tol, generator=generator)
    vectors = torch.empty(0) if found.vectors is None else found.vectors
    return Fit(found.values, found.residuals, vectors, found.matvecs * parts.share(chosen))


def _overlaps(parts: Parts, fits: list[Tensor]) -> Tensor:
    pairs = [parts.space.gram(one, other).diagonal().double().cpu().square() for one, other in combinations(fits, 2)]
    return torch.stack(pairs).mean(dim=0)


def _trace(parts: Parts, probes: int, generator: torch.Generator) -> Estimate:
    r"""The trace by the same random signs on all parts, with both errors by a two-way analysis of variance.

    :math:`z^\top A_g z` varies with the part, with the probe, and with both. The mean's variance is
    :math:`(S_g + S_z - S_e)/(Gm)` of the mean squares over G parts, m probes and their interaction (Searle, Casella &
    McCulloch, 1992, ch. 4): the probes' share is :math:`S_z/(Gm)`, the data's the rest.
    """
    block = parts.space.rademacher(generator, probes)
    table = parts.spread(parts.quotients(range(len(parts)), block))
    count, mean = len(parts), float(table.mean())
    of_parts, of_probes = table.mean(dim=1) - mean, table.mean(dim=0) - mean
    rest = table - mean - of_parts.unsqueeze(1) - of_probes
    between_parts = probes * float(of_parts.square().sum()) / (count - 1)
    between_probes = count * float(of_probes.square().sum()) / (probes - 1)
    interaction = float(rest.square().sum()) / ((count - 1) * (probes - 1))
    cells = count * probes
    return Estimate(
        mean,
        standard_error=math.sqrt(between_probes / cells),
        dof=probes - 1,
        data_error=math.sqrt(max(between_parts - interaction, 0.0) / cells),
        cost=Cost(matvecs=probes),
    )


def _described(operators: object) -> str:
    if isinstance(operators, (list, tuple)):
        return f"{len(operators)}"
    return type(operators).__name__


def _check_arguments(parts: Parts, k: int, folds: int, tol: float, probes: int) -> None:
    least = {"k": (k, 1), "folds": (folds, 2), "probes": (probes, 2)}
    for name, (count, smallest) in least.items():
        require_whole(name, count)
        if count < smallest:
            raise ArgumentError(f"{name}: expected at least {smallest}, got {count}.")
    if k > parts.space.size:
        raise ArgumentError(f"k: expected between 1 and the number of parameters {parts.space.size}, got {k}.")
    if folds > len(parts):
        raise ArgumentError(f"folds: expected at most the {len(parts)} parts, got {folds}.")
    if not (math.isfinite(tol) and tol > 0):
        raise ArgumentError(f"tol: expected a positive number, got {tol}.")
