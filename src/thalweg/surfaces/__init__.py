"""Lines and planes through a landscape, and the directions to cut it along."""

from thalweg.surfaces._chosen import eigen_directions, gradient_direction
from thalweg.surfaces._line import line_scan
from thalweg.surfaces._plane import plane_scan
from thalweg.surfaces._random import random_directions
from thalweg.surfaces._results import Directions, Line, Surface

__all__ = [
    "Directions",
    "Line",
    "Surface",
    "eigen_directions",
    "gradient_direction",
    "line_scan",
    "plane_scan",
    "random_directions",
]
