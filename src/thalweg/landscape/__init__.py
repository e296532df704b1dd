"""L(θ) and ∇L(θ) of a model on data."""

from thalweg.landscape._evaluation import Evaluation
from thalweg.landscape._landscape import Landscape
from thalweg.landscape._parameters import Layout

__all__ = ["Evaluation", "Landscape", "Layout"]
