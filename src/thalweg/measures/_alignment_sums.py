"""Traces of H, Σ and their products, and the errors that they share."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.estimate import Estimate
from thalweg.operators import Operator, dense

_BLOCK = 8


@dataclass(frozen=True)
class AlignmentSums:
    """What alignments of two symmetric matrices are made of.

    Attributes:
        values: Tr H, Tr Σ, Tr HΣ, ‖H‖_F² and ‖Σ‖_F², shape (5,), in double precision.
        covariance: Of their estimators, shape (5, 5); ``None`` where they are exact.
        probes: Random vectors; 0 where they are exact.
    """

    values: Tensor
    covariance: Tensor | None
    probes: int

    def of(self, f: Callable[[Tensor], Tensor]) -> Estimate:
        """Return f of the five sums, its standard error by the delta method: √(∇fᵀ C ∇f)."""
        values = self.values.clone().requires_grad_()
        with torch.enable_grad():
            value = f(values)
            (slope,) = torch.autograd.grad(value, values)
        if self.covariance is None:
            return Estimate(float(value.detach()), standard_error=0.0)
        variance = float(slope @ self.covariance @ slope)
        return Estimate(float(value.detach()), math.sqrt(max(0.0, variance)), self.probes - 1)


def alignment_sums(
    hessian: Operator, covariance: Operator, *, probes: int, exact: int, generator: torch.Generator
) -> AlignmentSums:
    """Compute the sums from the dense matrices where these are small, and else from products with the same probes.

    For signs z, with u = Hz and w = Σz: zᵀu, zᵀw, uᵀw, uᵀu and wᵀw have the five sums as their means. What they have in
    common cancels in ratios, by way of their covariance.

    Args:
        hessian: H.
        covariance: Σ.
        probes: Random vectors, at least 2.
        exact: Most parameters for which the matrices are formed.
        generator: Of the probes.
    """
    space = hessian.space
    if space.size <= exact:
        h, s = dense(hessian).double(), dense(covariance).double()
        sums = torch.stack([h.trace(), s.trace(), (h * s.mT).sum(), h.square().sum(), s.square().sum()])
        return AlignmentSums(sums.cpu(), None, 0)
    rows: list[list[float]] = []
    for start in range(0, probes, _BLOCK):
        z = space.rademacher(generator, min(_BLOCK, probes - start))
        u, w = hessian @ z, covariance @ z
        for one, two, three in zip(z.mT, u.mT, w.mT, strict=True):
            pairs = ((one, two), (one, three), (two, three), (two, two), (three, three))
            rows.append([space.dot(left, right) for left, right in pairs])
    samples = torch.tensor(rows, dtype=torch.float64)
    return AlignmentSums(samples.mean(dim=0), samples.mT.cov() / probes, probes)
