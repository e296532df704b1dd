"""What is known of the blocks of a matrix."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate, Provenance
from thalweg.record import Record

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Samples:
    """What the products with one group's vectors left in every group.

    Attributes:
        squares: Squared norms, (products, groups).
        exact: Whether the vectors were all the unit vectors of the group, whose squares add up.
    """

    squares: Array
    exact: bool

    @property
    def mean(self) -> Array:
        """The estimate of a column of blocks, (groups,)."""
        found: Array = self.squares.sum(axis=0) if self.exact else self.squares.mean(axis=0)
        return found


@dataclass(frozen=True)
class BlockStructure(Record):
    r"""Norms of all blocks :math:`A_{gh}` of a symmetric matrix.

    Attributes:
        members: The parameters of each group.
        sizes: Entries of each group, m_g.
        squares: :math:`\lVert A_{gh} \rVert_F^2`, (groups, groups), symmetric.
        standard_error: Of the squares, (groups, groups).
        samples: Random probes behind each square, (groups, groups); 0 where it is exact.
        frobenius: :math:`\lVert A \rVert_F^2`.
        share: The share of the diagonal blocks in it; ``None`` for a zero matrix.
        cost: What it took.
        provenance: How it was computed.
    """

    members: dict[str, tuple[str, ...]]
    sizes: tuple[int, ...]
    squares: Tensor
    standard_error: Tensor
    samples: Tensor
    frobenius: Estimate
    share: Estimate | None
    cost: Cost
    provenance: Provenance | None = None

    @classmethod
    def of(
        cls,
        columns: list[Samples],
        members: dict[str, tuple[str, ...]],
        sizes: tuple[int, ...],
        cost: Cost,
        provenance: Provenance | None,
    ) -> "BlockStructure":
        """Pool the samples of both sides of each block."""
        count = len(columns)
        squares, errors = np.zeros((count, count)), np.zeros((count, count))
        numbers = np.zeros((count, count), dtype=np.int64)
        # How much the column of a group counts in each of its blocks.
        shares = np.zeros((count, count))
        for g in range(count):
            for h in range(g, count):
                exact = [k for k in sorted({g, h}) if columns[k].exact]
                sides = exact[:1] or sorted({g, h})
                drawn = [columns[k].squares[:, g + h - k] for k in sides]
                total = sum(len(part) for part in drawn)
                for k, part in zip(sides, drawn, strict=True):
                    shares[g + h - k, k] = 1.0 if exact else len(part) / total
                if exact:
                    squares[g, h] = drawn[0].sum()
                else:
                    pooled = np.concatenate(drawn)
                    squares[g, h], numbers[g, h] = pooled.mean(), total
                    errors[g, h] = pooled.std(ddof=1) / total**0.5
                for matrix in (squares, errors, numbers):
                    matrix[h, g] = matrix[g, h]
        frobenius, share = _sums(columns, shares)
        return cls(
            members=members,
            sizes=sizes,
            squares=torch.from_numpy(squares),
            standard_error=torch.from_numpy(errors),
            samples=torch.from_numpy(numbers),
            frobenius=frobenius,
            share=share,
            cost=cost,
            provenance=provenance,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The groups."""
        return tuple(self.members)

    @property
    def norms(self) -> Tensor:
        r""":math:`\lVert A_{gh} \rVert_F`, (groups, groups)."""
        return self.squares.sqrt()

    @property
    def rms(self) -> Tensor:
        """Root mean square of the entries of each block, (groups, groups), which does not grow with the groups."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        return self.squares.div(sizes).div(sizes[:, None]).sqrt()

    @property
    def coupling(self) -> Tensor:
        r""":math:`\lVert A_{gh} \rVert_F \big/ \sqrt{\lVert A_{gg} \rVert_F \lVert A_{hh} \rVert_F}`, (groups, groups).

        1 on the diagonal; at most 1 for positive semi-definite matrices, where its square is the alignment of the two
        groups' kernels (linear CKA without centring; Kornblith et al., 2019), and any number for others. Not a number
        where a diagonal block is zero.
        """
        own = self.squares.diagonal()
        scale = (own * own[:, None]) ** 0.25
        return torch.where(scale > 0, self.norms / scale, torch.nan)

    def block(self, first: str, second: str) -> Estimate:
        """Return the squared norm of the block of two groups.

        Raises:
            ArgumentError: If there is no such group.
        """
        for name in (first, second):
            if name not in self.members:
                raise ArgumentError(f"name: expected one of {', '.join(map(repr, self.names))}, got {name!r}.")
        place = self.names.index(first), self.names.index(second)
        count = int(self.samples[place])
        return Estimate(
            float(self.squares[place]),
            float(self.standard_error[place]),
            count - 1 if count else None,
            cost=self.cost,
            provenance=self.provenance,
        )

    def __str__(self) -> str:
        shown = "" if self.share is None else f", {self.share} of it in the diagonal blocks"
        return f"{len(self.members)} groups, ‖A‖² {self.frobenius}{shown}"


def _sums(columns: list[Samples], shares: Array) -> tuple[Estimate, Estimate | None]:
    """‖A‖² and the diagonal's share, whose samples are those of the same products: errors by the delta method."""
    total = diagonal = 0.0
    drawn = list[tuple[Array, Array]]()
    for h, column in enumerate(columns):
        # Of two equal blocks each gets its part from both sides, or all from one.
        weights = 2 * shares[:, h]
        weights[h] = 1
        total += float(column.mean @ weights)
        diagonal += float(column.mean[h])
        if not column.exact:
            drawn.append((column.squares @ weights, column.squares[:, h]))
    frobenius = _with_error(total, [sums for sums, _ in drawn])
    if total == 0:
        return frobenius, None
    ratio = diagonal / total
    return frobenius, _with_error(ratio, [(own - ratio * sums) / total for sums, own in drawn])


def _with_error(value: float, drawn: list[Array]) -> Estimate:
    """An estimate from independent means, with the degrees of freedom of Welch and Satterthwaite."""
    variances = [(float(part.var(ddof=1)) / len(part), len(part) - 1) for part in drawn]
    variance = sum(each for each, _ in variances)
    if variance == 0:
        return Estimate(value, 0.0)
    return Estimate(value, variance**0.5, max(1, int(variance**2 / sum(each**2 / dof for each, dof in variances))))
