"""Who finds eigenvalues: Thalweg, and its peers as their documentation uses them; and who says what is right."""

import copy
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from _networks import Case
from _reference import parameters_of, trusted
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

import thalweg as tw

ARPACK = "curvlinops + ARPACK"


@dataclass(frozen=True)
class Found:
    """What a contestant answers.

    Attributes:
        values: Eigenvalues of the upper end, largest first.
        products: How many it took; 0 where that is not known.
        inside: Seconds within them.
        vectors: Eigenvectors (P, k), where the contestant is ours.
    """

    values: np.ndarray
    products: int
    inside: float = 0.0
    vectors: Tensor | None = None


class Timed:
    """An operator that counts its products and their seconds, by whatever clock."""

    def __init__(self, operator: Any, clock: Callable[[], float] = time.perf_counter) -> None:
        self._operator, self._clock = operator, clock
        self.space, self.provenance = operator.space, operator.provenance
        self.shares_passes = getattr(operator, "shares_passes", True)
        self.products, self.inside = 0, 0.0

    def __matmul__(self, vectors: Tensor) -> Tensor:
        """Multiply a vector or a block."""
        started = self._clock()
        product = self._operator @ vectors
        self.inside += self._clock() - started
        self.products += 1 if vectors.ndim == 1 else vectors.shape[1]
        return product


def ours(case: Case, count: int, tol: float) -> Found:
    """From the model to the eigenvalues, the landscape's checks and the search for missed copies included."""
    operator = Timed(tw.hessian(case.landscape()))
    # Room for 200 vectors is enough here, and all that a small machine has for millions of parameters.
    pairs = tw.eigenpairs(operator, count, tol=tol, max_matvecs=200)
    if not (pairs.complete and pairs.converged.all()):
        raise RuntimeError("spectra: the eigenvalues did not converge.")
    return Found(pairs.values.numpy(), operator.products, operator.inside, pairs.vectors)


def arpack(case: Case, count: int, tol: float) -> Found:
    """ARPACK on the products of curvlinops, without its optional checks of determinism."""
    return Found(*eigsh(curvlinops_product(case), case, count, "LA", tol))


def arpack_on_eigenthings(case: Case, count: int, tol: float) -> Found:
    """ARPACK on the products of hessian-eigenthings."""
    return Found(*eigsh(eigenthings_product(case), case, count, "LA", tol))


def eigenthings(case: Case, count: int, tol: float) -> Found:
    """Its own Lanczos, with a hundred steps."""
    del tol
    from hessian_eigenthings import lanczos

    with sdpa_kernel(SDPBackend.MATH):
        found = lanczos(eigenthings_operator(case), k=count, max_iter=100, which="LA", seed=0)
    return Found(found.eigenvalues.double().numpy(), found.iterations)


def pyhessian(case: Case, count: int, tol: float) -> Found:
    """Power iteration with deflation, with the defaults that it has."""
    del tol
    from pyhessian import hessian

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", message=".*create_graph=True")
        torch.manual_seed(0)
        model = copy.deepcopy(case.model)
        measured = hessian(model, case.criterion, data=(case.inputs, case.targets), cuda=False)
        values, _ = measured.eigenvalues(maxIter=100, tol=1e-3, top_n=count)
    return Found(np.sort(np.asarray(values))[::-1], 0)


def curvlinops_product(case: Case) -> Callable[[np.ndarray], np.ndarray]:
    """The product of curvlinops by its own interface to SciPy."""
    operator = curvlinops_operator(case).to_scipy()

    def product(vector: np.ndarray) -> np.ndarray:
        with sdpa_kernel(SDPBackend.MATH):
            return operator @ vector

    return product


def curvlinops_operator(case: Case) -> Any:
    """The Hessian of curvlinops, without its optional checks of determinism."""
    from curvlinops import HessianLinearOperator

    model = copy.deepcopy(case.model)
    data = [(case.inputs, case.targets)]
    return HessianLinearOperator(model, case.criterion, parameters_of(model), data, check_deterministic=False)


def eigenthings_product(case: Case) -> Callable[[np.ndarray], np.ndarray]:
    """The product of hessian-eigenthings, for SciPy."""
    operator = eigenthings_operator(case)

    def product(vector: np.ndarray) -> np.ndarray:
        with sdpa_kernel(SDPBackend.MATH):
            return operator.matvec(torch.from_numpy(vector.ravel())).numpy()

    return product


def eigenthings_operator(case: Case) -> Any:
    """The Hessian of hessian-eigenthings."""
    from hessian_eigenthings import HessianOperator, supervised_loss

    model = copy.deepcopy(case.model)
    return HessianOperator(model, [(case.inputs, case.targets)], supervised_loss(case.criterion))


def eigsh(
    product: Callable[[np.ndarray], np.ndarray], case: Case, count: int, which: str, tol: float
) -> tuple[np.ndarray, int, float]:
    """Run ARPACK; return the eigenvalues from outside to inside, the products, and the seconds within them."""
    from scipy.sparse.linalg import LinearOperator
    from scipy.sparse.linalg import eigsh as run

    size = sum(parameter.numel() for parameter in parameters_of(case.model))
    products, inside = 0, 0.0

    def counted(vector: np.ndarray) -> np.ndarray:
        nonlocal products, inside
        started = time.perf_counter()
        found = product(vector)
        products, inside = products + 1, inside + time.perf_counter() - started
        return found

    wrapped = LinearOperator((size, size), matvec=counted, dtype=np.float32)
    start = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    values = run(wrapped, k=count, which=which, tol=tol, v0=start, return_eigenvectors=False)
    return np.sort(values)[:: -1 if which == "LA" else 1], products, inside


def converged(case: Case, count: int) -> tuple[np.ndarray, float]:
    """Eigenvalues in double precision, and their largest residual."""
    landscape = tw.Landscape(case.model, case.objective, [case.batch], dtype=torch.float64)
    pairs = tw.eigenpairs(tw.hessian(landscape), count, tol=1e-9)
    return pairs.values.numpy(), float(pairs.residuals.max())


def refined(case: Case, vectors: Tensor, chunk: int) -> tuple[np.ndarray, float]:
    """Rayleigh–Ritz in double precision in the span of vectors (P, k), and the largest residual.

    By products that share nothing with the library, of ``chunk`` items at a time, which divides them evenly. Whether
    the span is the right one is another question, which the agreement of another algorithm answers.
    """
    chunk = min(chunk, len(case.inputs))
    basis = torch.linalg.qr(vectors.double())[0]
    image = torch.zeros_like(basis)
    for start in range(0, len(case.inputs), chunk):
        inputs, targets = (part[start : start + chunk] for part in (case.inputs, case.targets))
        part = Case(case.name, case.model, case.criterion, inputs, targets, case.objective, None)
        image += trusted("H", part, basis) * (chunk / len(case.inputs))
    projected = basis.mT @ image
    values, rotation = torch.linalg.eigh((projected + projected.mT) / 2)
    residuals = torch.linalg.vector_norm(image @ rotation - basis @ rotation * values, dim=0)
    return values.flip(0).numpy(), float(residuals.max())
