"""Lines, planes and grids through a landscape, and the directions to cut it along."""

from thalweg.surfaces._adaptive import adaptive_scan
from thalweg.surfaces._chosen import eigen_directions, gradient_direction
from thalweg.surfaces._grid import grid_scan
from thalweg.surfaces._line import line_scan
from thalweg.surfaces._plane import plane_scan
from thalweg.surfaces._random import random_directions
from thalweg.surfaces._results import Directions, Grid, Line, Surface

__all__ = [
    "Directions",
    "Grid",
    "Line",
    "Surface",
    "adaptive_scan",
    "eigen_directions",
    "gradient_direction",
    "grid_scan",
    "line_scan",
    "plane_scan",
    "random_directions",
]
