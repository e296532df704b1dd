"""What is found about trajectories, and about the subspaces that they are in."""

from dataclasses import dataclass

from torch import Tensor

from thalweg.record import Record


@dataclass(frozen=True)
class SubspaceOverlap(Record):
    r"""How two subspaces of k and m dimensions lie to each other, m ≤ k.

    Attributes:
        overlap: ‖UᵀV‖_F²/m in [0, 1], the mean squared cosine of the principal angles.
        angles: Principal angles in radians, the smallest first, shape (m,).
        null_mean: k/P, the overlap of subspaces drawn uniformly.
        null_sd: Its standard deviation.
    """

    overlap: float
    angles: Tensor
    null_mean: float
    null_sd: float

    def __str__(self) -> str:
        return f"overlap {self.overlap:.4g} (random subspaces: {self.null_mean:.2g} ± {self.null_sd:.1g})"


@dataclass(frozen=True)
class SubspaceDrift(Record):
    """How a subspace turns over time.

    Attributes:
        overlaps: Of the subspaces at every two times, shape (T, T).
        null_mean: What uniformly drawn subspaces have on average: k/P for the larger k of two.
    """

    overlaps: Tensor
    null_mean: Tensor

    def successive(self) -> Tensor:
        """Return the overlap of each subspace with the next, shape (T − 1,)."""
        return self.overlaps.diagonal(offset=1)

    def with_first(self) -> Tensor:
        """Return the overlap of each subspace with the first, shape (T,)."""
        return self.overlaps[0]

    def __str__(self) -> str:
        last = self.overlaps[0, -1]
        return (
            f"overlap of {len(self.overlaps)} subspaces with the next {self.successive().mean():.4g} on average, of "
            f"the first with the last {last:.4g} (random: {self.null_mean[0, -1]:.2g})"
        )


@dataclass(frozen=True)
class Confinement(Record):
    """How much of a trajectory is in a subspace of k dimensions.

    Attributes:
        displacement: Share of ‖θ_T − θ_0‖² in it; ``None`` where the end is the start.
        displacement_p: Probability that a random direction has as large a share; ``None`` with ``displacement``.
        path: Share of Σ‖θ_{t+1} − θ_t‖²; ``None`` where nothing moves.
        updates: Share of each ‖θ_{t+1} − θ_t‖²; ``None`` for one that is zero.
        gradients: Share of each ‖g_t‖²; ``None`` without gradients, and for one that is zero.
        null_mean: k/P, the mean for a direction drawn uniformly.
        null_sd: Its standard deviation, √(2k(P−k) / (P²(P+2))).
    """

    displacement: float | None
    displacement_p: float | None
    path: float | None
    updates: tuple[float | None, ...]
    gradients: tuple[float | None, ...] | None
    null_mean: float
    null_sd: float

    def __str__(self) -> str:
        if self.displacement is None:
            return "displacement in the subspace undefined: the end is the start"
        return (
            f"{self.displacement:.4g} of the displacement in the subspace (a random direction: {self.null_mean:.2g} ± "
            f"{self.null_sd:.1g})"
        )


@dataclass(frozen=True)
class Trajectory(Record):
    r"""The geometry of a path θ_0, …, θ_T in parameter space.

    Attributes:
        from_start: ‖θ_t − θ_0‖, shape (T + 1,).
        update_lengths: ‖θ_{t+1} − θ_t‖, shape (T,).
        update_angles: Between successive updates, in radians, T − 1 of them; ``None`` where one is zero.
        length: Σ‖θ_{t+1} − θ_t‖.
        efficiency: Distance of the end from the start over the length; ``None`` where nothing moves.
        gradient_norms: ‖g_t‖, shape (T + 1,); ``None`` without gradients.
        gradient_angles: Between successive gradients, in radians, T of them; ``None`` without, and where one is zero.
        explained: Shares of the principal components of the points in their variance, the largest first, shape (T,);
            ``None`` where the points were not kept or are all the same.
        dimension: Participation ratio 1/Σ share² of these; ``None`` with them.
        null_explained: The same shares of a random walk of as many points in a space of many more dimensions.
        null_dimension: Its participation ratio: 5/2 for many points.
        coordinates: Of the points along the first two principal components, from their mean, shape (T + 1, 2), or
            (2, 1) for two points; ``None`` where ``explained`` is. They are distances in parameter space.
    """

    from_start: Tensor
    update_lengths: Tensor
    update_angles: tuple[float | None, ...]
    length: float
    efficiency: float | None
    gradient_norms: Tensor | None
    gradient_angles: tuple[float | None, ...] | None
    explained: Tensor | None
    dimension: float | None
    null_explained: Tensor | None
    null_dimension: float | None
    coordinates: Tensor | None = None

    def __str__(self) -> str:
        if self.efficiency is None:
            return f"{len(self.from_start)} points that are all the same"
        moved = f"distance {float(self.from_start[-1]):.4g} by a path of {self.length:.4g}"
        if self.dimension is None:
            return moved
        return f"{moved}, effective dimension {self.dimension:.3g} (a random walk: {self.null_dimension:.3g})"
