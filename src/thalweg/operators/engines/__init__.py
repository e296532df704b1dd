"""Ways of computing products with curvature matrices."""

from thalweg.operators.engines._double_backward import DoubleBackward

__all__ = ["DoubleBackward"]
