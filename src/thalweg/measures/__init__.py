"""What a landscape is like around one point, in numbers."""

from thalweg.measures._alignment import alignment
from thalweg.measures._anisotropy import anisotropy
from thalweg.measures._block_spectra import block_spectra
from thalweg.measures._block_structure import block_structure
from thalweg.measures._block_structure_results import BlockStructure
from thalweg.measures._condition import condition_numbers
from thalweg.measures._confinement import confinement
from thalweg.measures._cross_fitted import cross_fitted
from thalweg.measures._data_errors import data_errors
from thalweg.measures._data_results import DataErrors, ErrorLaw, SubsetSize
from thalweg.measures._directional import directional_sharpness
from thalweg.measures._edge import BulkEdge
from thalweg.measures._effective_rank import effective_rank
from thalweg.measures._gradient_noise import gradient_noise
from thalweg.measures._gradient_norm import gradient_norm
from thalweg.measures._matrix_spectra import matrix_spectra
from thalweg.measures._minibatch import minibatch_covariance, minibatch_factor
from thalweg.measures._negative_curvature import negative_curvature
from thalweg.measures._noise_models import noise_models
from thalweg.measures._noise_results import Alignment, GradientNoise, NoiseModel, NoiseModels
from thalweg.measures._outliers import outlier_count
from thalweg.measures._predicted_decrease import predicted_decrease
from thalweg.measures._results import (
    Anisotropy,
    Conditioning,
    NegativeCurvature,
    Sharpness,
    SpectralWidth,
    StepPrediction,
)
from thalweg.measures._sharpness import sharpness
from thalweg.measures._spectra_results import BlockSpectra, MatrixSpectra
from thalweg.measures._spectral_width import spectral_width
from thalweg.measures._spectrum import Spectrum, spectrum
from thalweg.measures._subset_size import size_advice, subset_size
from thalweg.measures._subspaces import subspace_drift, subspace_overlap
from thalweg.measures._trajectory import TrajectoryMeter, trajectory
from thalweg.measures._trajectory_results import Confinement, SubspaceDrift, SubspaceOverlap, Trajectory

__all__ = [
    "Alignment",
    "Anisotropy",
    "BlockSpectra",
    "BlockStructure",
    "BulkEdge",
    "Conditioning",
    "Confinement",
    "DataErrors",
    "ErrorLaw",
    "GradientNoise",
    "MatrixSpectra",
    "NegativeCurvature",
    "NoiseModel",
    "NoiseModels",
    "Sharpness",
    "SpectralWidth",
    "Spectrum",
    "StepPrediction",
    "SubsetSize",
    "SubspaceDrift",
    "SubspaceOverlap",
    "Trajectory",
    "TrajectoryMeter",
    "alignment",
    "anisotropy",
    "block_spectra",
    "block_structure",
    "condition_numbers",
    "confinement",
    "cross_fitted",
    "data_errors",
    "directional_sharpness",
    "effective_rank",
    "gradient_noise",
    "gradient_norm",
    "matrix_spectra",
    "minibatch_covariance",
    "minibatch_factor",
    "negative_curvature",
    "noise_models",
    "outlier_count",
    "predicted_decrease",
    "sharpness",
    "size_advice",
    "spectral_width",
    "spectrum",
    "subset_size",
    "subspace_drift",
    "subspace_overlap",
    "trajectory",
]
