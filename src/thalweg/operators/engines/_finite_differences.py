"""Hessian products from differences of the gradient, with an estimate of their error."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.landscape import Landscape

# A step is changed at most twice: what one difference says of the next is right to a small factor.
_ROUNDS = 3
# The largest step, relative to the length at which parameters change by their own size.
_LARGEST = 0.125
# Both parts of the estimate are estimated themselves. In 7000 products with networks of 1 to 8 parameters, where
# rounding averages least, the true error never passed twice their sum.
_SAFETY = 2.0
# Truncation and rounding within this factor of each other are balanced.
_BALANCED = 8.0


@dataclass(frozen=True)
class Difference:
    r"""What gradients at θ ± hv and θ ± hv/2 say of Hv, for a vector v of unit length.

    Attributes:
        value: Richardson's (4D(h/2) − D(h))/3, of error O(h⁴), from the central differences
            D(h) = (∇L(θ+hv) − ∇L(θ−hv))/2h.
        truncation: ‖D(h/2) − D(h)‖/3, the error O(h²) of D(h/2), which bounds that of ``value``.
        rounding: What the rounding of gradients and points does to ``value``, as far as these gradients show it: they
            may show kinks and high derivatives, too.
        floor: The same from the noise that was measured at θ alone.
        flat: Whether the gradients are those at θ, to the last bit.
    """

    value: Tensor
    truncation: float
    rounding: float
    floor: float
    flat: bool

    @property
    def error(self) -> float:
        """Estimate of the norm of the error of ``value``."""
        return 0.0 if self.flat else _SAFETY * (self.truncation + self.rounding)

    @property
    def relative(self) -> float:
        """The same relative to the smallest norm that the product may have, infinite where that is zero."""
        if self.error == 0:
            return 0.0
        least = _norm(self.value) - self.error
        return self.error / least if least > 0 else math.inf

    def factor(self, precision: float) -> float:
        """Return what to multiply the step with: 1 if the error is small, or would not become much smaller."""
        if self.flat:
            return math.inf
        if self.relative <= math.sqrt(precision):
            return 1.0
        if self.truncation <= self.floor:
            return _BALANCED
        ratio = self.truncation / max(self.floor, precision * self.truncation)
        # One grows as h², the other falls as 1/h.
        return ratio ** (-1 / 3) if ratio > _BALANCED else 1.0


class FiniteDifferences:
    r"""Products Hv by central differences of the gradient, extrapolated over two steps.

    .. math:: D(h) = \frac{\nabla L(\theta + h\hat v) - \nabla L(\theta - h\hat v)}{2h}, \qquad
        Hv \approx \lVert v\rVert \, \frac{4 D(h/2) - D(h)}{3}, \qquad \hat v = v / \lVert v\rVert,

    so that products are homogeneous in v, for powers of two to the last bit; the product of zero is zero.

    The step starts at :math:`h = u^{1/3} \, \mathrm{rms}(\theta) / \lVert\hat v\rVert_4^2`, with u the machine
    precision of the coarsest parameter. :math:`\lVert\hat v\rVert_4^{-4}` is the number of entries that v̂ is
    spread over, so that each of them changes by about u^{1/3} of the size of a parameter, be it one or all: a step
    relative to ‖θ‖ would be too large for single entries by a factor √P, one relative to rms(θ) too small for
    random vectors by as much. Where θ is zero, its size counts as 1. The step is then changed, twice at
    most, until the estimate is below √u relative to the product, or truncation and rounding are balanced: larger where
    rounding dominates, as in single precision, smaller where truncation does. The best of what was tried is kept.

    The error estimate is twice the sum of the truncation error of D(h/2), seen as its distance from the extrapolated
    value, and of the rounding error. The noise that rounding leaves in a gradient is measured once, from third
    differences along a random line, and again for every vector, from the fourth difference of its gradients; the
    larger counts. In double precision an estimate of 1e-9 is common, in single precision 1e-3, and the true error
    is about five times smaller. Directions of hardly any curvature have a large relative error, and the estimate
    says so.

    At kinks (ReLU) differences see curvature that automatic differentiation does not define: its almost-everywhere
    Hessian leaves out the jumps of the gradient. A single kink close by makes the step shorter, and where that does
    not avoid it, the estimate covers the gap. Where a step crosses many on either side, their jumps add up to the
    curvature of a smooth average; the estimate is then the error of *that* curvature, from which the
    almost-everywhere Hessian legitimately differs. The same holds where the gradient is not the loss's derivative: what
    autograd calls constant, such as the padding row of an embedding, moves in differences.

    Cost of a product: 4 gradients a vector, 8 or 12 where the step has to be changed, and 7 once. No graph is
    kept: the memory is that of a gradient, and some vectors.

    Source: Richardson (1911) for the extrapolation; Hamming (1962), Moré & Wild (2011) for noise from differences.

    Args:
        landscape: Where to differentiate, by its gradient alone.

    Example:
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> cube = tw.objectives.from_function(lambda model, x: (model(x) ** 3).sum(), len)
        >>> landscape = tw.Landscape(model, cube, [torch.ones(1, 1, dtype=torch.float64)])  # θ³ at 1
        >>> engine = FiniteDifferences(landscape)
        >>> round(engine.product(torch.ones(1, 1, dtype=torch.float64)).item(), 6), engine.error < 1e-8
        (6.0, True)
    """

    name = "finite-differences"

    def __init__(self, landscape: Landscape) -> None:
        self._landscape = landscape
        self._theta = landscape.theta
        # A parameter of a coarser type than the vectors' rounds every step to its own.
        self._precision = max(torch.finfo(leaf.dtype).eps for leaf in landscape.leaves(grad=False))
        self._size = _norm(_wide(self._theta)) / math.sqrt(len(self._theta)) or 1.0
        self._centre: Tensor | None = None
        self._noise: float | None = None
        self._error: float | None = None
        self._steps: tuple[float, ...] = ()

    @property
    def error(self) -> float | None:
        """Estimate of ‖error‖/‖Hv‖ of the last product, the largest over its columns; ``None`` before the first.

        Infinite where a product vanishes within its error. A gradient that does not change by a bit up to
        the largest step counts as constant: a product of zero, without error.
        """
        return self._error

    @property
    def noise(self) -> float | None:
        """Norm of what rounding adds to a gradient, as measured at the first product; ``None`` before it."""
        return self._noise

    @property
    def steps(self) -> tuple[float, ...]:
        """The steps h of the last product, one a column; 0 for a column of zeros."""
        return self._steps

    def product(self, block: Tensor) -> Tensor:
        """Multiply the Hessian with a block (P, k), column by column."""
        rows = torch.zeros(block.mT.shape, dtype=block.dtype, device=block.device)
        errors, steps = list[float](), list[float]()
        for row, vector in zip(rows, block.mT, strict=True):
            error, step = self._multiply(row, vector)
            errors.append(error)
            steps.append(step)
        self._error, self._steps = max(errors), tuple(steps)
        return rows.mT

    def _multiply(self, row: Tensor, vector: Tensor) -> tuple[float, float]:
        """Write the product into ``row``; return its relative error and the step."""
        largest = float(vector.abs().max())
        if largest == 0:
            return 0.0, 0.0
        # The norm of the scaled vector neither underflows nor overflows.
        scaled = _wide(vector) / largest
        length = _norm(scaled)
        if not math.isfinite(length):
            # A vector that is not finite has no product: the operator's check says so.
            row.fill_(math.nan)
            return math.inf, 0.0
        found, step = self._best(scaled / length)
        row.copy_(found.value * length * largest)
        return found.relative, step

    def _best(self, unit: Tensor) -> tuple[Difference, float]:
        """Return the difference of the smallest estimate among the steps that were tried, and its step."""
        scale = self._size / float(unit.square().square().sum().sqrt())
        step = scale * self._precision ** (1 / 3)
        tried = list[tuple[Difference, float]]()
        for _ in range(_ROUNDS):
            found = self._difference(unit, step)
            tried.append((found, step))
            following = min(step * found.factor(self._precision), _LARGEST * scale)
            if following == step:
                break
            step = following
        # A gradient that stands still over a short step, and not over a long one, is not constant.
        moving = [pair for pair in tried if not pair[0].flat]
        return min(moving or tried, key=lambda pair: pair[0].error)

    def _difference(self, unit: Tensor, step: float) -> Difference:
        centre, floor = self._measured()
        ahead, behind = self._gradient(unit, step), self._gradient(unit, -step)
        near, back = self._gradient(unit, step / 2), self._gradient(unit, -step / 2)
        wide, narrow = (ahead - behind) / (2 * step), (near - back) / step
        excess = (narrow - wide) / 3
        value = narrow + excess
        # In a fourth difference anything smooth is O(h⁴), and independent noise grows by √(1 + 16 + 36 + 16 + 1).
        fourth = (ahead + behind) - 4 * (near + back) + 6 * centre
        noise = max(_norm(fourth) / math.sqrt(70), floor)
        moved = _norm(torch.where(unit == 0, 0, _wide(self._theta)))
        # The noise of each gradient enters with ±4/3h or ∓1/6h; and the points are rounded, too.
        spread, shifted = math.sqrt(2 * (16 / 9 + 1 / 36)), self._precision * moved * _norm(value)
        return Difference(
            value,
            truncation=_norm(excess),
            rounding=(spread * noise + shifted) / step,
            floor=(spread * floor + shifted) / step,
            flat=all(torch.equal(part, centre) for part in (ahead, behind, near, back)),
        )

    def _gradient(self, unit: Tensor, step: float) -> Tensor:
        return _wide(self._landscape.gradient(self._theta + (step * unit).to(self._theta.dtype)))

    def _measured(self) -> tuple[Tensor, float]:
        """Return the gradient at θ and its noise, measured at the first call."""
        if self._centre is None or self._noise is None:
            self._centre = _wide(self._landscape.gradient())
            # Far enough apart to round independently, near enough for third differences to see nothing else.
            step = self._size * math.sqrt(self._precision)
            signs = _wide(self._landscape.space.rademacher())
            line, squares = [self._centre], 0.0
            for place in range(1, 7):
                line.append(self._gradient(signs, place * step))
                if len(line) == 4:
                    squares += _norm(line[3] - line[0] + 3 * (line[1] - line[2])) ** 2
                    del line[0]
            # Four of them, each of which holds independent noise √(1 + 9 + 9 + 1) times.
            rms = math.sqrt(squares / (4 * 20))
            self._noise = max(rms, self._precision * _norm(self._centre))
        return self._centre, self._noise


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor))
