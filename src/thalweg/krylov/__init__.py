"""Krylov spaces: eigenvalues, densities and traces from products alone."""

from thalweg.krylov._eigenpairs import eigenpairs
from thalweg.krylov._hutchinson import trace
from thalweg.krylov._quadrature import density, spectral_moment
from thalweg.krylov._results import Density, Eigenpairs

__all__ = ["Density", "Eigenpairs", "density", "eigenpairs", "spectral_moment", "trace"]
