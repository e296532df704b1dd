"""Curvature matrices as operators: known by their products, never stored."""

from thalweg.operators._function import FunctionOperator
from thalweg.operators._hessian import Hessian, hessian
from thalweg.operators._operator import Operator, dense
from thalweg.operators._verify import Verification, verify

__all__ = ["FunctionOperator", "Hessian", "Operator", "Verification", "dense", "hessian", "verify"]
