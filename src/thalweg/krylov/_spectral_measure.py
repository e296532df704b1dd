"""The eigenvalues of a matrix: some known, the rest seen by random probes."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Estimate
from thalweg.krylov._deflation import Known, without
from thalweg.krylov._gauss import Gauss, gauss
from thalweg.krylov._lockstep import groups
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._probes import Distribution, draw_probes
from thalweg.krylov._spread import Forms, Spread, on_sphere
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
        distribution: The law of the probes; ``None`` is the sphere.
        watched: What signs say of the function that was named beforehand; of others only their sample tells.
    """

    size: int
    known: Array
    probes: tuple[Probed, ...]
    distribution: Distribution | None = None
    watched: Spread | None = None

    @property
    def products(self) -> int:
        """What the probes took."""
        return sum(probe.products for probe in self.probes)

    def total(self, f: Function) -> Estimate:
        """Estimate Σ f(λ); it has ``converged`` if a quarter of the steps changes little beside the probes' error."""
        return self.combined([f], lambda sums: sums[0])

    def hidden(self, low: float, high: float) -> float:
        """Return the most eigenvalues that an interval without nodes may hold, on average over the probes."""
        # A rule that no step would change has no more of them than it shows.
        found = [
            0.0 if probe.coarse is probe.rule else probe.mass * between(*probe.rule, low, high) for probe in self.probes
        ]
        return math.fsum(found) / len(found) if found else 0.0

    def forms(self, f: Function) -> tuple[Array, Array]:
        r"""Return :math:`z^\top f(A)\, z` of every probe, and its misses as of :func:`on_sphere`."""
        return self._forms(_values(f, [probe.rule for probe in self.probes]))

    def combined(self, functions: Sequence[Function], g: Callable[[Tensor], Tensor]) -> Estimate:
        """Estimate g(Σ f₁(λ), Σ f₂(λ), …) for a smooth g, whose error is that of the sum which it is to first order.

        Raises:
            ArgumentError: If a function does not return one finite number an eigenvalue.
        """
        exact = np.array([math.fsum(evaluated(f, self.known).tolist()) for f in functions])
        if not self.probes:
            return Estimate(float(g(torch.from_numpy(exact))), 0.0, converged=True)
        rules, count = [probe.rule for probe in self.probes], len(self.probes)
        values = [_values(f, rules) for f in functions]
        fine = np.array([self._forms(each)[0] for each in values])
        coarse = np.array([self._coarse(f) for f in functions])
        sums = torch.from_numpy(exact + fine.mean(axis=1)).requires_grad_()
        whole = g(sums)
        (slopes,) = torch.autograd.grad(whole, sums)
        value = float(whole.detach())
        # A single sum may cancel; its parts say what rounding is.
        size = abs(value) if len(functions) > 1 else float(np.abs(exact).max() + np.abs(fine).max())
        error, dof = None, None
        if count > 1:
            spread = self._spread([slopes.numpy() @ np.stack(each) for each in zip(*values, strict=True)])
            error, dof = spread.of_mean(count), spread.dof
            # Probes that agree to rounding are exact.
            error = error if error > 1e-14 * size else 0.0
        shift = abs(value - float(g(torch.from_numpy(exact + coarse.mean(axis=1)))))
        limit = max(_SETTLED * (error or 0.0), 1e-10 * size)
        return Estimate(value, error, dof, converged=bool(shift <= limit))

    def _forms(self, values: Sequence[Array]) -> tuple[Array, Array]:
        found = np.empty((2, len(self.probes)))
        for column, (probe, each) in enumerate(zip(self.probes, values, strict=True)):
            weights = probe.rule[1]
            mean = math.fsum((weights * each).tolist())
            found[:, column] = mean, math.fsum((weights * (each - mean) ** 2).tolist())
        masses = np.array([probe.mass for probe in self.probes])
        return masses * found[0], masses * found[1]

    def _coarse(self, f: Function) -> list[float]:
        values = _values(f, [probe.coarse for probe in self.probes])
        pairs = zip(self.probes, values, strict=True)
        return [probe.mass * math.fsum((probe.coarse[1] * each).tolist()) for probe, each in pairs]

    def _spread(self, values: Sequence[Array]) -> Spread:
        if self.watched is not None:
            return self.watched
        forms, misses = self._forms(values)
        if self.distribution is None:
            return on_sphere(forms, misses, self.size - len(self.known))
        if self.distribution == "gaussian":
            masses = np.array([probe.mass for probe in self.probes])
            return Spread.of((misses + forms**2 / masses).tolist(), 2.0, len(forms))
        return Spread(float(forms.var(ddof=1)), len(forms) - 1)

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


