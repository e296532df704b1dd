"""What a landscape is like around one point, in numbers."""

from thalweg.measures._adaptive_sharpness import adaptive_sharpness
from thalweg.measures._anisotropy import anisotropy
from thalweg.measures._average_sharpness import average_sharpness
from thalweg.measures._block_spectra import block_spectra
from thalweg.measures._block_structure import block_structure
from thalweg.measures._block_structure_results import BlockStructure
from thalweg.measures._condition import condition_numbers
from thalweg.measures._cross_fitted import cross_fitted
from thalweg.measures._data_errors import data_errors
from thalweg.measures._data_results import DataErrors, ErrorLaw, SubsetSize
from thalweg.measures._directional import directional_sharpness
from thalweg.measures._edge import BulkEdge
from thalweg.measures._effective_rank import effective_rank
from thalweg.measures._gradient_norm import gradient_norm
from thalweg.measures._keskar_sharpness import keskar_sharpness
from thalweg.measures._m_sharpness import m_sharpness
from thalweg.measures._matrix_spectra import matrix_spectra
from thalweg.measures._negative_curvature import negative_curvature
from thalweg.measures._outliers import outlier_count
from thalweg.measures._perturbation_law import perturbation_law
from thalweg.measures._predicted_decrease import predicted_decrease
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

__all__ = [
    "AdaptiveSharpness",
    "Anisotropy",
    "BlockSpectra",
    "BlockStructure",
    "BulkEdge",
    "Conditioning",
    "DataErrors",
    "ErrorLaw",
    "GroupSharpness",
    "KeskarSharpness",
    "MatrixSpectra",
    "NegativeCurvature",
    "PerturbationLaw",
    "QuadraticSharpness",
    "Sharpness",
    "SpectralWidth",
    "Spectrum",
    "StepPrediction",
    "SubsetSize",
    "adaptive_sharpness",
    "anisotropy",
    "average_sharpness",
    "block_spectra",
    "block_structure",
    "condition_numbers",
    "cross_fitted",
    "data_errors",
    "directional_sharpness",
    "effective_rank",
    "gradient_norm",
    "keskar_sharpness",
    "m_sharpness",
    "matrix_spectra",
    "negative_curvature",
    "outlier_count",
    "perturbation_law",
    "predicted_decrease",
    "quadratic_sharpness",
    "relative_flatness",
    "sharpness",
    "size_advice",
    "spectral_width",
    "spectrum",
    "subset_size",
]
