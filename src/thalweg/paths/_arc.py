"""How long a curve is, and how much it bends for that."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import integrate

from thalweg.errors import ArgumentError
from thalweg.paths._curve import Curve, require_nodes


def curve_length(curve: Curve, first: float = 0.0, last: float = 1.0) -> float:
    r"""Return the length of a curve, or of a part of it.

    .. math:: \ell = \int_{t_0}^{t_1} \|\theta'(t)\|\, dt

    Cost: the inner products of the steps between nodes. The integral is taken by adaptive quadrature to about ten
    digits; along a chain it is a sum.

    Args:
        curve: Its nodes.
        first: t₀.
        last: t₁ ≥ t₀, both from 0 to 1.

    Raises:
        ArgumentError: If these are no positions in this order.

    Example:
        >>> parabola = Curve(torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]], dtype=torch.float64))
        >>> round(curve_length(parabola), 10), round(2**0.5 + math.asinh(1), 10)
        (2.2955871494, 2.2955871494)
    """
    if not 0 <= first <= last <= 1:
        raise ArgumentError(f"first, last: expected positions 0 ≤ first ≤ last ≤ 1, got {first} and {last}.")
    return _lengths(curve, [first, last])[-1]


def curve_energy(curve: Curve) -> float:
    r"""Return the energy of a curve, :math:`E = \int_0^1 \|\theta'(t)\|^2 dt`.

    It is at least the square of the length, and equal to it exactly where t runs at constant speed.

    Cost: the inner products of the steps between nodes; the integral is exact.

    Args:
        curve: Its nodes.

    Example:
        >>> parabola = Curve(torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]], dtype=torch.float64))
        >>> round(3 * curve_energy(parabola), 12)
        16.0
    """
    products = _products(curve)
    degree = len(products)
    if curve.kind == "chain":
        return float(degree * np.trace(products))
    # ∫ b_i b_j over [0, 1], with the Bernstein polynomials b of degree n = k − 1.
    n = degree - 1
    shared = np.array(
        [[math.comb(n, i) * math.comb(n, j) / (math.comb(2 * n, i + j) * (2 * n + 1)) for j in range(degree)]
         for i in range(degree)]
    )  # fmt: skip
    return float(degree**2 * (shared * products).sum())


def distances(curve: Curve, positions: Sequence[float]) -> list[float]:
    """Return the length from t = 0 to each of these positions, which increase from at least 0."""
    return _lengths(curve, [0.0, *positions])[1:]


def _lengths(curve: Curve, positions: Sequence[float]) -> list[float]:
    products = _products(curve)
    between = _along_chain(products) if curve.kind == "chain" else _along_bezier(products)
    total, lengths = 0.0, [0.0]
    for low, high in itertools.pairwise(positions):
        total += between(low, high)
        lengths.append(total)
    return lengths


def _along_chain(products: np.ndarray) -> Callable[[float, float], float]:
    pieces = np.sqrt(np.diag(products))
    corners = np.concatenate([[0.0], np.cumsum(pieces)])
    where = np.linspace(0.0, 1.0, len(corners))
    return lambda low, high: float(np.interp(high, where, corners) - np.interp(low, where, corners))


def _along_bezier(products: np.ndarray) -> Callable[[float, float], float]:
    degree = len(products)

    def speed(t: float) -> float:
        shares = [math.comb(degree - 1, i) * (1 - t) ** (degree - 1 - i) * t**i for i in range(degree)]
        return degree * math.sqrt(max(0.0, float(np.array(shares) @ products @ np.array(shares))))

    return lambda low, high: float(integrate.quad(speed, low, high, epsabs=0, epsrel=1e-11)[0]) if high > low else 0.0


def _products(curve: Curve) -> np.ndarray:
    """The inner products of the steps between nodes, in double precision, one row at a time."""
    require_nodes(curve)
    curve.weights(0.0)
    steps = [(after - before).double() for before, after in itertools.pairwise(curve.nodes)]
    return np.array([[float(torch.dot(one, other)) for other in steps] for one in steps])
