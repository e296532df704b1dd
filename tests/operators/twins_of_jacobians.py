"""Naive twins of the matrices that are made of Jacobians: row by row, entry by entry, nothing shared with the library.

The Jacobian of every output is filled by one backward pass a row, and the sums of the definitions are written out
over terms and items. Models are called functionally, in the mode that they are in.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel


class Problem(NamedTuple):
    """A model on data as a list of terms, each with its row of outputs.

    rows: ``rows(call, batch)``, outputs (T, C) of the T terms of a batch.
    targets: ``targets(batch)``, one a term, (T,) or (T, C).
    weights: ``weights(batch)``, (T,).
    items: ``items(batch)``, the index within the batch of each term's data item (T,), and the number of items.
    term: ``term(row, target)``, the loss of one term.
    """

    model: nn.Module
    batches: Sequence[Any]
    rows: Callable[[Callable[..., Any], Any], Tensor]
    targets: Callable[[Any], Tensor]
    weights: Callable[[Any], Tensor]
    items: Callable[[Any], tuple[Tensor, int]]
    term: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy


class Term(NamedTuple):
    """One term: its Jacobian (C, P), its loss's gradient (C,) and Hessian (C, C) in the outputs."""

    jacobian: Tensor
    slope: Tensor
    curvature: Tensor
    weight: float
    item: int


def dense_ggn(problem: Problem) -> Tensor:
    """Σ w Jᵀ ∇²ℓ J / Σ w."""
    terms, _ = _terms(problem)
    return _mean([(t.weight, t.jacobian.T @ t.curvature @ t.jacobian) for t in terms])


def dense_empirical_fisher(problem: Problem) -> Tensor:
    """Σ w ∇ℓ ∇ℓᵀ / Σ w over the terms."""
    terms, _ = _terms(problem)
    gradients = [(t.weight, t.jacobian.T @ t.slope) for t in terms]
    return _mean([(weight, torch.outer(g, g)) for weight, g in gradients])


def dense_gradient_covariance(problem: Problem) -> Tensor:
    """(1/N) Σ (g − ḡ)(g − ḡ)ᵀ over the data items, with g = (N / Σw) Σ w ∇ℓ over the terms of an item."""
    terms, count = _terms(problem)
    total = sum(t.weight for t in terms)
    rows = [torch.zeros(terms[0].jacobian.shape[1], dtype=torch.float64) for _ in range(count)]
    for t in terms:
        rows[t.item] += count / total * t.weight * (t.jacobian.T @ t.slope)
    mean = sum(rows) / count
    return sum(torch.outer(row - mean, row - mean) for row in rows) / count


def _mean(parts: list[tuple[float, Tensor]]) -> Tensor:
    return sum(weight * part for weight, part in parts) / sum(weight for weight, _ in parts)


def _terms(problem: Problem) -> tuple[list[Term], int]:
    """All terms that count, and the number of items."""
    named = dict(problem.model.named_parameters())
    leaves = {name: parameter.detach().clone().requires_grad_() for name, parameter in named.items()}
    terms, seen = list[Term](), 0
    for batch in problem.batches:

        def call(*args: Any, **kwargs: Any) -> Any:
            buffers = {name: buffer.clone() for name, buffer in problem.model.named_buffers()}
            return functional_call(problem.model, {**leaves, **buffers}, args, kwargs)

        with sdpa_kernel(SDPBackend.MATH):
            rows = problem.rows(call, batch)
            targets, weights, (items, count) = problem.targets(batch), problem.weights(batch), problem.items(batch)
            for place, row in enumerate(rows):
                if float(weights[place]) == 0:
                    continue
                jacobian = torch.stack([_row(output, list(leaves.values())) for output in row])
                point = row.detach().requires_grad_()

                def loss(f: Tensor, target: Tensor = targets[place]) -> Tensor:
                    return problem.term(f, target)

                (slope,) = torch.autograd.grad(loss(point), point)
                curvature = torch.autograd.functional.hessian(loss, point.detach())
                terms.append(Term(jacobian, slope, curvature, float(weights[place]), seen + int(items[place])))
        seen += count
    return terms, seen


def _row(output: Tensor, leaves: list[Tensor]) -> Tensor:
    parts = torch.autograd.grad(output, leaves, retain_graph=True, allow_unused=True)
    filled = [torch.zeros_like(leaf) if part is None else part for part, leaf in zip(parts, leaves, strict=True)]
    return torch.cat([part.flatten() for part in filled])
