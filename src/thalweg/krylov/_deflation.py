"""Eigenpairs that are known already, so that random probes need only tell of the rest."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._results import Eigenpairs
from thalweg.vectors import VectorSpace


@dataclass(frozen=True)
class Known:
    """Converged eigenpairs: values (k,) in double precision and vectors (P, k), or none."""

    values: Tensor
    vectors: Tensor | None

    @property
    def count(self) -> int:
        """How many."""
        return len(self.values)

    @classmethod
    def of(cls, operator: SymmetricOperator, pairs: Eigenpairs | None) -> "Known":
        """Take the converged ones.

        Raises:
            ArgumentError: If they are no eigenpairs of a matrix of this size, have no vectors, or none converged.
        """
        if pairs is None:
            return cls(torch.zeros(0, dtype=torch.float64), None)
        if not isinstance(pairs, Eigenpairs):
            raise ArgumentError(f"known: expected eigenpairs or None, got {type(pairs).__name__}.")
        if pairs.vectors is None:
            raise ArgumentError("known: expected eigenpairs with their vectors, got some without.")
        if pairs.vectors.shape[0] != operator.space.local_size:
            raise ArgumentError(
                f"known: expected vectors of {operator.space.local_size} entries, got {pairs.vectors.shape[0]}."
            )
        chosen = pairs.converged
        if not bool(chosen.any()):
            raise ArgumentError("known: expected converged eigenpairs, and none has converged.")
        vectors = pairs.vectors.mT[chosen.to(pairs.vectors.device)].to(operator.space.device, operator.space.dtype).mT
        return cls(pairs.values[chosen], vectors)


def without(space: VectorSpace, known: Known, block: Float[Tensor, "p k"]) -> Float[Tensor, "p k"]:
    """Return (I − U Uᵀ) of a block, each column contiguous."""
    return block if known.vectors is None else space.without(known.vectors, block)
