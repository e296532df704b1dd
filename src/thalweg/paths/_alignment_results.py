"""How the hidden units of networks were put in the same order."""

from dataclasses import dataclass

from torch import Tensor

from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.paths._permutation_results import PermutationSymmetry
from thalweg.paths._permuted import permuted
from thalweg.record import Record


@dataclass(frozen=True)
class NetworkAlignment(Record):
    """An order of one network's hidden units in which they stand as those of another.

    Attributes:
        method: "weights" or "activations".
        permutations: For each group which unit comes to stand at each place, shape (size,), or (copies, size) for a
            group within another.
        symmetry: The groups, and where they are.
        before: ‖θ − θ'‖ between the networks.
        after: ‖θ − Pθ'‖ once aligned.
        history: The latter after each sweep, falling; one entry where nothing is iterated.
        moved: Share of the units that change their place.
        deviation: Largest change of the aligned network's outputs as a share of the largest: rounding.
        cost: What it took.
    """

    method: str
    permutations: dict[str, Tensor]
    symmetry: PermutationSymmetry
    before: float
    after: float
    history: tuple[float, ...]
    moved: float
    deviation: float
    cost: Cost = Cost()

    def apply(self, other: Landscape) -> Landscape:
        """Return the landscape that was aligned, at θ and buffers of the aligned network: the same function.

        Raises:
            ArgumentError: If it is not of the architecture.
        """
        return permuted(other, self.symmetry, self.permutations)

    def __str__(self) -> str:
        count = sum(group.size * group.copies for group in self.symmetry.groups)
        return (
            f"aligned by {self.method}: distance {self.before:.4g} → {self.after:.4g}, "
            f"{100 * self.moved:.0f} % of {count} hidden units moved"
        )


@dataclass(frozen=True)
class JointAlignment(Record):
    """Orders of many networks' hidden units in which they all stand alike.

    Attributes:
        permutations: For each network the order of each group.
        symmetry: The groups, and where they are.
        history: Mean distance of a network from the mean of all, after each sweep, falling; one entry where nothing is
            iterated.
        converged: Whether no network moved in the last sweep.
        deviation: Largest change of an aligned network's outputs as a share of the largest.
        cost: What it took.
    """

    permutations: tuple[dict[str, Tensor], ...]
    symmetry: PermutationSymmetry
    history: tuple[float, ...]
    converged: bool
    deviation: float
    cost: Cost = Cost()

    def apply(self, landscapes: tuple[Landscape, ...] | list[Landscape]) -> tuple[Landscape, ...]:
        """Return the landscapes at the aligned networks, in the same order.

        Raises:
            ArgumentError: If they are not of the architecture.
        """
        pairs = zip(landscapes, self.permutations, strict=True)
        return tuple(permuted(landscape, self.symmetry, order) for landscape, order in pairs)

    def __str__(self) -> str:
        done = "" if self.converged else ", not converged"
        first, last = self.history[0], self.history[-1]
        return f"{len(self.permutations)} networks aligned: distance from their mean {first:.4g} → {last:.4g}{done}"
