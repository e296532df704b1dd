"""Paths between points of a landscape, and how far the loss rises on them."""

from thalweg.paths._barrier import barrier
from thalweg.paths._curve import Curve
from thalweg.paths._linear import linear_path
from thalweg.paths._results import Barrier, PathScan

__all__ = ["Barrier", "Curve", "PathScan", "barrier", "linear_path"]
