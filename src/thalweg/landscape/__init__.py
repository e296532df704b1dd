"""L(θ) and ∇L(θ) of a model on data."""

from thalweg.landscape._evaluation import Evaluation
from thalweg.landscape._landscape import Landscape
from thalweg.landscape._parameters import Layout
from thalweg.landscape._reestimated import reestimated_buffers

__all__ = [
    "Evaluation",
    "Landscape",
    "Layout",
    "reestimated_buffers",
]
