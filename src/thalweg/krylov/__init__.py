"""Krylov spaces: eigenvalues, densities and traces from products alone."""

from thalweg.krylov._budget import Budget
from thalweg.krylov._checkpoint import Checkpointed, checkpointed
from thalweg.krylov._convergence import Convergence
from thalweg.krylov._diagonal import Diagonal, diagonal
from thalweg.krylov._eigenpairs import eigenpairs
from thalweg.krylov._function_trace import function_trace
from thalweg.krylov._hutchinson import trace
from thalweg.krylov._lobpcg import lobpcg
from thalweg.krylov._logdet import logdet
from thalweg.krylov._minres import LinearSolution, minres
from thalweg.krylov._plan import KrylovMemory, krylov_memory
from thalweg.krylov._power_iteration import power_iteration
from thalweg.krylov._quadrature import density, spectral_moment
from thalweg.krylov._results import Density, Eigenpairs

__all__ = [
    "Budget",
    "Checkpointed",
    "Convergence",
    "Density",
    "Diagonal",
    "Eigenpairs",
    "KrylovMemory",
    "LinearSolution",
    "checkpointed",
    "density",
    "diagonal",
    "eigenpairs",
    "function_trace",
    "krylov_memory",
    "lobpcg",
    "logdet",
    "minres",
    "power_iteration",
    "spectral_moment",
    "trace",
]
