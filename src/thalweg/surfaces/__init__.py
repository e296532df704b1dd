"""Lines, planes and grids through a landscape, and the directions to cut it along."""

from thalweg.surfaces._adaptive import adaptive_scan
from thalweg.surfaces._chosen import eigen_directions, gradient_direction
from thalweg.surfaces._convexity import convexity_cost, convexity_map
from thalweg.surfaces._convexity_results import ConvexityMap
from thalweg.surfaces._grid import grid_scan
from thalweg.surfaces._line import line_scan
from thalweg.surfaces._orthogonal import orthogonal_directions
from thalweg.surfaces._plane import plane_scan
from thalweg.surfaces._principal import principal_directions
from thalweg.surfaces._project import project
from thalweg.surfaces._projection_results import Plane, Projection
from thalweg.surfaces._random import random_directions
from thalweg.surfaces._results import Directions, Grid, Line, Surface
from thalweg.surfaces._through import plane_through
from thalweg.surfaces._update import update_direction

__all__ = [
    "ConvexityMap",
    "Directions",
    "Grid",
    "Line",
    "Plane",
    "Projection",
    "Surface",
    "adaptive_scan",
    "convexity_cost",
    "convexity_map",
    "eigen_directions",
    "gradient_direction",
    "grid_scan",
    "line_scan",
    "orthogonal_directions",
    "plane_scan",
    "plane_through",
    "principal_directions",
    "project",
    "random_directions",
    "update_direction",
]
