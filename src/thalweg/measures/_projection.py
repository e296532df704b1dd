"""Random subspaces of parameter space: what a projection offers, and which one to take."""

import math
from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, MemoryBudgetError
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.measures._projection_dense import Dense
from thalweg.measures._projection_fastfood import Fastfood
from thalweg.measures._projection_sparse import Sparse, expected_entries
from thalweg.memory import free_bytes
from thalweg.vectors import VectorSpace

ProjectionName = Literal["dense", "sparse", "fastfood"]


@runtime_checkable
class Projection(Protocol):
    """A linear map P from d coordinates into parameter space, with its adjoint.

    Attributes:
        size: Entries of a parameter vector.
        dimension: Of the subspace, d.
    """

    @property
    def size(self) -> int: ...

    @property
    def dimension(self) -> int: ...

    def forward(self, z: Float[Tensor, " d"]) -> Float[Tensor, " p"]:
        """Return P z."""
        ...

    def adjoint(self, g: Float[Tensor, " p"]) -> Float[Tensor, " d"]:
        """Return Pᵀg."""
        ...


_KINDS: dict[str, Callable[[VectorSpace, int, torch.Generator | None], Projection]] = {
    "dense": Dense,
    "sparse": Sparse,
    "fastfood": Fastfood,
}


def random_projection(
    where: Landscape | VectorSpace,
    dimension: int,
    kind: ProjectionName = "fastfood",
    generator: torch.Generator | None = None,
) -> Projection:
    r"""Draw a random d-dimensional subspace of parameter space, as a map :math:`z \mapsto Pz` with unit columns.

    "dense" holds P × d numbers: Gaussian columns, orthonormalised, whose span is uniformly distributed.

    "sparse" holds about √P entries ±s a column (Li, Hastie & Church, 2006), each column of norm 1; two columns have an
    inner product of mean 0 and standard deviation 1/√P, as independent directions have.

    "fastfood" holds P numbers and multiplies in P log d operations (Le, Sarlós & Smola, 2013): blocks S H G Π H B with
    the Walsh–Hadamard matrix H of the next power of two n of d, signs B, a permutation Π, Gaussian diagonals G and a
    constant S. B and Π are common to all blocks, so that H B z is needed once; G is drawn for each block, and its
    diagonals are scaled so that :math:`\sum_i G_i^2 = I`. The columns are then orthonormal, exactly where n divides P,
    and elsewhere up to the entries beyond P that are cut off, up to n − 1 of all; their mean square norm over all n
    columns is 1 in any case.

    From one seed, the subspaces of "dense" are nested in each other as d grows; those of "fastfood" are between two
    powers of two.

    Cost: a product takes P·d multiplications ("dense"), about d√P ("sparse"), or 2 P log₂ d ("fastfood").

    Args:
        where: A landscape, or the space of its vectors.
        dimension: d, from 1 to P.
        kind: "dense", "sparse" or "fastfood".
        generator: Of the draw; ``None`` is a fresh one of seed 0.

    Raises:
        ArgumentError: If the dimension is no whole number from 1 to P, or the kind is unknown.
        MemoryBudgetError: If the numbers would not fit into what is free.

    Example:
        >>> import thalweg as tw
        >>> space = VectorSpace(64, torch.float64, torch.device("cpu"))
        >>> projection = random_projection(space, 4)
        >>> z, g = torch.ones(4, dtype=torch.float64), torch.arange(64, dtype=torch.float64)
        >>> round(space.norm(projection.forward(z)), 12)  # orthonormal columns keep lengths
        2.0
        >>> bool((projection.forward(z) @ g - z @ projection.adjoint(g)).abs() < 1e-12)
        True
    """
    space = where.space if isinstance(where, Landscape) else where
    if not isinstance(space, VectorSpace):
        raise ArgumentError(f"where: expected a Landscape or a VectorSpace, got {type(where).__name__}.")
    if kind not in _KINDS:
        raise ArgumentError(f"kind: expected 'dense', 'sparse' or 'fastfood', got {kind!r}.")
    require_dimension(dimension, space.size)
    _require_memory(space, dimension, kind)
    return _KINDS[kind](space, dimension, generator)


def require_dimension(dimension: int, size: int, name: str = "dimension") -> None:
    """Refuse what is no dimension of a subspace.

    Raises:
        ArgumentError: If it is no whole number from 1 to P.
    """
    require_whole(name, dimension)
    if not 1 <= dimension <= size:
        raise ArgumentError(f"{name}: expected from 1 to the {size} parameters, got {dimension}.")


def _require_memory(space: VectorSpace, dimension: int, kind: ProjectionName) -> None:
    item = torch.finfo(space.dtype).bits // 8
    if kind == "dense":
        # The draw, its factor, and what the factorisation works in.
        needed, advice = 3 * space.size * dimension * item, "Take projection 'fastfood', which holds P numbers."
    elif kind == "sparse":
        # Both orders, each with two indices an entry, and the sorting of one.
        needed = math.ceil(expected_entries(space.size, dimension)) * 3 * (16 + item)
        advice = "Take projection 'fastfood', which holds P numbers."
    else:
        # Drawing takes double precision and integers.
        needed, advice = 6 * 8 * space.size, "Select fewer parameters."
    free = free_bytes(space.device)
    if needed > free:
        raise MemoryBudgetError(
            f"projection: a {kind} one from {dimension:,} to {space.size:,} dimensions takes {needed / 1e9:.3g} GB to "
            f"make, and {free / 1e9:.3g} GB are free. {advice}"
        )
