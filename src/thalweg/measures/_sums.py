"""What is summed over eigenvalues, and what is made of sums."""

import torch
from torch import Tensor


def itself(values: Tensor) -> Tensor:
    """λ, for the trace."""
    return values


def log(epsilon: float, values: Tensor) -> Tensor:
    """ln(λ + ε)."""
    return (values + epsilon).log()


def log_absolute(epsilon: float, values: Tensor) -> Tensor:
    """ln(|λ| + ε)."""
    return (values.abs() + epsilon).log()


def negative_part(values: Tensor) -> Tensor:
    """|λ| where λ < 0."""
    return (-values).clamp_min(0)


def below(limit: float, values: Tensor) -> Tensor:
    """1 below the limit."""
    return (values < limit).double()


def within(limit: float, values: Tensor) -> Tensor:
    """1 within the limit of zero."""
    return (values.abs() <= limit).double()


def shrunk(epsilon: float, values: Tensor) -> Tensor:
    """λ/(λ + ε) of the positive part (MacKay, 1992)."""
    positive = values.clamp_min(0)
    return positive / (positive + epsilon)


def entropy(values: Tensor) -> Tensor:
    """−|λ| ln |λ|."""
    result: Tensor = -torch.special.xlogy(values.abs(), values.abs())
    return result


def participation(sums: Tensor) -> Tensor:
    """(Σ λ)² / Σ λ²."""
    result: Tensor = sums[0] ** 2 / sums[1]
    return result


def perplexity(sums: Tensor) -> Tensor:
    """Exp of the entropy of |λ| / Σ|λ|, from Σ|λ| and −Σ|λ| ln |λ|."""
    # With p = |λ|/S: −Σ p ln p = (−Σ |λ| ln |λ|)/S + ln S.
    return (sums[1] / sums[0]).exp() * sums[0]
