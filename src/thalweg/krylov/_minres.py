"""Linear systems with a symmetric matrix that may be indefinite or singular."""

import math
import time
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._operator import SymmetricOperator, require_symmetric, require_whole
from thalweg.krylov._three_term import ThreeTerm
from thalweg.record import Record

Outcome = Literal["solved", "least-squares", "radius", "limit"]


@dataclass(frozen=True)
class LinearSolution(Record):
    """What x solves A x = b, as far as it can be solved.

    Attributes:
        x: Shape (P,).
        outcome: "solved"; "least-squares", where b is not in the range of A: x is the least-squares solution of least
            norm; "radius", where x became longer than was asked for; or "limit", where the products were used up.
        residual: ‖b − A x‖, from a product of its own.
        normal_residual: ‖A r‖ / (‖A‖ ‖r‖) of the last residual r whose product was seen: small where r lies in the null
            space. ``None`` for b = 0.
        curvature: The least rᵀA r / rᵀr of the residuals on the way; negative where A was seen to have a negative
            eigenvalue, which is then at most this. ``None`` for b = 0.
        direction: The residual, of length 1, with that curvature if it is negative; else ``None``.
        cost: What it took.
    """

    x: Tensor
    outcome: str
    residual: float
    normal_residual: float | None
    curvature: float | None
    direction: Tensor | None
    cost: Cost

    def __str__(self) -> str:
        seen = "" if self.direction is None else f", negative curvature {self.curvature:.3g} seen"
        return f"{self.outcome}: ‖b − Ax‖ = {self.residual:.3g}{seen} ({self.cost})"


def minres(
    operator: SymmetricOperator,
    b: Float[Tensor, " p"],
    *,
    rtol: float = 1e-6,
    cutoff: float | None = None,
    radius: float | None = None,
    max_matvecs: int | None = None,
    reorthogonalise: bool = False,
) -> LinearSolution:
    r"""Minimise :math:`\|b - A x\|` over Krylov spaces of growing dimension (Paige & Saunders, 1975).

    The matrix may be indefinite. Where it is singular and b is not in its range, the iteration ends with a residual in
    the null space, :math:`A r = 0`; its iterate then is a least-squares solution, and
    :math:`x - (r^\top x / r^\top r)\, r` the one of least norm, A⁺b (Liu, Milzarek & Roosta, 2023), which is returned.
    The curvature along the residuals comes with the recurrence: whoever minimises learns of negative eigenvalues
    (Liu & Roosta, 2022).

    Cost: one product an iteration and one for the residual; about √κ·ln(2/rtol) iterations for eigenvalues of one sign
    and condition number κ, and κ for both signs. Memory of eight vectors, and one an iteration with
    ``reorthogonalise``, which then needs no more than P iterations where the plain recurrence may need several P.

    Valid for: real symmetric operators.

    Args:
        operator: A, (P, P).
        b: The right-hand side, (P,).
        rtol: Residual at which x counts as a solution, relative to ‖b‖.
        cutoff: What counts as a zero eigenvalue, relative to ‖A‖: the iteration ends where ‖A r‖ falls below this times
            ‖A‖‖r‖. By default ε^{2/3} of the dtype, 4e-11 in double precision.
        radius: Where to stop for the length of x, as a trust region does: with the first iterate that is longer.
        max_matvecs: Most iterations; by default P with ``reorthogonalise``, 5P without.
        reorthogonalise: Whether the basis is kept, and kept orthogonal.

    Raises:
        ArgumentError: If an argument has a wrong value, or the operator is not symmetric.
        NonFiniteError: If a product is not finite.

    Example:
        >>> diagonal = torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64)
        >>> op = tw.FunctionOperator(lambda v: diagonal * v, 3, dtype=torch.float64)
        >>> found = minres(op, torch.tensor([2.0, 3.0, 5.0], dtype=torch.float64))
        >>> [round(value, 6) for value in found.x.tolist()], found.outcome
        ([1.0, -3.0, 0.0], 'least-squares')
    """
    require_symmetric(operator)
    space = operator.space
    limit = _checked(
        operator, b, {"rtol": rtol, "cutoff": cutoff, "radius": radius}, max_matvecs, reorthogonalise=reorthogonalise
    )
    zero = torch.finfo(space.dtype).eps ** (2 / 3) if cutoff is None else cutoff
    started, length = time.perf_counter(), space.norm(b)
    if length == 0:
        cost = Cost(seconds=time.perf_counter() - started)
        return LinearSolution(torch.zeros_like(b), "solved", 0.0, None, None, None, cost)
    steps = _Stored(operator, b, limit) if reorthogonalise else _Short(operator, b)
    state = _State(b, length)
    outcome: Outcome = "limit"
    for _ in range(limit):
        q = steps.step()
        # The residual before this iteration, and what its product is like, come with the recurrence.
        state.look(q, *steps.coefficients())
        if state.left <= zero * steps.scale:
            outcome = "least-squares"
            break
        state.move(q, *steps.coefficients())
        if state.phi <= rtol * length:
            outcome = "solved"
            break
        if radius is not None and space.norm(state.x) > radius:
            outcome = "radius"
            break
    rest = b - operator @ state.x
    residual = space.norm(rest)
    if outcome == "least-squares" and residual > 0:
        state.x.sub_(rest, alpha=space.dot(rest, state.x) / residual**2)
    cost = Cost(matvecs=steps.products + 1, seconds=time.perf_counter() - started)
    normal = state.left / steps.scale if steps.scale > 0 else 0.0
    return LinearSolution(state.x, outcome, residual, normal, state.curvature, state.direction, cost)


