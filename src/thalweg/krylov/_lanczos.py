"""Lanczos with reorthogonalisation where it is due, over one or several starting vectors, one by one or in blocks."""

import math

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.krylov._basis import Basis
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._orthonormal import orthonormalised
from thalweg.krylov._run import Left, Run, combined
from thalweg.krylov._storage import Place
from thalweg.krylov._sweeping import Sweeping
from thalweg.krylov._widened import product_unit, widened

# So many known parts of a product are taken out one by one, more of them in one sweep.
_FEW = 8


class Lanczos:
    r"""A Krylov basis Q, the projected matrix :math:`M = Q^\top A Q`, and what A Q leaves outside of Q.

    The basis grows in *runs*. A run starts from a vector that is orthogonal to everything before it and goes on
    by products; it ends at an invariant subspace, or when the caller starts another one. All of A Q lies in the
    span of Q and of one remainder vector r a run (of b in a run of blocks), so that the residual of a Ritz pair (θ, y)
    costs no product:

    .. math:: A Q = Q M + \sum_i r_i c_i^\top, \qquad A Q y - \theta Q y = \sum_i (c_i^\top y)\, r_i

    where c is the unit vector of the run's last step. This holds for any orthonormal combinations of the basis as
    well, which is all there is to a thick restart (Wu & Simon, 2000): :meth:`compress` puts Q Y for Q and goes on.

    Each product is orthogonalised against the few vectors that it is coupled to, then against the whole basis, and
    once more if that took away a noticeable part (Daniel, Gragg, Kaufman & Stewart, 1976). What is found where the
    recurrence has no entry is rounding or asymmetry of the operator; it is kept as noise and counted into the
    residuals.

    The sweeps over the whole basis cost more memory traffic than anything else here. A step goes without while the
    estimated inner products stay below ``loss``; when they don't, this step and the next have theirs. M is the
    projected matrix to working precision all the same (Simon, 1984); what the sweeps take away is noise like the rest.

    Args:
        operator: The matrix A.
        capacity: The most basis vectors that there is room for.
        loss: The largest inner product of two basis vectors that is let pass, at most the root of the unit
            roundoff and 3e-5; 0 sweeps at each step.
        limit: The most products; by default ``capacity``.
        width: Vectors that the first run multiplies at once. More than one sweep at each step.
        place: Where the basis is held: "device", "host" or "disk".

    Attributes:
        space: Where the vectors live.
        basis: Q.
        capacity: The most vectors that it holds.
        largest: The largest magnitude of a Ritz value that was given up.
        products: How many so far.
        width: Vectors that the first run multiplies at once.
        invariant: Whether the last step found nothing outside the span of Q: the current run has met an
            invariant subspace.
    """

    def __init__(
        self,
        operator: SymmetricOperator,
        capacity: int,
        *,
        loss: float = 0.0,
        limit: int | None = None,
        width: int = 1,
        place: Place = "device",
    ) -> None:
        self._operator = widened(operator)
        self.space = self._operator.space
        self.basis = Basis(self.space, capacity, place)
        self.capacity = capacity
        self._limit = capacity if limit is None else limit
        self.width = width
        self._matrix = np.zeros((capacity, capacity))
        self._noise = np.zeros(capacity)
        # Of the numbers that products consist of, which may be of fewer bits than the vectors.
        self._spacing = torch.finfo(self.space.dtype).eps
        # A bound of the noise of any combination: the root of the sum of squares of all that was seen.
        self._spread = 0.0
        self._runs: list[Run] = []
        # What follows, and its norm: it is normalised where it is put into the basis.
        self._next: tuple[Tensor, float] | None = None
        # The same of a run of blocks.
        self._block: list[Tensor] = []
        self._scale = self._beta = self.largest = 0.0
        self._sweeping = Sweeping(self.space, self.basis, loss if width == 1 else 0.0, capacity)
        self.invariant = False
        self.products = 0

    @property
    def steps(self) -> int:
        """The size m of the basis, which is the number of products until it is compressed."""
        return len(self.basis)

    @property
    def run_start(self) -> int:
        """Index of the first vector of the current run."""
        return self._runs[-1].start

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The projected matrix, (m, m)."""
        return self._matrix[: self.steps, : self.steps]

    @property
    def scale(self) -> float:
        """An estimate of ‖A‖ from below: the largest column of A Q seen."""
        return self._scale

    @property
    def sweeps(self) -> int:
        """Times that the whole basis was orthogonalised against."""
        return self._sweeping.sweeps

    @property
    def rounding(self) -> float:
        """Of the products, by the spacing of the numbers that they consist of."""
        return self._spacing * self._scale

    @property
    def _rounding(self) -> float:
        # Below this a remainder is rounding, and its direction says nothing.
        return 50 * torch.finfo(self.space.dtype).eps * self._scale

    @property
    def ended(self) -> bool:
        """Whether the current run cannot go on: invariant, no room, out of products, or not started."""
        return (self._next is None and not self._block) or self.full or self.cramped

    @property
    def full(self) -> bool:
        """Whether no vector can be added, for good: products are used up, or the basis is a basis of the space."""
        return self.steps >= self.space.size or self.products >= self._limit

    @property
    def cramped(self) -> bool:
        """Whether :meth:`compress` has to make room."""
        return self.steps >= self.capacity and not self.full

    @property
    def restarts(self) -> bool:
        """Whether there are more products than room for vectors."""
        return self._limit > self.capacity < self.space.size

    @property
    def remainders(self) -> int:
        """How many vectors are held beside the basis."""
        return sum(len(run.left) for run in self._runs)

    def run(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the recurrence of the current run: its α, and its β up to what the last step left."""
        part = self.matrix[self.run_start :, self.run_start :]
        return np.diag(part), np.append(np.diag(part, 1), self._beta)

    def given_up(self) -> tuple[list[float], float]:
        """Return the Ritz values that the current run has given up, and the sum of log β over all of its steps."""
        return self._runs[-1].roots, self._runs[-1].growth

    def begin(self, generator: torch.Generator) -> bool:
        """Begin a run at random: the first in its width, any other from one vector."""
        if self.width > 1 and not self._runs:
            block = self.space.randn(generator, min(self.width, self.space.size))
            self._start_block(orthonormalised(self.space, block, generator)[0])
            return True
        return self.start(self.space.randn(generator))

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
        self._sweeping.begin(self.steps)
        self._runs.append(Run(self.steps))
        self._next, self._block = (w, 1.0), []
        return True

    def resume(self, run: int) -> bool:
        """Begin a run from what an earlier one left, which is what its share in residuals comes from."""
        largest = max((left.remainder for left in self._runs[run].left), key=self.space.norm)
        return self.start(largest.clone())

    def shares(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the remainders of each run contribute to the residuals of columns (m, k): (runs, k)."""
        return np.stack([run.share(vectors, self.space) for run in self._runs])

    def step(self) -> None:
        """Add the next vector of the run to the basis and multiply it: one product, or those of a block.

        Raises:
            ArgumentError: If the operator turns out not to be symmetric.
        """
        if self.ended:
            raise IndexError("step: the run has ended or the basis is full.")
        if self._next is None:
            self._step_block()
            return
        self.take(self._operator @ self.offer())

    def offer(self) -> Float[Tensor, " p"]:
        """Add the next vector of the run to the basis and return it; its product is what :meth:`take` waits for."""
        if self.ended or self._next is None:
            raise IndexError("offer: the run has ended, or the basis is full.")
        q = self.basis.append(*self._next)
        self._couple(q, self.steps - 1)
        return q

    def take(self, product: Float[Tensor, " p"]) -> None:
        """Go on from the product of the vector that was offered.

        Raises:
            ArgumentError: If the operator turns out not to be symmetric.
        """
        j = self.steps - 1
        self._spacing = self._spacing if self.products else product_unit(product)
        self.products += 1
        self._scale = max(self._scale, self.space.norm(product))
        w = self._uncoupled(product, j)
        matrix = self._matrix[: j + 1, : j + 1]
        self._beta, self._noise[j], grown = self._sweeping.step(w, matrix, self.run_start, self._scale, self._rounding)
        if not grown:
            self._require_symmetry(j, self.products)
        run = self._runs[-1]
        run.left = [Left.by(w, j, self.capacity)]
        run.growth += math.log(self._beta) if self._beta > 0 else 0.0
        self._spread = math.hypot(self._spread, self._noise[j])
        self.invariant = self._beta <= self._rounding
        self._next = None if self.invariant else (w, self._beta)

    def compress(self, turn: NDArray[np.float64], values: NDArray[np.float64], first: int = 0) -> None:
        """Put the combinations ``turn`` (m − first, l), orthonormal, for the vectors of the basis from ``first`` on.

        Args:
            turn: The vectors to keep, eigenvectors of M or of its part from ``first`` on.
            values: The eigenvalues of the others, which are given up.
            first: 0, or the start of the current run, whose start then remains what it was drawn from.
        """
        count, kept = self.steps, first + turn.shape[1]
        self.largest = max(self.largest, float(np.abs(values).max(initial=0)))
        whole = np.eye(count, kept)
        whole[first:, first:] = turn
        matrix = whole.T @ self.matrix @ whole
        for run in self._runs[:-1] if first else ():
            run.take_back(self.basis, turn, first)
        self.basis.turn(torch.from_numpy(turn), first)
        rounding = 2 * torch.finfo(self.space.dtype).eps * self._scale
        noise = np.minimum(np.abs(whole).T @ self._noise[:count], self._spread)
        noise[first:] += rounding
        self._spread = math.hypot(self._spread, rounding * turn.shape[1] ** 0.5)
        self._matrix[:count, :count] = 0
        self._matrix[:kept, :kept] = (matrix + matrix.T) / 2
        self._noise[:count] = 0
        self._noise[:kept] = noise
        self._sweeping.turn(whole)
        for run in self._runs:
            for left in run.left:
                left.turn(whole)
            run.start = min(run.start, kept)
        if first:
            self._runs[-1].roots.extend(values.tolist())
        else:
            self._runs[-1].start = kept
        self._runs[:-1] = [run for run in self._runs[:-1] if not self._forgotten(run)]

    def _forgotten(self, run: Run) -> bool:
        """Whether what a run left is rounding; then it joins the noise."""
        sizes = [left.size(self.space) for left in run.left]
        if any(float(np.linalg.norm(size)) > self._rounding for size in sizes):
            return False
        for size in sizes:
            self._noise += size
            self._spread = math.hypot(self._spread, float(np.linalg.norm(size)))
        return True

    def residuals(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ‖A Q y − θ Q y‖ for the columns y of ``vectors`` (m, k), with the noise of the products."""
        exact = combined([left for run in self._runs for left in run.left], vectors, self.space)
        noise = np.minimum(np.abs(vectors).T @ self._noise[: self.steps], self._spread)
        # No vector of a basis need have seen ‖A‖ before a Ritz pair does.
        largest = float(np.abs((self.matrix @ vectors * vectors).sum(axis=0)).max())
        result: NDArray[np.float64] = exact + noise + max(self.rounding, self._spacing * largest)
        return result

    def _couple(self, q: Tensor, j: int) -> None:
        """Write down what is known of column j before its product: the parts of the remainders along q."""
        column = self._matrix[:j, j]
        for run in self._runs:
            for left in run.left:
                if self._next is not None and left.remainder is self._next[0]:
                    # q is this remainder, normalised: nothing of it is left.
                    column += self._beta * left.coupling[:j]
                    continue
                left.given[j] = self.space.dot(q, left.remainder)
                left.remainder.sub_(q, alpha=float(left.given[j]))
                column += left.given[j] * left.coupling[:j]
        self._matrix[j, :j] = column

    def _uncoupled(self, product: Tensor, j: int) -> Tensor:
        """Take out what is known, first, so that the errors of earlier vectors are not multiplied by it."""
        known = np.flatnonzero(self._matrix[:j, j]).tolist()
        if len(known) > _FEW:
            w = product.clone()
            self.basis.subtract(w, torch.from_numpy(self._matrix[:j, j]))
            return w
        taken: Tensor | None = None
        for i in known:
            # The product is the operator's, and is left as it is.
            source = product if taken is None else taken
            taken = torch.sub(source, self.basis[i], alpha=float(self._matrix[i, j]), out=taken)
        return product.clone() if taken is None else taken

    def _require_symmetry(self, j: int, product: int) -> None:
        limit = max(1e-3, 20 * self._spacing)
        if self._noise[j] > limit * self._scale:
            raise ArgumentError(
                f"operator: expected a symmetric matrix, but product {product} has a part of relative size "
                f"{self._noise[j] / self._scale:.1e} where symmetry asks for none. Check it with verify(operator)."
            )

    def _start_block(self, block: Float[Tensor, "p b"]) -> None:
        self._runs.append(Run(self.steps))
        self._next, self._block = None, list(block.mT.clone())

    def _step_block(self) -> None:
        """Add a block of orthonormal vectors, those of the remainders that are no rounding, and multiply them."""
        run, first = self._runs[-1], self.steps
        waiting = self._append_block(run)
        last = self.steps
        if last == first:
            self.invariant, self._block = True, []
            return
        vectors = torch.stack([self.basis[j] for j in range(first, last)]).mT
        image = (self._operator @ vectors).mT
        self._spacing = self._spacing if self.products else product_unit(image[0])
        self.products += last - first
        self._scale = max(self._scale, *(self.space.norm(row) for row in image))
        fresh = []
        for j, row in zip(range(first, last), image, strict=True):
            w = row.clone()
            self.basis.subtract(w, torch.from_numpy(self._matrix[:first, j]))
            found = self._sweeping.sweep(w, last - 1).double().cpu().numpy()
            self._matrix[first:last, j] = found[first:]
            self._noise[j] = float(np.linalg.norm(found[:first]))
            fresh.append(w)
        inner = self._matrix[first:last, first:last]
        self._noise[first:last] = np.hypot(self._noise[first:last], np.linalg.norm(inner - inner.T, axis=0) / 2)
        self._matrix[first:last, first:last] = (inner + inner.T) / 2
        for j in range(first, last):
            self._require_symmetry(j, self.products - last + j + 1)
            self._spread = math.hypot(self._spread, self._noise[j])
        run.left = [run.left[i] for i in waiting] + [Left.by(w, j, self.capacity) for j, w in enumerate(fresh, first)]
        self._block = [left.remainder for left in run.left if self.space.norm(left.remainder) > self._rounding]
        self.invariant = not self._block

    def _append_block(self, run: Run) -> list[int]:
        """Add the remainders of a run to the basis, each made orthogonal to those before it.

        One that is rounding, since it lies in the span of the others, is left out and counted as noise.

        Returns:
            Those that there was no room for.
        """
        first, waiting = self.steps, []
        room = min(self.space.size - first, self.capacity - first, self._limit - self.products)
        block = [left.remainder for left in run.left] or self._block
        sizes = [self.space.norm(w) for w in block]
        for i, (w, size) in enumerate(zip(block, sizes, strict=True)):
            if room == self.steps - first:
                waiting.append(i)
                continue
            for j in range(first, self.steps):
                self._sweeping.remove(w, j)
            left = self.space.norm(w)
            if left < 0.1 * size:
                # What earlier sweeps left has grown against what remains.
                self.basis.remove(w)
                left = self.space.norm(w)
            if left <= self._rounding:
                if run.left:
                    self._noise += left * np.abs(run.left[i].coupling)
                    self._spread = math.hypot(self._spread, left)
                continue
            j = self.steps
            q = self.basis.append(w, left)
            self._couple(q, j)
        return waiting
