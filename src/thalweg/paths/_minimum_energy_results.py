"""What a search for a minimum-energy path returns."""

from dataclasses import dataclass

from torch import Tensor

from thalweg.estimate import Cost, Provenance
from thalweg.measures import CriticalPoint
from thalweg.paths._curve import Curve
from thalweg.paths._results import PathScan
from thalweg.record import Record


@dataclass(frozen=True)
class MinimumEnergyPath(Record):
    """A chain of images along which the gradient of the loss points along the chain, or as near to it as was reached.

    Attributes:
        curve: The images, a chain from one end to the other.
        loss: L of each image on all data, shape (n,), float64.
        distance: Length along the chain up to each image, shape (n,).
        gradient_norms: ‖∇L‖ of each image on all data, shape (n,); at ends that are minima they vanish.
        perpendicular_norms: Norm of what is left of ∇L across the path, shape (n,): 0 on a minimum-energy path.
        residual: The largest norm over the images between the ends of what still moves them, in units of the gradient:
            of a band, the force; of a string, the way that the images go in a step, divided by the step's length.
        tol: What the residual had to reach.
        climbing: Number of the image that climbs to the saddle; ``None`` where none does.
        method: "string" or "band".
        step: η, the length of a step in units of the gradient.
        steps: How many were taken.
        inserted: Images that were put between others on the way.
        labels: Names of the two ends.
        cost: What it took.
        provenance: How it was computed.
    """

    curve: Curve
    loss: Tensor
    distance: Tensor
    gradient_norms: Tensor
    perpendicular_norms: Tensor
    residual: float
    tol: float
    climbing: int | None
    method: str
    step: float
    steps: int
    inserted: int
    labels: tuple[str, str]
    cost: Cost
    provenance: Provenance | None = None

    @property
    def converged(self) -> bool:
        """Whether the residual has reached ``tol``."""
        return self.residual <= self.tol

    @property
    def highest(self) -> int:
        """Number of the image with the largest loss."""
        return int(self.loss.argmax())

    @property
    def scan(self) -> PathScan:
        """Losses at the images, as :func:`thalweg.barrier` takes them; α is the share of the length."""
        position = self.distance / self.distance[-1]
        return PathScan(position, self.distance, self.loss, {}, kind=self.method, labels=self.labels, cost=self.cost)

    def __str__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return (
            f"minimum-energy path {self.labels[0]} → {self.labels[1]} by {self.method}, {len(self.loss)} images: "
            f"highest loss {float(self.loss.max()):.6g}, {state} (residual {self.residual:.2g}, {self.steps} steps)"
        )


@dataclass(frozen=True)
class PathSaddle(Record):
    """The critical point that the highest image of a path leads to, and whether it is the path's saddle.

    Attributes:
        critical: Where the search from the image ended, with the signs of the Hessian there; ``None`` where the highest
            image is an end, so that the path has no rise.
        index_one: Whether it is a critical point with exactly one negative eigenvalue, as the highest point of a
            minimum-energy path between two minima is; ``None`` where no critical point was reached, or the index is not
            known.
        image: Number of the highest image.
        shift: How far from it the critical point lies; ``None`` where there is none.
        along: Length along the path of the point of the chain that is nearest to it; ``None`` where there is none.
        spacing: Length from that image to its further neighbour. A shift much longer than that says that the
            search went elsewhere.
        rise: L of the critical point above the higher end; ``None`` where none was reached.
        cost: What the search took.
    """

    critical: CriticalPoint | None
    index_one: bool | None
    image: int
    shift: float | None
    along: float | None
    spacing: float
    rise: float | None
    cost: Cost

    @property
    def reached(self) -> bool:
        """Whether a critical point was reached."""
        return self.critical is not None and self.critical.converged

    @property
    def on_path(self) -> bool:
        """Whether it is within the spacing of the images."""
        return self.reached and self.shift is not None and self.shift <= self.spacing

    def __str__(self) -> str:
        if self.critical is None:
            return "no saddle: the highest image of the path is one of its ends"
        if not self.reached:
            return f"no saddle reached from image {self.image}: {self.critical}"
        where = "" if self.on_path else f" (off the path by {self.shift:.3g}, images are {self.spacing:.3g} apart)"
        verdict = {True: "index 1", False: "not of index 1", None: "index unknown"}[self.index_one]
        return f"{verdict}, {self.rise:.4g} above the higher end{where}: {self.critical}"
