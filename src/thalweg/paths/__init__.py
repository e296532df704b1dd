"""Paths between points of a landscape, and how far the loss rises on them."""

from thalweg.paths._align import align
from thalweg.paths._align_many import align_many
from thalweg.paths._alignment_results import JointAlignment, NetworkAlignment
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
from thalweg.paths._permutation_results import AxisUnits, FrozenUnits, HiddenUnits, PermutationSymmetry
from thalweg.paths._permuted import permuted
from thalweg.paths._repair import repaired_path
from thalweg.paths._results import Barrier, PathScan
from thalweg.paths._saddle import path_saddle
from thalweg.paths._symmetry import permutations
from thalweg.paths._train_curve import train_curve

__all__ = [
    "AxisUnits",
    "Barrier",
    "Bottlenecks",
    "Curve",
    "FrozenUnits",
    "HiddenUnits",
    "JointAlignment",
    "MinimumEnergyPath",
    "NetworkAlignment",
    "PathMaxima",
    "PathSaddle",
    "PathScan",
    "PermutationSymmetry",
    "TrainedCurve",
    "Travelled",
    "align",
    "align_many",
    "barrier",
    "bottlenecks",
    "curve_energy",
    "curve_length",
    "curve_scan",
    "linear_path",
    "nudged_elastic_band",
    "path_maxima",
    "path_saddle",
    "permutations",
    "permuted",
    "repaired_path",
    "straight",
    "string_method",
    "train_curve",
]
