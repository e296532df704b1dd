"""Curvature matrices as operators: known by their products, never stored."""

from thalweg.operators._added import added
from thalweg.operators._affine import scaled, shifted
from thalweg.operators._block import block
from thalweg.operators._composite import Composite
from thalweg.operators._covariance import gradient_covariance
from thalweg.operators._curvature import Curvature
from thalweg.operators._deflated import deflated
from thalweg.operators._fisher import fisher
from thalweg.operators._function import FunctionOperator
from thalweg.operators._ggn import ggn, residual
from thalweg.operators._gram import gradient_gram
from thalweg.operators._hessian import hessian
from thalweg.operators._kfac import ekfac, kfac
from thalweg.operators._kronecker import KroneckerFactored, KroneckerInverse
from thalweg.operators._operator import Operator, dense
from thalweg.operators._projected import projected
from thalweg.operators._verify import Verification, verify
from thalweg.operators.engines import MemoryPlan

__all__ = [
    "Composite",
    "Curvature",
    "FunctionOperator",
    "KroneckerFactored",
    "KroneckerInverse",
    "MemoryPlan",
    "Operator",
    "Verification",
    "added",
    "block",
    "deflated",
    "dense",
    "ekfac",
    "fisher",
    "ggn",
    "gradient_covariance",
    "gradient_gram",
    "hessian",
    "kfac",
    "projected",
    "residual",
    "scaled",
    "shifted",
    "verify",
]
