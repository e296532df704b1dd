"""The eigenvalues of a matrix: some known, the rest seen by random probes."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Estimate
from thalweg.krylov._deflation import Known, without
from thalweg.krylov._gauss import Gauss, gauss
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._probes import Distribution, draw_probes
from thalweg.progress import Progress

# A quadrature that a quarter of its steps would change by more than this share of the standard error has not settled.
_SETTLED = 0.5
Function = Callable[[Tensor], Tensor]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Probed:
    """One probe z: nodes and weights of its spectral measure by all steps and by three quarters, and ‖z‖²."""

    rule: tuple[Array, Array]
    coarse: tuple[Array, Array]
    mass: float
    products: int

    @classmethod
    def of(cls, rule: Gauss, mass: float) -> "Probed":
        """Take the quadrature of one run."""
        count, fine = len(rule.matrix), rule.rule()
        # An invariant subspace has no error of steps.
        exact = rule.ended or count < 2
        return cls(fine, fine if exact else rule.rule(count - max(1, count // 4)), mass, count)


@dataclass(frozen=True)
class SpectralMeasure:
    r"""Estimates of sums over all eigenvalues.

    .. math:: \sum_i f(\lambda_i) \approx \sum_{i \le k} f(\lambda_i)
              + \frac1n \sum_z \lVert z\rVert^2 \sum_j \tau_j^2(z)\, f(\theta_j(z))

    with k eigenvalues that are known and probes z in the complement of their vectors.

    Attributes:
        size: P.
        known: The known eigenvalues, (k,).
        probes: The probes; empty where all eigenvalues are known.
    """

    size: int
    known: Array
    probes: tuple[Probed, ...]

    @property
    def products(self) -> int:
        """What the probes took."""
        return sum(probe.products for probe in self.probes)

    def total(self, f: Function) -> Estimate:
        """Estimate Σ f(λ); it has ``converged`` if a quarter of the steps changes little beside the probes' error."""
        return self.combined([f], lambda sums: sums[0])

    def samples(self, f: Function) -> list[float]:
        """Return zᵀ f(A) z of every probe."""
        return [_integral(probe.rule, probe.mass, f) for probe in self.probes]

    def combined(self, functions: Sequence[Function], g: Callable[[Array], float]) -> Estimate:
        """Estimate g(Σ f₁(λ), Σ f₂(λ), …) for a smooth g, with the jackknife's standard error for more than one sum.

        Raises:
            ArgumentError: If a function does not return one finite number an eigenvalue.
        """
        exact = np.array([math.fsum(evaluated(f, self.known).tolist()) for f in functions])
        if not self.probes:
            return Estimate(float(g(exact)), 0.0, converged=True)
        fine = np.array([[_integral(probe.rule, probe.mass, f) for f in functions] for probe in self.probes])
        coarse = np.array([[_integral(probe.coarse, probe.mass, f) for f in functions] for probe in self.probes])
        count = len(fine)
        value = float(g(exact + fine.mean(axis=0)))
        # A single sum may cancel; its parts say what rounding is.
        size = abs(value) if len(functions) > 1 else float(np.abs(exact).max() + np.abs(fine).max())
        error = None
        if count > 1:
            others = [g(exact + (fine.sum(axis=0) - row) / (count - 1)) for row in fine]
            centre = math.fsum(others) / count
            error = math.sqrt((count - 1) / count * math.fsum((other - centre) ** 2 for other in others))
            # Probes that agree to rounding are exact.
            error = error if error > 1e-14 * size else 0.0
        shift = abs(value - g(exact + coarse.mean(axis=0)))
        limit = max(_SETTLED * (error or 0.0), 1e-10 * size)
        return Estimate(value, error, count - 1 if count > 1 else None, converged=bool(shift <= limit))

    def nodes(self) -> tuple[Array, Array]:
        """Return nodes and weights, (probes, m) each; rows sum to 1, and a known eigenvalue weighs 1/P."""
        shares = np.full(len(self.known), 1 / self.size)
        rest = 1 - len(self.known) / self.size
        if not self.probes:
            return self.known[None, :], shares[None, :]
        rules = [probe.rule for probe in self.probes]
        width = max(len(values) for values, _ in rules)
        # Padding repeats a node without weight.
        rows = [np.concatenate([self.known, values, np.full(width - len(values), values[-1])]) for values, _ in rules]
        weights = [np.concatenate([shares, rest * part, np.zeros(width - len(part))]) for _, part in rules]
        return np.stack(rows), np.stack(weights)


def measured(
    operator: SymmetricOperator,
    known: Known,
    probes: int,
    steps: int,
    distribution: Distribution | None,
    generator: torch.Generator,
    bar: Progress,
    until: float = math.inf,
) -> SpectralMeasure:
    """Probe what is not known yet, by probes on a sphere in the complement where no distribution is named.

    On the sphere all probes have the mass P − k, which leaves out the fluctuation of their lengths; the direction of a
    normal vector in the complement is uniform and independent of its length, so that this is without bias, too.

    Cost: probes × steps products, fewer where the time ``until`` comes before, steps × P numbers of memory.
    """
    space, found = operator.space, list[Probed]()
    for index in range(probes if known.count < space.size else 0):
        # What is left of the time is shared.
        now = time.perf_counter()
        share = now + (until - now) / (probes - index)
        start = without(space, known, draw_probes(space, 1, distribution or "gaussian", generator))[:, 0]
        mass = float(space.size - known.count) if distribution is None else space.norm(start) ** 2
        found.append(Probed.of(gauss(operator, start, min(steps, space.size), bar, share), mass))
    return SpectralMeasure(space.size, known.values.numpy(), tuple(found))


def evaluated(f: Function, values: Array) -> Array:
    """Return f at the eigenvalues.

    Raises:
        ArgumentError: If it returns something else than one finite number each.
    """
    if not len(values):
        return values
    given = torch.from_numpy(values.copy())
    found = f(given)
    if not isinstance(found, Tensor) or found.shape != given.shape or found.is_complex():
        got = f"{found.dtype} of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise ArgumentError(f"f: expected real numbers of shape {tuple(given.shape)}, one an eigenvalue, got {got}.")
    if not bool(found.isfinite().all()):
        where = float(given[~found.isfinite()][0])
        raise ArgumentError(f"f: expected finite numbers, got another at the Ritz value {where:.6g}.")
    result: Array = found.detach().double().cpu().numpy()
    return result


def _integral(rule: tuple[Array, Array], mass: float, f: Function) -> float:
    nodes, weights = rule
    return mass * math.fsum((weights * evaluated(f, nodes)).tolist())
