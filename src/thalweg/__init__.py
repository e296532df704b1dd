"""The geometry of a neural network's loss landscape: measured, held against theory, and put to work."""

from thalweg import data, errors, figures, models, objectives, report, study, training
from thalweg._version import __version__
from thalweg.errors import ThalwegError
from thalweg.estimate import Cost, Estimate, Provenance
from thalweg.figures import draw, plot
from thalweg.krylov import Density, Eigenpairs, density, eigenpairs, spectral_moment, trace
from thalweg.landscape import Evaluation, Landscape
from thalweg.measures import (
    Anisotropy,
    Conditioning,
    NegativeCurvature,
    Sharpness,
    SpectralWidth,
    StepPrediction,
    anisotropy,
    condition_numbers,
    directional_sharpness,
    effective_rank,
    gradient_norm,
    negative_curvature,
    outlier_count,
    predicted_decrease,
    sharpness,
    spectral_width,
)
from thalweg.operators import FunctionOperator, Hessian, Operator, Verification, dense, hessian, verify
from thalweg.paths import Barrier, PathScan, barrier, linear_path
from thalweg.progress import Progress
from thalweg.report import read_results, write_report
from thalweg.study import Findings, Measurement, MeasureSettings, measure
from thalweg.surfaces import (
    Directions,
    Line,
    Surface,
    eigen_directions,
    gradient_direction,
    line_scan,
    plane_scan,
    random_directions,
)
from thalweg.training import History, train
from thalweg.vectors import VectorSpace

__all__ = [
    "Anisotropy",
    "Barrier",
    "Conditioning",
    "Cost",
    "Density",
    "Directions",
    "Eigenpairs",
    "Estimate",
    "Evaluation",
    "Findings",
    "FunctionOperator",
    "Hessian",
    "History",
    "Landscape",
    "Line",
    "MeasureSettings",
    "Measurement",
    "NegativeCurvature",
    "Operator",
    "PathScan",
    "Progress",
    "Provenance",
    "Sharpness",
    "SpectralWidth",
    "StepPrediction",
    "Surface",
    "ThalwegError",
    "VectorSpace",
    "Verification",
    "__version__",
    "anisotropy",
    "barrier",
    "condition_numbers",
    "data",
    "dense",
    "density",
    "directional_sharpness",
    "draw",
    "effective_rank",
    "eigen_directions",
    "eigenpairs",
    "errors",
    "figures",
    "gradient_direction",
    "gradient_norm",
    "hessian",
    "line_scan",
    "linear_path",
    "measure",
    "models",
    "negative_curvature",
    "objectives",
    "outlier_count",
    "plane_scan",
    "plot",
    "predicted_decrease",
    "random_directions",
    "read_results",
    "report",
    "sharpness",
    "spectral_moment",
    "spectral_width",
    "study",
    "trace",
    "train",
    "training",
    "verify",
    "write_report",
]
