"""What peers offer for each spectral question, each given as many products as its accuracy takes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from _eigensolvers import curvlinops_operator, curvlinops_product, eigenthings_operator, eigenthings_product, eigsh
from _networks import Case
from torch import Tensor

Answers = dict[str, float | np.ndarray]


@dataclass(frozen=True)
class Way:
    """One way of answering one question.

    Attributes:
        question: Which.
        name: Of the peer.
        run: From the case to the answers.
        by_hand: Whether the user has to write a part of it: the deflation, which no peer has.
    """

    question: str
    name: str
    run: Callable[[Case], Answers]
    by_hand: bool = False


@dataclass(frozen=True)
class Sums:
    """What a reference knows of a spectrum: nodes and weights (probes, m), the rows of which sum to P."""

    nodes: np.ndarray
    weights: np.ndarray

    def of(self, f: Callable[[np.ndarray], np.ndarray]) -> float:
        """Σ f(λ)."""
        return float((self.weights * f(self.nodes)).sum(axis=1).mean())

    def probes(self, f: Callable[[np.ndarray], np.ndarray], share: float) -> int:
        """Random probes until 95 % of their means are within this share: the variance of one is 2 Σ f²."""
        return max(2, int(np.ceil(2 * self.of(lambda x: f(x) ** 2) * (1.96 / (share * self.of(f))) ** 2)))


class Deflated:
    """An operator of hessian-eigenthings less its known eigenpairs, as a user would write it."""

    def __init__(self, inner: Any, values: Tensor, vectors: Tensor) -> None:
        self._inner, self._values, self._vectors = inner, values, vectors
        self.size, self.dtype, self.device = inner.size, inner.dtype, inner.device

    def matvec(self, vector: Tensor) -> Tensor:
        """(A − UΛUᵀ) v."""
        return self._inner.matvec(vector) - self._vectors @ (self._values * (self._vectors.mT @ vector))


def ends(question: str, count: int, which: str, tol: float) -> list[Way]:
    """ARPACK on the products of either library."""
    products = {"curvlinops + ARPACK": curvlinops_product, "hessian-eigenthings + ARPACK": eigenthings_product}

    def way(make: Callable[[Case], Callable[[np.ndarray], np.ndarray]]) -> Callable[[Case], Answers]:
        return lambda case: {question: eigsh(make(case), case, count, which, tol)[0]}

    return [Way(question, name, way(make)) for name, make in products.items()]


def traces(sums: Sums, share: float, sketched: dict[str, int]) -> list[Way]:
    """Hutchinson by as many probes as the variance asks for, and the sketches by as many products as trial found."""
    probes = sums.probes(lambda x: x, share)

    def hutchinson(case: Case) -> Answers:
        from hessian_eigenthings import trace

        operator = eigenthings_operator(case)
        return {"trace": trace(operator, num_matvecs=probes, method="hutchinson", seed=0).estimate}

    def sketch(name: str) -> Callable[[Case], Answers]:
        return lambda case: {"trace": sketched_trace(case, name, sketched[name], 0)}

    return [
        Way("trace", "hessian-eigenthings, Hutchinson", hutchinson),
        *(Way("trace", f"curvlinops, {name}", sketch(name)) for name in sketched),
    ]


def sketched_trace(case: Case, name: str, products: int, seed: int) -> float:
    """Hutch++ or XTrace of curvlinops."""
    import curvlinops

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return float(getattr(curvlinops, name)(curvlinops_operator(case), products))


def sketch_sizes(case: Case, truth: float, share: float, ladder: Iterable[int], seeds: int) -> dict[str, int]:
    """The least products by which Hutch++ and XTrace have a root mean square error that is worth this half-width."""
    found = dict[str, int]()
    for name in ("hutchpp_trace", "xtrace"):
        for products in ladder:
            errors = [sketched_trace(case, name, products, 1 + seed) / truth - 1 for seed in range(seeds)]
            if np.sqrt(np.mean(np.square(errors))) <= share / 1.96:
                found[name] = products
                break
    return found


def frobenius(sums: Sums, share: float) -> list[Way]:
    """‖H z‖² of curvlinops, by as many probes as the variance asks for."""
    probes = sums.probes(np.square, share)

    def run(case: Case) -> Answers:
        from curvlinops import hutchinson_squared_fro

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return {"frobenius": float(hutchinson_squared_fro(curvlinops_operator(case), probes))}

    return [Way("frobenius", "curvlinops", run)]


def quadratures(probes: int, steps: int, epsilon: float) -> list[Way]:
    """Density and log-determinant from stochastic Lanczos quadrature, by as many probes and steps as ours."""

    def summed(case: Case, nodes: np.ndarray, weights: np.ndarray) -> Answers:
        size = sum(parameter.numel() for parameter in case.model.parameters())
        found = Sums(nodes, weights * size)
        return {"logdet": found.of(log_of(epsilon)), "density": cumulative(found)}

    def curvlinops(case: Case) -> Answers:
        from curvlinops.papyan2020traces.spectrum import fast_lanczos

        operator = curvlinops_operator(case)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            runs = [fast_lanczos(operator, steps) for _ in range(probes)]
        nodes, weights = np.stack([run[0].numpy() for run in runs]), np.stack([run[1][0].numpy() ** 2 for run in runs])
        return summed(case, nodes.astype(float), weights.astype(float))

    def eigenthings(case: Case) -> Answers:
        from hessian_eigenthings import spectral_density

        found = spectral_density(eigenthings_operator(case), num_runs=probes, lanczos_steps=steps, seed=0)
        return summed(case, found.raw_eigenvalues.double().numpy(), found.raw_weights.double().numpy())

    return [Way("quadrature", "curvlinops", curvlinops), Way("quadrature", "hessian-eigenthings", eigenthings)]


def by_hand(top: int, rest: Sums, sums: Sums, tol: float, share: float, epsilon: float, runs: int, steps: int) -> Way:
    """Eigenvectors of ARPACK taken out of the operator by hand, so that the probes see what is left of it."""
    spread = 2 * rest.of(np.square)
    probes = max(2, int(np.ceil(spread * (1.96 / (share * sums.of(lambda x: x))) ** 2)))

    def run(case: Case) -> Answers:
        from hessian_eigenthings import spectral_density, trace
        from scipy.sparse.linalg import LinearOperator
        from scipy.sparse.linalg import eigsh as arpack

        product, inner = eigenthings_product(case), eigenthings_operator(case)
        start = np.random.default_rng(0).standard_normal(inner.size).astype(np.float32)
        wrapped = LinearOperator((inner.size, inner.size), matvec=product, dtype=np.float32)
        values, vectors = arpack(wrapped, k=top, which="LA", tol=tol, v0=start)
        known = values[::-1].astype(float)
        operator: Any = Deflated(inner, torch.from_numpy(values.copy()), torch.from_numpy(vectors.copy()))
        found = spectral_density(operator, num_runs=runs, lanczos_steps=steps, seed=0)
        left = Sums(found.raw_eigenvalues.double().numpy(), found.raw_weights.double().numpy() * inner.size)
        joined = Sums(*_with_known(left, known))
        answers: Answers = {
            "logdet": joined.of(log_of(epsilon)),
            "frobenius": joined.of(np.square),
            "density": cumulative(joined),
        }
        answers["trace"] = trace(operator, num_matvecs=probes, method="hutchinson", seed=0).estimate + known.sum()
        return answers | {"top": known}

    return Way("all but the bottom", "hessian-eigenthings + ARPACK, deflated by hand", run, by_hand=True)


def log_of(epsilon: float) -> Callable[[np.ndarray], np.ndarray]:
    """ln(|λ| + ε)."""
    return lambda x: np.log(np.abs(x) + epsilon)


def cumulative(sums: Sums) -> np.ndarray:
    """Shares of the eigenvalues up to each of some points: the density, without a choice of smoothing.

    Most eigenvalues are zero up to what the steps resolve; whether a node is just above or below says nothing.
    """
    grid = np.concatenate([np.linspace(-0.5, -0.05, 20), np.linspace(0.05, 8, 160)])
    total = sums.weights.sum(axis=1).mean()
    return np.array([sums.of(lambda x, at=at: (x <= at).astype(float)) / total for at in grid])


def _with_known(left: Sums, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put the known eigenvalues in the place of the zeros that the deflation has made of them."""
    zeros = np.zeros((len(left.nodes), len(known)))
    ones = np.ones_like(zeros)
    nodes = np.concatenate([left.nodes, zeros, zeros + known], axis=1)
    return nodes, np.concatenate([left.weights, -ones, ones], axis=1)
