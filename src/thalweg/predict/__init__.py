"""What training will meet, said before it starts."""

from thalweg.predict._diagnose import diagnose
from thalweg.predict._diagnosis_results import Diagnosis, Finding, LayerHealth

__all__ = ["Diagnosis", "Finding", "LayerHealth", "diagnose"]
