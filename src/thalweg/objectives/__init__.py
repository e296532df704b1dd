"""Objectives: what a batch is, what the model makes of it, and which terms are averaged."""

from thalweg.objectives._classification import binary_cross_entropy, cross_entropy
from thalweg.objectives._function import from_function
from thalweg.objectives._huggingface import huggingface
from thalweg.objectives._language import causal_lm
from thalweg.objectives._objective import Objective
from thalweg.objectives._regression import mse, squared_error

__all__ = [
    "Objective",
    "binary_cross_entropy",
    "causal_lm",
    "cross_entropy",
    "from_function",
    "huggingface",
    "mse",
    "squared_error",
]
