"""Paths between points of a landscape, and how far the loss rises on them."""

from thalweg.paths._arc import curve_energy, curve_length
from thalweg.paths._barrier import barrier
from thalweg.paths._bottlenecks import Travelled, bottlenecks, path_maxima
from thalweg.paths._bottlenecks_results import Bottlenecks, PathMaxima
from thalweg.paths._curve import Curve, straight
from thalweg.paths._curve_results import TrainedCurve
from thalweg.paths._curve_scan import curve_scan
from thalweg.paths._linear import linear_path
from thalweg.paths._minimum_energy import nudged_elastic_band, string_method
from thalweg.paths._minimum_energy_results import MinimumEnergyPath, PathSaddle
from thalweg.paths._results import Barrier, PathScan
from thalweg.paths._train_curve import train_curve

__all__ = [
    "Barrier",
    "Bottlenecks",
    "Curve",
    "MinimumEnergyPath",
    "PathMaxima",
    "PathSaddle",
    "PathScan",
    "TrainedCurve",
    "Travelled",
    "barrier",
    "bottlenecks",
    "curve_energy",
    "curve_length",
    "curve_scan",
    "linear_path",
    "nudged_elastic_band",
    "path_maxima",
    "path_saddle",
    "straight",
    "string_method",
    "train_curve",
]
