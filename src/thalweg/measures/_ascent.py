"""Projected gradient ascent on a region around a point of a landscape."""

from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.landscape import Landscape

_TOLERANCE = 1e-9


class Region(Protocol):
    """Where to climb: a convex set around the centre, in coordinates of its own."""

    rho: float
    """How far it reaches from the centre, by its norm."""

    def project(self, delta: Float[Tensor, " q"]) -> Float[Tensor, " q"]:
        """Return the nearest point of the region."""
        ...

    def edge(self, direction: Float[Tensor, " q"]) -> Float[Tensor, " q"]:
        """Return the point of the region that a linear function of this slope, not zero, is largest at."""
        ...

    def norm(self, delta: Float[Tensor, " q"]) -> float:
        """Return the norm by which the region reaches."""
        ...

    def rise_and_gradient(self, delta: Float[Tensor, " q"]) -> tuple[float, Float[Tensor, " q"]]:
        """Return L there less L at the centre, and the gradient there, in the region's coordinates."""
        ...


class Ball:
    """The ball ‖u‖ ≤ ρ around the point of a landscape, δ = T u for a diagonal T; counts the gradients taken in it.

    Args:
        landscape: Its point is the centre.
        rho: ρ.
        base: L at the centre.
        scale: The diagonal of T, shape (P,); ``None`` for the identity.
    """

    def __init__(self, landscape: Landscape, rho: float, base: float, scale: Float[Tensor, " p"] | None = None) -> None:
        self.base = base
        self.rho = rho
        self.gradients = 0
        self._landscape = landscape
        self._centre = landscape.theta
        self._scale = scale

    def project(self, delta: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """Return the nearest point of the ball."""
        length = self.norm(delta)
        return delta if length <= self.rho else delta * (self.rho / length)

    def edge(self, direction: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """Return the point of the sphere in a direction."""
        return direction * (self.rho / self.norm(direction))

    def norm(self, delta: Float[Tensor, " p"]) -> float:
        """Return ‖u‖."""
        return self._landscape.space.norm(delta)

    def loss(self, delta: Float[Tensor, " p"]) -> float:
        """Return L(θ + Tu).

        Raises:
            NonFiniteError: If it is not finite.
        """
        try:
            return self._landscape.loss(self._centre + self._moved(delta))
        except NonFiniteError as error:
            raise self._unbounded(delta, error) from error

    def rise_and_gradient(self, delta: Float[Tensor, " p"]) -> tuple[float, Float[Tensor, " p"]]:
        """Return L(θ + Tu) − L(θ) and the gradient there, by u.

        Raises:
            NonFiniteError: If one of them is not finite.
        """
        try:
            loss, gradient = self._landscape.loss_and_gradient(self._centre + self._moved(delta))
        except NonFiniteError as error:
            raise self._unbounded(delta, error) from error
        self.gradients += 1
        return loss - self.base, gradient if self._scale is None else gradient * self._scale

    def _moved(self, delta: Tensor) -> Tensor:
        return delta if self._scale is None else delta * self._scale

    def _unbounded(self, delta: Tensor, error: NonFiniteError) -> NonFiniteError:
        return NonFiniteError(
            f"rho: expected a ball in which the loss is finite, but at distance {self.norm(delta):.4g} of "
            f"{self.rho:.4g} from the point: {error} The maximum over this ball has no finite value; choose a "
            "smaller rho."
        )


class Box:
    """The box |z_i| ≤ h_i around the point of a landscape, δ = A z, in coordinates u = z / h; counts its gradients.

    Args:
        landscape: Its point is the centre.
        halves: h, shape (q,), none of them zero.
        base: L at the centre.
        basis: A, shape (P, q); ``None`` for the identity.
    """

    def __init__(
        self,
        landscape: Landscape,
        halves: Float[Tensor, " q"],
        base: float,
        basis: Float[Tensor, "p q"] | None = None,
    ) -> None:
        self.base = base
        self.rho = 1.0
        self.gradients = 0
        self._landscape = landscape
        self._centre = landscape.theta
        self._halves = halves
        self._basis = basis

    def project(self, delta: Float[Tensor, " q"]) -> Float[Tensor, " q"]:
        """Return the nearest point of the box."""
        return delta.clamp(-1, 1)

    def edge(self, direction: Float[Tensor, " q"]) -> Float[Tensor, " q"]:
        """Return the corner that a direction points into."""
        return direction.sign()

    def norm(self, delta: Float[Tensor, " q"]) -> float:
        """Return the largest entry."""
        return float(delta.abs().max())

    def rise_and_gradient(self, delta: Float[Tensor, " q"]) -> tuple[float, Float[Tensor, " q"]]:
        """Return L(θ + A(h∘u)) − L(θ) and the gradient there, by u.

        Raises:
            NonFiniteError: If one of them is not finite.
        """
        moved = self._halves * delta
        moved = moved if self._basis is None else self._basis @ moved
        try:
            loss, gradient = self._landscape.loss_and_gradient(self._centre + moved)
        except NonFiniteError as error:
            raise NonFiniteError(
                f"epsilon: expected a box in which the loss is finite, but in it: {error} The maximum over this box "
                "has no finite value; choose a smaller epsilon."
            ) from error
        self.gradients += 1
        return loss - self.base, self.slope(gradient)

    def slope(self, gradient: Float[Tensor, " p"]) -> Float[Tensor, " q"]:
        """Return a gradient by θ as one by u."""
        return self._halves * (gradient if self._basis is None else self._basis.mT @ gradient)


def climb(region: Region, start: Float[Tensor, " q"], steps: int) -> float:
    """Climb from the edge of a region in a direction, and return the largest rise seen.

    The step grows while the loss rises and shrinks when it does not. A long step followed by the projection
    is the fixed-point iteration δ ← edge(g(δ)), which for a quadratic on a ball is the power method.

    Args:
        region: Where to climb.
        start: The direction, not zero.
        steps: The most gradients to take.
    """
    delta = region.edge(start)
    best, gradient = region.rise_and_gradient(delta)
    length = region.norm(gradient)
    step = region.rho / length if length > 0 else 0.0
    for _ in range(steps - 1):
        trial = region.project(delta + step * gradient)
        if region.norm(trial - delta) <= _TOLERANCE * region.rho:
            break
        rise, slope = region.rise_and_gradient(trial)
        if rise > best:
            delta, best, gradient = trial, rise, slope
            step *= 4
        else:
            step /= 8
    return best


def highest(region: Region, starts: Sequence[Float[Tensor, " q"]], steps: int) -> Float[Tensor, " starts"]:
    """Climb from each start, and return the largest rise of each."""
    return torch.tensor([climb(region, start, steps) for start in starts], dtype=torch.float64)


def require_climb(steps: int, restarts: int) -> None:
    """Refuse counts that are none.

    Raises:
        ArgumentError: If ``steps`` is below 1 or ``restarts`` below 0.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ArgumentError(f"steps: expected at least 1, got {steps}.")
    if isinstance(restarts, bool) or not isinstance(restarts, int) or restarts < 0:
        raise ArgumentError(f"restarts: expected at least 0, got {restarts}.")


def require_nothing(method: str, **given: object) -> None:
    """Refuse arguments that a method has no use for.

    Raises:
        ArgumentError: If one of them is not ``None``.
    """
    for name, value in given.items():
        if value is not None:
            raise ArgumentError(f"{name}: expected None with method={method!r}, which has no use for it.")
