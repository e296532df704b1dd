"""Lanczos with reorthogonalisation where it is due, over one or several starting vectors."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.krylov._basis import Basis
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._orthogonality import Orthogonality

# The steps that are measured before any is estimated.
_MEASURED = 4


class Lanczos:
    r"""A Krylov basis Q, the projected matrix :math:`M = Q^\top A Q`, and what A Q leaves outside of Q.

    The basis grows in *runs*. A run starts from a vector that is orthogonal to everything before it and goes on
    by products; it ends at an invariant subspace, or when the caller starts another one. All of A Q lies in the
    span of Q and of one remainder vector r a run, so that the residual of a Ritz pair (θ, y) costs no product:

    .. math:: A Q y - \theta Q y = \sum_i y_{\mathrm{last}(i)}\, r_i

    Each product is orthogonalised against the few vectors that it is coupled to, then against the whole basis, and
    once more if that took away a noticeable part (Daniel, Gragg, Kaufman & Stewart, 1976). What is found where the
    recurrence has no entry is rounding or asymmetry of the operator; it is kept as noise and counted into the
    residuals.

    The sweeps over the whole basis cost more memory traffic than anything else here. A step goes without while the
    estimated inner products stay below ``loss``; when they don't, this step and the next have theirs. M is the
    projected matrix to working precision all the same (Simon, 1984); what the sweeps take away is noise like the rest.

    Args:
        operator: The matrix A.
        capacity: The most basis vectors that will be asked for.
        loss: The largest inner product of two basis vectors that is let pass, at most the root of the unit
            roundoff and 3e-5; 0 sweeps at each step.

    Attributes:
        space: Where the vectors live.
        basis: Q.
        invariant: Whether the last step found nothing outside the span of Q: the current run has met an
            invariant subspace.
        sweeps: Times that the whole basis was orthogonalised against.
    """

    def __init__(self, operator: SymmetricOperator, capacity: int, *, loss: float = 0.0) -> None:
        self._operator = operator
        self.space = operator.space
        self.basis = Basis(self.space, capacity)
        self._capacity = capacity
        self._matrix = np.zeros((capacity, capacity))
        self._noise = np.zeros(capacity)
        self._starts: list[int] = []
        self._lasts: list[int] = []
        self._remainders: list[Tensor] = []
        # What follows, and its norm: it is normalised where it is put into the basis.
        self._next: tuple[Tensor, float] | None = None
        self._scale = self._beta = 0.0
        # In single precision a tenth of the root: the estimates may be too low by as much before they have learnt.
        self._loss = min(loss, torch.finfo(self.space.dtype).eps ** 0.5, 3e-5)
        self._orthogonality = Orthogonality(torch.finfo(self.space.dtype).eps, capacity)
        self._again = False
        self.invariant = False
        self.sweeps = 0

    @property
    def steps(self) -> int:
        """Products so far, which is the size m of the basis."""
        return len(self.basis)

    @property
    def run_start(self) -> int:
        """Index of the first vector of the current run."""
        return self._starts[-1]

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The projected matrix, (m, m)."""
        return self._matrix[: self.steps, : self.steps]

    @property
    def scale(self) -> float:
        """An estimate of ‖A‖ from below: the largest column of A Q seen."""
        return self._scale

    @property
    def _rounding(self) -> float:
        # Below this a remainder is rounding, and its direction says nothing.
        return 50 * torch.finfo(self.space.dtype).eps * self._scale

    @property
    def ended(self) -> bool:
        """Whether the current run cannot go on: invariant, out of capacity, or not started."""
        return self._next is None

    @property
    def full(self) -> bool:
        """Whether no vector can be added."""
        return self.steps >= min(self.space.size, self._capacity)

    def run(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the recurrence of the current run: its α, and its β up to what the last step left."""
        part = self.matrix[self.run_start :, self.run_start :]
        return np.diag(part), np.append(np.diag(part, 1), self._beta)

    def start(self, vector: Float[Tensor, " p"]) -> bool:
        """Begin a run from a vector; ``False`` if the basis holds it already."""
        size = self.space.norm(vector)
        if not size > 0:
            return False
        w = vector / size
        for _ in range(2 if self.steps else 0):
            self.basis.remove(w)
            left = self.space.norm(w)
            if left < 1e3 * torch.finfo(w.dtype).eps:
                return False
            w /= left
        self._orthogonality.begin(self.steps)
        self._again = False
        self._starts.append(self.steps)
        self._next = w, 1.0
        return True

    def resume(self, run: int) -> bool:
        """Begin a run from what an earlier one left, which is what its share in residuals comes from."""
        return self.start(self._remainders[run].clone())

    def shares(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the remainder of each run contributes to the residuals of columns (m, k): (runs, k)."""
        sizes = np.array([self.space.norm(remainder) for remainder in self._remainders])
        result: NDArray[np.float64] = np.abs(vectors[self._lasts]) * sizes[:, None]
        return result

    def step(self) -> None:
        """Add the next vector of the run to the basis and multiply it: one product.

        Raises:
            ArgumentError: If the operator turns out not to be symmetric.
        """
        if self._next is None or self.full:
            raise IndexError("step: the run has ended or the basis is full.")
        j = self.steps
        q = self.basis.append(*self._next)
        self._couple(q, j)
        product = self._operator @ q
        self._scale = max(self._scale, self.space.norm(product))
        w = self._uncoupled(product, j)
        self._orthogonalise(w, j)
        if len(self._lasts) < len(self._starts):
            self._lasts.append(j)
            self._remainders.append(w)
        else:
            self._lasts[-1], self._remainders[-1] = j, w
        self.invariant = self._beta <= self._rounding
        self._next = None if self.invariant or self.full else (w, self._beta)

    def residuals(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ‖A Q y − θ Q y‖ for the columns y of ``vectors`` (m, k), with the noise of the products."""
        gram = np.array([[self.space.dot(r, s) for s in self._remainders] for r in self._remainders])
        ends = vectors[self._lasts]
        exact = np.sqrt(np.maximum(np.einsum("ik,ij,jk->k", ends, gram, ends), 0))
        rounding = torch.finfo(self.space.dtype).eps * self._scale
        noise = np.abs(vectors).T @ self._noise[: self.steps]
        result: NDArray[np.float64] = exact + noise + rounding
        return result

    def _couple(self, q: Tensor, j: int) -> None:
        """Write down what is known of column j before its product: the parts of the remainders along q."""
        current = len(self._starts) - 1
        for run, (last, remainder) in enumerate(zip(self._lasts, self._remainders, strict=True)):
            if run == current:
                # q is this remainder, normalised: nothing of it is left.
                self._matrix[last, j] = self._matrix[j, last] = self._beta
                continue
            overlap = self.space.dot(q, remainder)
            remainder.sub_(q, alpha=overlap)
            self._matrix[last, j] = self._matrix[j, last] = overlap

    def _uncoupled(self, product: Tensor, j: int) -> Tensor:
        """Take out what is known, first, so that the errors of earlier vectors are not multiplied by it."""
        w: Tensor | None = None
        for i in np.flatnonzero(self._matrix[:j, j]).tolist():
            # The product is the operator's, and is left as it is.
            w = torch.sub(product if w is None else w, self.basis[i], alpha=float(self._matrix[i, j]), out=w)
        return product.clone() if w is None else w

    def _orthogonalise(self, w: Tensor, j: int) -> None:
        self._matrix[j, j] = self._remove(w, j)
        self._beta = self.space.norm(w)
        expected = self._expected(j)
        if expected <= self._loss and j >= _MEASURED and not self._again:
            # The neighbours are where most of a product lies, and no sweep comes to finish the work.
            self._matrix[j, j] += self._remove(w, j)
            if j > self.run_start:
                self._remove(w, j - 1)
            self._beta = self.space.norm(w)
            self._noise[j] = self._orthogonality.noise * self._scale * np.sqrt(j)
            return
        before, grown = self._beta, j >= _MEASURED and expected < np.inf and not self._again
        found = self._sweep(w, j)
        self._matrix[j, j] += float(found[j])
        self._noise[j] = float(torch.linalg.vector_norm(found[:j]))
        if j and expected < np.inf:
            self._learn(j, float(found[:j].abs().max()), before, expected)
        # What a sweep finds that was due has grown from a loss, and says nothing of the operator.
        limit = max(1e-3, 20 * torch.finfo(w.dtype).eps)
        if not grown and self._noise[j] > limit * self._scale:
            raise ArgumentError(
                f"operator: expected a symmetric matrix, but product {j + 1} has a part of relative size "
                f"{self._noise[j] / self._scale:.1e} where symmetry asks for none. Check it with verify(operator)."
            )

    def _remove(self, w: Tensor, i: int) -> float:
        part = self.space.dot(self.basis[i], w)
        w.sub_(self.basis[i], alpha=part)
        return part

    def _expected(self, j: int) -> float:
        """The largest inner product that the next vector is expected to have with the basis."""
        if self._loss == 0 or self._beta <= self._rounding:
            return np.inf
        return self._orthogonality.advance(self._matrix[: j + 1, : j + 1], self._beta, self._scale)

    def _sweep(self, w: Tensor, j: int) -> Tensor:
        """Orthogonalise against the whole basis, and return what was taken away."""
        self.sweeps += 1
        found = torch.zeros(j + 1, dtype=w.dtype, device=w.device)
        for _ in range(3):
            more = self.basis.remove(w)
            found += more
            self._beta = self.space.norm(w)
            if float(torch.linalg.vector_norm(more)) <= 0.1 * self._beta:
                break
        return found

    def _learn(self, j: int, found: float, size: float, expected: float) -> None:
        """Tell the estimates the truth; a sweep that was due is followed by another one."""
        if j < _MEASURED:
            size = found / self._scale if j == _MEASURED - 1 else 0
            self._orthogonality.measured(size, self._orthogonality.noise)
            return
        # The second sweep of two finds less than expected of the first: nothing to learn.
        self._orthogonality.measured(0 if self._again else found / size, expected)
        self._again = not self._again
