"""How eigenpairs are going to be computed, and the memory that it takes, said before it is taken."""

from dataclasses import dataclass
from typing import Any, Literal

from thalweg.errors import ArgumentError
from thalweg.krylov._operator import SymmetricOperator, remembered, require_symmetric, require_whole
from thalweg.krylov._restart import REMAINDERS, SPARE
from thalweg.krylov._storage import PLACES, Place, bytes_per_vector, require_room, room
from thalweg.krylov._widened import held
from thalweg.record import Record
from thalweg.vectors import VectorSpace

Method = Literal["lanczos", "block"]
Reorthogonalise = Literal["full", "selective", "none"]

# Product, remainder and what is being orthogonalised.
_WORKING = 3
_WIDTH = 4


@dataclass(frozen=True)
class KrylovMemory(Record):
    """What a run of :func:`thalweg.eigenpairs` will hold.

    Attributes:
        method: "lanczos" or "block".
        reorthogonalise: "full", "selective" or "none".
        basis: Where the basis is held: "device", "host" or "disk".
        vectors: The most basis vectors; with fewer than ``max_matvecs`` of them the basis is restarted when it is
            full.
        block: Vectors that are multiplied at once.
        max_matvecs: The most products.
        basis_bytes: Of the basis, where it is held.
        working_bytes: Of the vectors beside it and of the result, on the operator's device, without what a product
            takes inside.
    """

    method: str
    reorthogonalise: str
    basis: str
    vectors: int
    block: int
    max_matvecs: int
    basis_bytes: int
    working_bytes: int

    @property
    def restarts(self) -> bool:
        """Whether the basis may be cut down on the way."""
        return 0 < self.vectors < self.max_matvecs

    @property
    def fallback(self) -> tuple[int | None, Place]:
        """The arguments ``max_vectors`` and ``basis`` that have the same done whatever the free memory."""
        place: Place = self.basis  # type: ignore[assignment]
        return self.vectors if self.restarts else None, place

    def __str__(self) -> str:
        return (
            f"{self.vectors} basis vectors ({self.basis_bytes / 1e9:.3g} GB, {self.basis}) "
            f"and {self.working_bytes / 1e9:.3g} GB beside them"
        )


def krylov_memory(
    operator: SymmetricOperator,
    k: int,
    *,
    method: Method = "lanczos",
    reorthogonalise: Reorthogonalise | None = None,
    max_matvecs: int | None = None,
    max_vectors: int | None = None,
    block: int | None = None,
    basis: Place | Literal["auto"] = "auto",
    vectors: bool = True,
) -> KrylovMemory:
    """Say what :func:`thalweg.eigenpairs` would hold with the same arguments, without computing anything.

    A basis of m vectors takes m P numbers, and is the largest part; ``reorthogonalise="none"`` holds none.

    Args:
        operator: The matrix A, (P, P).
        k: How many eigenpairs.
        method: "lanczos" or "block".
        reorthogonalise: "full", "selective" or "none".
        max_matvecs: The most products.
        max_vectors: The most basis vectors.
        block: Vectors that are multiplied at once.
        basis: "device", "host", "disk" or "auto".
        vectors: Whether vectors are asked for.

    Raises:
        ArgumentError: If an argument has a wrong value, or two do not go together.
        MemoryBudgetError: If it would not fit.

    Example:
        >>> import thalweg as tw
        >>> op = tw.FunctionOperator(lambda v: v, 250_000)
        >>> print(krylov_memory(op, 20, max_vectors=60))
        60 basis vectors (0.06 GB, device) and 0.033 GB beside them
    """
    require_symmetric(operator)
    require_whole("k", k)
    return planned(operator.space, k, method, reorthogonalise, max_matvecs, max_vectors, block, basis, vectors=vectors)


