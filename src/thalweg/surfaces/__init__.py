"""Lines and planes through a landscape, the directions to cut it along, and the shape of its sub-level sets."""

from thalweg.surfaces._adaptive import adaptive_scan
from thalweg.surfaces._chosen import eigen_directions, gradient_direction
from thalweg.surfaces._convexity import convexity_cost, convexity_map
from thalweg.surfaces._convexity_results import ConvexityMap
from thalweg.surfaces._diagram_distance import bottleneck_distance, wasserstein_distance
from thalweg.surfaces._grid import grid_scan
from thalweg.surfaces._line import line_scan
from thalweg.surfaces._merge_tree import graph_merge_tree, merge_tree
from thalweg.surfaces._orthogonal import orthogonal_directions
from thalweg.surfaces._persistence import graph_persistence, persistence
from thalweg.surfaces._plane import plane_scan
from thalweg.surfaces._principal import principal_directions
from thalweg.surfaces._project import project
from thalweg.surfaces._projection_results import Plane, Projection
from thalweg.surfaces._random import random_directions
from thalweg.surfaces._results import Directions, Grid, Line, Surface
from thalweg.surfaces._through import plane_through
from thalweg.surfaces._topology_results import DiagramDistance, MergeTree, Persistence
from thalweg.surfaces._update import update_direction

__all__ = [
    "ConvexityMap",
    "DiagramDistance",
    "Directions",
    "Grid",
    "Line",
    "MergeTree",
    "Persistence",
    "Plane",
    "Projection",
    "Surface",
    "adaptive_scan",
    "bottleneck_distance",
    "convexity_cost",
    "convexity_map",
    "eigen_directions",
    "gradient_direction",
    "graph_merge_tree",
    "graph_persistence",
    "grid_scan",
    "line_scan",
    "merge_tree",
    "orthogonal_directions",
    "persistence",
    "plane_scan",
    "plane_through",
    "principal_directions",
    "project",
    "random_directions",
    "update_direction",
    "wasserstein_distance",
]
