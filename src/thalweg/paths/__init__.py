"""Paths between points of a landscape, and how far the loss rises on them."""

from thalweg.paths._barrier import barrier
from thalweg.paths._bottlenecks import Travelled, bottlenecks, path_maxima
from thalweg.paths._bottlenecks_results import Bottlenecks, PathMaxima
from thalweg.paths._curve import Curve
from thalweg.paths._linear import linear_path
from thalweg.paths._minimum_energy import nudged_elastic_band, string_method
from thalweg.paths._minimum_energy_results import MinimumEnergyPath, PathSaddle
from thalweg.paths._results import Barrier, PathScan
from thalweg.paths._saddle import path_saddle

__all__ = [
    "Barrier",
    "Bottlenecks",
    "Curve",
    "MinimumEnergyPath",
    "PathMaxima",
    "PathSaddle",
    "PathScan",
    "Travelled",
    "barrier",
    "bottlenecks",
    "linear_path",
    "nudged_elastic_band",
    "path_maxima",
    "path_saddle",
    "string_method",
]