def planned(
    space: VectorSpace,
    k: int,
    method: str,
    reorthogonalise: str | None,
    max_matvecs: int | None,
    max_vectors: int | None,
    block: int | None,
    basis: str,
    *,
    vectors: bool,
) -> KrylovMemory:
    """Choose what was left open, and refuse what does not go together or does not fit."""
    _require("method", method, ("lanczos", "block"))
    if reorthogonalise is not None:
        _require("reorthogonalise", reorthogonalise, ("full", "selective", "none"))
    _require("basis", basis, (*PLACES, "auto"))
    kind = reorthogonalise or ("selective" if method == "lanczos" else "full")
    width = _width(method, kind, block, space.size)
    low, space = held(space) != space, held(space)
    each = bytes_per_vector(space)
    result = k if vectors else 0
    if kind == "none":
        if low:
            raise ArgumentError(
                "reorthogonalise: expected 'full' or 'selective' for products in half precision, got 'none', which "
                "cannot tell ghosts from eigenvalues there."
            )
        if max_vectors is not None or basis != "auto":
            name = "max_vectors" if max_vectors is not None else "basis"
            raise ArgumentError(f"{name}: expected none to be given, since reorthogonalise='none' holds no basis.")
        limit = max(600, 40 * k) if max_matvecs is None else max_matvecs
        count = _WORKING + 1 + 3 * result
        require_room(space, count)
        return KrylovMemory(method, kind, "device", 0, 1, limit, 0, count * each)
    limit = max(300, 20 * k) if max_matvecs is None else max_matvecs
    capacity = min(space.size, limit)
    place: Place = "device" if basis == "auto" else basis  # type: ignore[assignment]
    if max_vectors is None and basis == "auto" and capacity * each > room(space, "device"):
        place, max_vectors = _elsewhere(space, capacity, k)
    if max_vectors is not None:
        capacity = min(space.size, _checked(max_vectors, k, width, space.size))
        if capacity < space.size:
            limit = max(1000, 40 * k) if max_matvecs is None else max_matvecs
        capacity = min(capacity, limit)
    if capacity >= space.size:
        limit = min(limit, capacity)
    require_room(space, capacity, place)
    beside = _WORKING + 2 * width + result + (REMAINDERS if capacity < limit else 0)
    return KrylovMemory(method, kind, place, capacity, width, limit, capacity * each, beside * each)


def planned_within(
    operator: SymmetricOperator,
    k: int,
    most: int | None,
    method: str,
    reorthogonalise: str | None,
    max_matvecs: int | None,
    max_vectors: int | None,
    block: int | None,
    basis: str,
    *,
    vectors: bool,
) -> KrylovMemory:
    """Choose as :func:`planned` does, for at most ``most`` products, and as before where products are kept."""

    def plan_for(limit: int | None, held: int | None, where: str) -> KrylovMemory:
        return planned(operator.space, k, method, reorthogonalise, limit, held, block, where, vectors=vectors)

    limit, plan = max_matvecs, plan_for(max_matvecs, max_vectors, basis)
    if most is not None and most < plan.max_matvecs:
        limit, plan = most, plan_for(most, max_vectors, basis)
    if not plan.vectors or max_vectors is not None or basis != "auto":
        return plan
    # What free memory has decided once is not decided anew.
    return plan_for(limit, *remembered(operator, f"basis for {k} within {limit}", plan.fallback))


def _elsewhere(space: VectorSpace, capacity: int, k: int) -> tuple[Place, int | None]:
    """Where a basis that does not fit on the device goes: to the host, or into what fits, by restarts."""
    each = bytes_per_vector(space)
    if space.device.type != "cpu" and capacity * each <= room(space, "host"):
        return "host", None
    fits = room(space, "device") // each - REMAINDERS
    return "device", fits if fits >= 2 * k + SPARE else None


def _width(method: str, kind: str, block: int | None, size: int) -> int:
    if method == "lanczos":
        if block is not None:
            raise ArgumentError(f"block: expected none for method='lanczos', got {block}. Take method='block'.")
        return 1
    if kind != "full":
        raise ArgumentError(f"reorthogonalise: expected 'full' for method='block', got {kind!r}.")
    if block is None:
        return min(_WIDTH, size)
    require_whole("block", block)
    if not 1 <= block <= size:
        raise ArgumentError(f"block: expected between 1 and the number of parameters {size}, got {block}.")
    return block


def _checked(max_vectors: int, k: int, width: int, size: int) -> int:
    require_whole("max_vectors", max_vectors)
    least = min(k + SPARE + 2 * (width - 1), size)
    if max_vectors < least:
        raise ArgumentError(
            f"max_vectors: expected at least {least} for k = {k}, got {max_vectors}. More, such as "
            f"{2 * k + 20}, need fewer products."
        )
    return max_vectors


def _require(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        listed = ", ".join(map(repr, allowed[:-1])) + f" or {allowed[-1]!r}"
        raise ArgumentError(f"{name}: expected {listed}, got {value!r}.")
