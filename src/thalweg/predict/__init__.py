"""What training will meet, said before it starts."""

from thalweg.predict._connectivity import reliability, variance_rate, variance_rate_law
from thalweg.predict._connectivity_results import Reliability, VarianceRate, VarianceRateLaw
from thalweg.predict._critical_width import critical_width
from thalweg.predict._critical_width_results import CriticalWidth
from thalweg.predict._diagnose import diagnose
from thalweg.predict._diagnosis_results import Diagnosis, Finding, LayerHealth

__all__ = [
    "CriticalWidth",
    "Diagnosis",
    "Finding",
    "LayerHealth",
    "Reliability",
    "VarianceRate",
    "VarianceRateLaw",
    "critical_width",
    "diagnose",
    "reliability",
    "variance_rate",
    "variance_rate_law",
]
