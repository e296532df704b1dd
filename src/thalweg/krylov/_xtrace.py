"""The trace by a sketch that every test vector serves twice."""

import math

import torch
from torch import Tensor

from thalweg.estimate import Estimate
from thalweg.krylov._leave_one_out import directions, sketched
from thalweg.krylov._operator import SymmetricOperator
from thalweg.progress import Progress


def xtrace(
    operator: SymmetricOperator, products: int, generator: torch.Generator, bar: Progress
) -> tuple[Estimate, int]:
    r"""Return an unbiased estimate of tr A from m = products/2 test vectors, and the products made.

    The mean over i of what test vector ω_i, as a probe, adds to the sketch by all others:

    .. math:: \operatorname{tr} Q_{(i)}^\top A Q_{(i)} + \alpha_i\, \omega_i^\top (I - Q_{(i)}Q_{(i)}^\top)\, A\,
              (I - Q_{(i)}Q_{(i)}^\top)\, \omega_i

    (Epperly, Tropp & Webber, 2024) with test vectors on the sphere and :math:`\alpha_i = (P - m + 1) / \lVert (I -
    Q_{(i)}Q_{(i)}^\top) \omega_i \rVert^2`, which takes out the fluctuation of that length.

    The terms share their sketches. What a pair of test vectors does to each other enters two terms alike, which at the
    most doubles the variance of the mean, where nothing but pairs counts; the standard error is that bound, √2 times
    what independent terms of this spread would have. Measured, the truth is 1.0 to 1.42 times the latter, and 95 %
    intervals cover in 93 to 98 % of runs from 16 products on (89 to 98 % from 8, of which no more than 3 differences
    tell the spread).
    """
    space = operator.space
    count = min(products // 2, space.size)
    if count == space.size:
        image = operator @ torch.eye(count, dtype=space.dtype, device=space.device)
        bar.advance(count)
        return Estimate(float(image.diagonal().double().sum()), 0.0), count
    omega = space.randn(generator, count)
    sizes = torch.tensor([space.norm(row) for row in omega.mT], dtype=omega.dtype, device=omega.device)
    omega = (omega.mT * (math.sqrt(space.size) / sizes)[:, None]).mT
    sketch = sketched(operator, omega, generator, bar)
    inner = space.gram(sketch.basis, sketch.image).double().cpu()
    overlaps = space.gram(sketch.basis, sketch.omega).double().cpu()
    terms = _terms(space.size, inner, overlaps, sketch.triangle)
    return Estimate(float(terms.mean()), math.sqrt(2 / count) * float(terms.std()), count - 1), 2 * count


def _terms(size: int, inner: Tensor, overlaps: Tensor, coordinates: Tensor) -> Tensor:
    """The estimates by each test vector from QᵀAQ, QᵀΩ and R."""
    s, count = directions(coordinates), len(inner)
    x = overlaps - s * (s * overlaps).sum(dim=0)
    # ωᵀAω from AΩ = QR.
    rest = (overlaps * coordinates).sum(dim=0) - 2 * (x * coordinates).sum(dim=0) + (x * (inner @ x)).sum(dim=0)
    length = (size - (x * x).sum(dim=0)).clamp_min(torch.finfo(torch.float64).tiny)
    captured = inner.trace() - (s * (inner @ s)).sum(dim=0)
    return captured + (size - count + 1) / length * rest
