"""Projected gradient ascent on a ball around a point of a landscape."""

from jaxtyping import Float
from torch import Tensor

from thalweg.errors import NonFiniteError
from thalweg.landscape import Landscape

_TOLERANCE = 1e-9


class Ball:
    """The ball ‖δ‖ ≤ ρ around the point of a landscape; counts the gradients taken in it.

    Args:
        landscape: Its point is the centre.
        rho: ρ.
        base: L at the centre.
    """

    def __init__(self, landscape: Landscape, rho: float, base: float) -> None:
        self.base = base
        self.rho = rho
        self.gradients = 0
        self._landscape = landscape
        self._centre = landscape.theta

    def project(self, delta: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """Return the nearest point of the ball."""
        length = self.norm(delta)
        return delta if length <= self.rho else delta * (self.rho / length)

    def norm(self, delta: Float[Tensor, " p"]) -> float:
        """Return ‖δ‖."""
        return self._landscape.space.norm(delta)

    def loss(self, delta: Float[Tensor, " p"]) -> float:
        """Return L(θ + δ).

        Raises:
            NonFiniteError: If it is not finite.
        """
        try:
            return self._landscape.loss(self._centre + delta)
        except NonFiniteError as error:
            raise self._unbounded(delta, error) from error

    def rise_and_gradient(self, delta: Float[Tensor, " p"]) -> tuple[float, Float[Tensor, " p"]]:
        """Return L(θ + δ) − L(θ) and the gradient there.

        Raises:
            NonFiniteError: If one of them is not finite.
        """
        try:
            loss, gradient = self._landscape.loss_and_gradient(self._centre + delta)
        except NonFiniteError as error:
            raise self._unbounded(delta, error) from error
        self.gradients += 1
        return loss - self.base, gradient

    def _unbounded(self, delta: Tensor, error: NonFiniteError) -> NonFiniteError:
        return NonFiniteError(
            f"rho: expected a ball in which the loss is finite, but at distance {self.norm(delta):.4g} of "
            f"{self.rho:.4g} from the point: {error} The maximum over this ball has no finite value; choose a "
            "smaller rho."
        )


def climb(ball: Ball, start: Float[Tensor, " p"], steps: int) -> float:
    """Climb from the point of the sphere in a direction, and return the largest rise seen.

    The step grows while the loss rises and shrinks when it does not. A long step followed by the projection
    is the fixed-point iteration δ ← ρ g(δ)/‖g(δ)‖, which for a quadratic is the power method.

    Args:
        ball: Where to climb.
        start: The direction, not zero.
        steps: The most gradients to take.
    """
    delta = start * (ball.rho / ball.norm(start))
    best, gradient = ball.rise_and_gradient(delta)
    length = ball.norm(gradient)
    step = ball.rho / length if length > 0 else 0.0
    for _ in range(steps - 1):
        trial = ball.project(delta + step * gradient)
        if ball.norm(trial - delta) <= _TOLERANCE * ball.rho:
            break
        rise, slope = ball.rise_and_gradient(trial)
        if rise > best:
            delta, best, gradient = trial, rise, slope
            step *= 4
        else:
            step /= 8
    return best