def between(nodes: Array, weights: Array, low: float, high: float) -> float:
    """Return the most mass that may lie in an interval that holds none of a Gauss quadrature's nodes; 0 if it does.

    Between two adjacent nodes lies at most what both weigh (Chebyshev, Markov & Stieltjes; Szegő, 1939, 3.41).
    """
    if bool(((nodes >= low) & (nodes <= high)).any()):
        return 0.0
    place = int(np.searchsorted(nodes, low))
    return float(weights[max(place - 1, 0) : place + 1].sum())


def measured(
    operator: SymmetricOperator,
    known: Known,
    probes: int,
    steps: int,
    distribution: Distribution | None,
    generator: torch.Generator,
    bar: Progress,
    until: float = math.inf,
    watch: Function | None = None,
) -> SpectralMeasure:
    """Probe what is not known yet, by probes on a sphere in the complement where no distribution is named.

    On the sphere all probes have the mass P − k, which leaves out the fluctuation of their lengths; the direction of a
    normal vector in the complement is uniform and independent of its length, so that this is without bias, too.

    How far signs scatter depends on the entries of f(A), which no quadrature knows: a function to ``watch`` is
    multiplied with them, at the cost of a combination of the basis for each.

    Cost: probes × steps products, fewer where the time ``until`` comes before, and as many vectors of memory for up to
    eight probes, which go in step, or for as many as fit.
    """
    space, found, steps = operator.space, list[Probed](), min(steps, operator.space.size)
    seen = Forms(space, distribution, space.size - known.count) if distribution == "rademacher" and watch else None
    unit = 0.0
    for count in groups(operator, probes if known.count < space.size else 0, steps):
        # What is left of the time is shared.
        now = time.perf_counter()
        share = now + (until - now) * count / (probes - len(found))
        drawn = draw_probes(space, count, distribution or "gaussian", generator)
        block = without(space, known, drawn)
        for z, start, rule in zip(drawn.mT, block.mT, gauss(operator, block, steps, bar, share), strict=True):
            size = space.norm(start)
            found.append(Probed.of(rule, float(space.size - known.count) if distribution is None else size**2))
            if seen is not None and watch is not None:
                # In units of its size: single precision has no room for every function.
                unit = unit or float(np.abs(evaluated(watch, found[-1].rule[0])).max()) or 1.0
                image = rule.applied(partial(_scaled, watch, size / unit))
                seen.add(z, start, without(space, known, image)[:, 0])
    watched = seen.spread() if seen is not None and len(found) > 1 else None
    if watched is not None:
        watched = replace(watched, variance=watched.variance * unit**2)
    return SpectralMeasure(space.size, known.values.numpy(), tuple(found), distribution, watched)


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


def _scaled(f: Function, factor: float, values: Array) -> Array:
    result: Array = factor * evaluated(f, values)
    return result


def _values(f: Function, rules: Sequence[tuple[Array, Array]]) -> list[Array]:
    """Return f at the nodes of each rule, by one call."""
    ends = np.cumsum([len(nodes) for nodes, _ in rules])[:-1]
    return np.split(evaluated(f, np.concatenate([nodes for nodes, _ in rules])), ends)
