"""What a landscape is like around one point, in numbers."""

from thalweg.measures._anisotropy import anisotropy
from thalweg.measures._condition import condition_numbers
from thalweg.measures._directional import directional_sharpness
from thalweg.measures._effective_rank import effective_rank
from thalweg.measures._gradient_norm import gradient_norm
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
from thalweg.measures._spectral_width import spectral_width
from thalweg.measures._spectrum import Spectrum, spectrum

__all__ = [
    "Anisotropy",
    "Conditioning",
    "NegativeCurvature",
    "Sharpness",
    "SpectralWidth",
    "Spectrum",
    "StepPrediction",
    "anisotropy",
    "condition_numbers",
    "directional_sharpness",
    "effective_rank",
    "gradient_norm",
    "negative_curvature",
    "outlier_count",
    "predicted_decrease",
    "sharpness",
    "spectral_width",
    "spectrum",
]
