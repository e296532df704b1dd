"""How carefully quantities are measured together."""

from dataclasses import dataclass

from thalweg.errors import ArgumentError
from thalweg.krylov._operator import require_whole

_LEAST = {"top": 1, "bottom": 1, "probes": 2, "steps": 2, "max_probes": 2, "noise": 1, "alignment": 4, "seed": 0}


@dataclass(frozen=True)
class MeasureSettings:
    """What :func:`thalweg.measure` is told beside the quantities.

    Attributes:
        top: Largest eigenvalues of the Hessian.
        bottom: Smallest.
        tol: Residual at which an eigenpair counts as converged, relative to ‖H‖.
        probes: Random probes of everything between the ends.
        steps: Lanczos steps of each.
        rtol: Half-width of the trace's 95 % interval to reach, relative; ``None`` takes what
            ``probes`` give, so that the work is known beforehand.
        max_probes: The most probes that ``rtol`` may take.
        noise: Leading eigenpairs of the gradient covariance.
        alignment: Products with either matrix for what is made of both, beside those with the leading eigenvectors.
        rho: Radius of the sharpness.
        seed: Of every draw.

    Raises:
        ArgumentError: If a count is too small, or ``rho`` is not positive.
    """

    top: int = 20
    bottom: int = 5
    tol: float = 1e-4
    probes: int = 8
    steps: int = 40
    rtol: float | None = None
    max_probes: int = 500
    noise: int = 5
    alignment: int = 16
    rho: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            count = getattr(self, name)
            require_whole(name, count)
            if count < least:
                raise ArgumentError(f"{name}: expected at least {least}, got {count}.")
        for name in ("tol", "rho"):
            if not getattr(self, name) > 0:
                raise ArgumentError(f"{name}: expected a positive number, got {getattr(self, name)}.")
