"""What a landscape is like around one point, in numbers."""

from thalweg.measures._anisotropy import anisotropy
from thalweg.measures._block_spectra import block_spectra
from thalweg.measures._block_structure import block_structure
from thalweg.measures._block_structure_results import BlockStructure
from thalweg.measures._condition import condition_numbers
from thalweg.measures._critical_point import critical_point
from thalweg.measures._critical_results import CriticalPoint
from thalweg.measures._cross_fitted import cross_fitted
from thalweg.measures._data_errors import data_errors
from thalweg.measures._data_results import DataErrors, ErrorLaw, SubsetSize
from thalweg.measures._difficulty import difficulty
from thalweg.measures._difficulty_results import Difficulty
from thalweg.measures._directional import directional_sharpness
from thalweg.measures._edge import BulkEdge
from thalweg.measures._effective_rank import effective_rank
from thalweg.measures._gradient_norm import gradient_norm
from thalweg.measures._matrix_spectra import matrix_spectra
from thalweg.measures._negative_curvature import negative_curvature
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

__all__ = [
    "Anisotropy",
    "BlockSpectra",
    "BlockStructure",
    "BulkEdge",
    "Conditioning",
    "CriticalPoint",
    "DataErrors",
    "Difficulty",
    "ErrorLaw",
    "MatrixSpectra",
    "NegativeCurvature",
    "Sharpness",
    "SpectralWidth",
    "Spectrum",
    "StepPrediction",
    "SubsetSize",
    "anisotropy",
    "block_spectra",
    "block_structure",
    "condition_numbers",
    "critical_point",
    "cross_fitted",
    "data_errors",
    "difficulty",
    "directional_sharpness",
    "effective_rank",
    "gradient_norm",
    "matrix_spectra",
    "negative_curvature",
    "outlier_count",
    "predicted_decrease",
    "sharpness",
    "size_advice",
    "spectral_width",
    "spectrum",
    "subset_size",
]
