"""What the log-determinant of a curvature matrix says."""

from dataclasses import dataclass

from thalweg.estimate import Estimate
from thalweg.record import Record


@dataclass(frozen=True)
class LogDeterminantFlatness(Record):
    """ln det of a damped curvature matrix on a stated subspace: the logarithm of a volume's inverse square.

    Attributes:
        estimate: The sum of logarithms, with the standard error of the probes; 0 where all was computed exactly.
        slack: How far the residuals of the eigenpairs that count exactly may move it. A bound, not a standard error;
            ``None`` where a residual reaches zero.
        epsilon: ε, in units of the eigenvalues.
        dimension: Directions d that it is a sum over.
        subspace: "all", "top", or "given".
        absolute: Whether magnitudes of the eigenvalues count.
        matrix: Name of the matrix.
    """

    estimate: Estimate
    slack: float | None
    epsilon: float
    dimension: int
    subspace: str
    absolute: bool
    matrix: str

    @property
    def value(self) -> float:
        """The log-determinant."""
        return self.estimate.value

    @property
    def mean(self) -> float:
        """The mean logarithm: that of the geometric mean of λ + ε."""
        return self.estimate.value / self.dimension

    def __str__(self) -> str:
        inside = f"|{self.matrix}|" if self.absolute else self.matrix
        shift = f" + {self.epsilon:g} I" if self.epsilon else ""
        count = f"{self.dimension} direction{'' if self.dimension == 1 else 's'}"
        where = {"all": f"all {count}", "top": f"the top {count}", "given": f"{count} given"}[self.subspace]
        return f"ln det({inside}{shift}) = {self.estimate} on {where}"