class _Short:
    """The recurrence in the memory of three vectors."""

    def __init__(self, operator: SymmetricOperator, b: Tensor) -> None:
        self._terms = ThreeTerm(operator, b)

    def step(self) -> Tensor:
        return self._terms.step()

    def coefficients(self) -> tuple[float, float]:
        return self._terms.diagonal[-1], 0.0 if self.invariant else self._terms.couplings[-1]

    @property
    def scale(self) -> float:
        return self._terms.scale

    @property
    def products(self) -> int:
        return len(self._terms.diagonal)

    @property
    def invariant(self) -> bool:
        return self._terms.invariant


class _Stored:
    """The recurrence with its basis, orthogonal to working precision."""

    def __init__(self, operator: SymmetricOperator, b: Tensor, limit: int) -> None:
        # The basis may be of the whole space; products beyond that are none.
        self._lanczos = Lanczos(operator, min(limit, operator.space.size), limit=operator.space.size)
        self._lanczos.start(b)

    def step(self) -> Tensor:
        self._lanczos.step()
        return self._lanczos.basis[self._lanczos.steps - 1]

    def coefficients(self) -> tuple[float, float]:
        alphas, betas = self._lanczos.run()
        return float(alphas[-1]), 0.0 if self.invariant else float(betas[-1])

    @property
    def scale(self) -> float:
        return self._lanczos.scale

    @property
    def products(self) -> int:
        return self._lanczos.products

    @property
    def invariant(self) -> bool:
        return self._lanczos.invariant or self._lanczos.full


class _State:
    """The QR factorisation of the tridiagonal matrix by reflections, and the iterate that follows from it.

    Attributes:
        x: The iterate.
        phi: ‖b − A x‖ by the recurrence.
        left: ‖A r‖ / ‖r‖ of the residual r that was looked at last.
        curvature: The least rᵀA r / rᵀr so far.
        direction: The residual that has it, of length 1, if it is negative.
    """

    def __init__(self, b: Tensor, length: float) -> None:
        self.x = torch.zeros_like(b)
        self.phi, self.left = length, math.inf
        self.curvature: float | None = None
        self.direction: Tensor | None = None
        self._residual = b.clone()
        self._before, self._last = torch.zeros_like(b), torch.zeros_like(b)
        self._c, self._s = -1.0, 0.0
        self._delta, self._epsilon = 0.0, 0.0

    def look(self, q: Tensor, alpha: float, beta: float) -> None:
        """Take down what is known of the product with the residual before the iterate moves."""
        if self._c != -1.0 or self._s != 0.0:
            self._residual.mul_(self._s**2).sub_(q, alpha=self.phi * self._c)
        gamma, delta = self._gamma(alpha), -self._c * beta
        self.left = math.hypot(gamma, delta)
        curvature = -self._c * gamma
        if self.curvature is None or curvature < self.curvature:
            self.curvature = curvature
            if curvature < 0:
                self.direction = self._residual / self.phi

    def move(self, q: Tensor, alpha: float, beta: float) -> None:
        """Go to the minimum over the space that q has been added to."""
        gamma = self._gamma(alpha)
        across = self._c * self._delta + self._s * alpha
        onward, delta = self._s * beta, -self._c * beta
        size = math.hypot(gamma, beta)
        direction = q - across * self._last
        direction.sub_(self._before, alpha=self._epsilon).div_(size)
        self._c, self._s = gamma / size, beta / size
        self.x.add_(direction, alpha=self._c * self.phi)
        self.phi *= self._s
        self._before, self._last = self._last, direction
        self._delta, self._epsilon = delta, onward

    def _gamma(self, alpha: float) -> float:
        return self._s * self._delta - self._c * alpha


def _checked(
    operator: SymmetricOperator,
    b: Tensor,
    limits: dict[str, float | None],
    max_matvecs: int | None,
    *,
    reorthogonalise: bool,
) -> int:
    """Return the most iterations.

    Raises:
        ArgumentError: If an argument has a wrong value.
    """
    space = operator.space
    size = space.size
    if not isinstance(b, Tensor) or tuple(b.shape) != (space.local_size,):
        got = tuple(b.shape) if isinstance(b, Tensor) else type(b).__name__
        raise ArgumentError(f"b: expected a tensor of shape ({space.local_size},), got {got}.")
    if b.dtype != space.dtype or b.device != space.device:
        raise ArgumentError(f"b: expected {space.dtype} on {space.device}, got {b.dtype} on {b.device}.")
    if not bool(b.isfinite().all()):
        raise ArgumentError("b: expected finite entries, got one that is infinite or not a number.")
    for name, value in limits.items():
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise ArgumentError(f"{name}: expected a finite number of at least 0, got {value}.")
    if max_matvecs is None:
        return size if reorthogonalise else 5 * size
    require_whole("max_matvecs", max_matvecs)
    if max_matvecs < 1:
        raise ArgumentError(f"max_matvecs: expected at least 1, got {max_matvecs}.")
    return min(max_matvecs, size) if reorthogonalise else max_matvecs
