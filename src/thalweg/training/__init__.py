"""Training: the plain loop and what it leaves behind."""

from thalweg.training._results import History
from thalweg.training._train import train

__all__ = ["History", "train"]
