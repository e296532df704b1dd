"""Paths between points of a landscape, and how far the loss rises on them."""

from thalweg.paths._arc import curve_energy, curve_length
from thalweg.paths._barrier import barrier
from thalweg.paths._curve import Curve
from thalweg.paths._curve_results import TrainedCurve
from thalweg.paths._curve_scan import curve_scan
from thalweg.paths._linear import linear_path
from thalweg.paths._results import Barrier, PathScan
from thalweg.paths._train_curve import train_curve

__all__ = [
    "Barrier",
    "Curve",
    "PathScan",
    "TrainedCurve",
    "barrier",
    "curve_energy",
    "curve_length",
    "curve_scan",
    "linear_path",
    "train_curve",
]
