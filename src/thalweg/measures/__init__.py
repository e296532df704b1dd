"""What a landscape is like around one point, in numbers."""

from thalweg.measures._adaptive_sharpness import adaptive_sharpness
from thalweg.measures._alignment import alignment
from thalweg.measures._anisotropy import anisotropy
from thalweg.measures._average_sharpness import average_sharpness
from thalweg.measures._block_spectra import block_spectra
from thalweg.measures._block_structure import block_structure
from thalweg.measures._block_structure_results import BlockStructure
from thalweg.measures._capacity import capacity
from thalweg.measures._capacity_results import Capacity, CapacityMeasure, LayerNorms, Margins, NoiseTolerance
from thalweg.measures._condition import condition_numbers
from thalweg.measures._confinement import confinement
from thalweg.measures._critical_point import critical_point
from thalweg.measures._critical_results import CriticalPoint
from thalweg.measures._cross_fitted import cross_fitted
from thalweg.measures._data_errors import data_errors
from thalweg.measures._data_participation import data_participation_ratio
from thalweg.measures._data_results import DataErrors, ErrorLaw, SubsetSize
from thalweg.measures._difficulty import difficulty
from thalweg.measures._difficulty_results import Difficulty
from thalweg.measures._dimension_results import DataDimension, IntrinsicDimension, NullSpace
from thalweg.measures._directional import directional_sharpness
from thalweg.measures._edge import BulkEdge
from thalweg.measures._effective_rank import effective_rank
from thalweg.measures._fisher_rao import fisher_rao_norm
from thalweg.measures._gradient_noise import gradient_noise
from thalweg.measures._gradient_norm import gradient_norm
from thalweg.measures._intrinsic_dimension import intrinsic_dimension
from thalweg.measures._keskar_sharpness import keskar_sharpness
from thalweg.measures._learning_coefficient import local_learning_coefficient
from thalweg.measures._learning_coefficient_results import LearningCoefficient
from thalweg.measures._log_determinant import log_determinant_flatness
from thalweg.measures._log_determinant_results import LogDeterminantFlatness
from thalweg.measures._m_sharpness import m_sharpness
from thalweg.measures._margins import margins
from thalweg.measures._matrix_spectra import matrix_spectra
from thalweg.measures._measure import measure, measure_cost
from thalweg.measures._measure_results import Measures, Quantity
from thalweg.measures._measure_settings import MeasureSettings
from thalweg.measures._minibatch import minibatch_covariance, minibatch_factor
from thalweg.measures._negative_curvature import negative_curvature
from thalweg.measures._noise_models import noise_models
from thalweg.measures._noise_results import Alignment, GradientNoise, NoiseModel, NoiseModels
from thalweg.measures._noise_tolerance import noise_tolerance
from thalweg.measures._null_space import null_space
from thalweg.measures._outliers import outlier_count
from thalweg.measures._path_norm import path_norm
from thalweg.measures._perturbation_law import perturbation_law
from thalweg.measures._predicted_decrease import predicted_decrease
from thalweg.measures._projection import Projection, random_projection
from thalweg.measures._quadratic_sharpness import quadratic_sharpness
from thalweg.measures._relative_flatness import relative_flatness
from thalweg.measures._results import (
    Anisotropy,
    Conditioning,
    NegativeCurvature,
    Sharpness,
    SpectralWidth,
    StepPrediction,
)
from thalweg.measures._sharpness import sharpness
from thalweg.measures._sharpness_results import (
    AdaptiveSharpness,
    GroupSharpness,
    KeskarSharpness,
    PerturbationLaw,
    QuadraticSharpness,
)
from thalweg.measures._spectra_results import BlockSpectra, MatrixSpectra
from thalweg.measures._spectral_width import spectral_width
from thalweg.measures._spectrum import Spectrum, spectrum
from thalweg.measures._subset_size import size_advice, subset_size
from thalweg.measures._subspaces import subspace_drift, subspace_overlap
from thalweg.measures._trajectory import TrajectoryMeter, trajectory
from thalweg.measures._trajectory_results import Confinement, SubspaceDrift, SubspaceOverlap, Trajectory
from thalweg.measures._two_nn import two_nn

__all__ = [
    "AdaptiveSharpness",
    "Alignment",
    "Anisotropy",
    "BlockSpectra",
    "BlockStructure",
    "BulkEdge",
    "Capacity",
    "CapacityMeasure",
    "Conditioning",
    "Confinement",
    "CriticalPoint",
    "DataDimension",
    "DataErrors",
    "Difficulty",
    "ErrorLaw",
    "GradientNoise",
    "GroupSharpness",
    "IntrinsicDimension",
    "KeskarSharpness",
    "LayerNorms",
    "LearningCoefficient",
    "LogDeterminantFlatness",
    "Margins",
    "MatrixSpectra",
    "MeasureSettings",
    "Measures",
    "NegativeCurvature",
    "NoiseModel",
    "NoiseModels",
    "NoiseTolerance",
    "NullSpace",
    "PerturbationLaw",
    "Projection",
    "QuadraticSharpness",
    "Quantity",
    "Sharpness",
    "SpectralWidth",
    "Spectrum",
    "StepPrediction",
    "SubsetSize",
    "SubspaceDrift",
    "SubspaceOverlap",
    "Trajectory",
    "TrajectoryMeter",
    "adaptive_sharpness",
    "alignment",
    "anisotropy",
    "average_sharpness",
    "block_spectra",
    "block_structure",
    "capacity",
    "condition_numbers",
    "confinement",
    "critical_point",
    "cross_fitted",
    "data_errors",
    "data_participation_ratio",
    "difficulty",
    "directional_sharpness",
    "effective_rank",
    "fisher_rao_norm",
    "gradient_noise",
    "gradient_norm",
    "intrinsic_dimension",
    "keskar_sharpness",
    "local_learning_coefficient",
    "log_determinant_flatness",
    "m_sharpness",
    "margins",
    "matrix_spectra",
    "measure",
    "measure_cost",
    "minibatch_covariance",
    "minibatch_factor",
    "negative_curvature",
    "noise_models",
    "noise_tolerance",
    "null_space",
    "outlier_count",
    "path_norm",
    "perturbation_law",
    "predicted_decrease",
    "quadratic_sharpness",
    "random_projection",
    "relative_flatness",
    "sharpness",
    "size_advice",
    "spectral_width",
    "spectrum",
    "subset_size",
    "subspace_drift",
    "subspace_overlap",
    "trajectory",
    "two_nn",
]
