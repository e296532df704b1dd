"""Which hidden units of a network may trade places."""

from dataclasses import dataclass

import torch

from thalweg.estimate import Cost
from thalweg.record import Record


@dataclass(frozen=True)
class HiddenUnits(Record):
    """Units that may be put in any order if all tensors around them follow.

    Attributes:
        name: After the first parameter that has them.
        size: How many there are.
        within: The group for each unit of which these have an order of their own, as the units of a head have;
            ``None`` if there is one order.
        copies: Number of those orders.
    """

    name: str
    size: int
    within: str | None = None
    copies: int = 1

    def __str__(self) -> str:
        return f"{self.name}: {self.size} units" + (f" in each of {self.copies} of {self.within}" * bool(self.within))


@dataclass(frozen=True)
class AxisUnits(Record):
    """Which units the entries along one axis of a parameter or buffer belong to.

    Attributes:
        tensor: Its name.
        axis: Which of its axes.
        units: Names of groups, and numbers for runs whose order is fixed: "conv1 × 49" is what a flattening of 7 × 7
            pixels makes of channels, the last running fastest; "a + 16" the units of a and then 16 others.
    """

    tensor: str
    axis: int
    units: str

    def __str__(self) -> str:
        return f"{self.tensor}[{self.axis}]: {self.units}"


@dataclass(frozen=True)
class FrozenUnits(Record):
    """Units that might be interchangeable, but where that was not understood or not allowed.

    Attributes:
        operation: What they met.
        module: Path of the module in which it did; empty for the model itself.
        units: How many they are.
    """

    operation: str
    module: str
    units: int

    def __str__(self) -> str:
        return f"{self.units} units at {self.operation}" + f" in {self.module}" * bool(self.module)


@dataclass(frozen=True)
class PermutationSymmetry(Record):
    """The permutations of hidden units that leave a network's function as it is.

    Attributes:
        groups: The groups of units.
        axes: What of each group is where; axes that are not listed keep their order.
        frozen: Units that are left where they are for want of understanding.
        deviation: Largest change of an output under a random permutation of all groups, as a share of the
            largest output; rounding, or ``None`` if it was not looked at.
        precision: Unit roundoff of the coarsest type that the model computes in.
        cost: What it took.
    """

    groups: tuple[HiddenUnits, ...]
    axes: tuple[AxisUnits, ...]
    frozen: tuple[FrozenUnits, ...] = ()
    deviation: float | None = None
    precision: float = torch.finfo(torch.float32).eps
    cost: Cost = Cost()

    def __str__(self) -> str:
        count = sum(group.size * group.copies for group in self.groups)
        many = "" if len(self.groups) == 1 else "s"
        text = f"{count} interchangeable units in {len(self.groups)} group{many}"
        if self.frozen:
            text += f"; {sum(one.units for one in self.frozen)} more not understood"
        return text
