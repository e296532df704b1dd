"""Lines and planes through a landscape, the directions to cut it along, and the shape of its sub-level sets."""

from thalweg.surfaces._chosen import eigen_directions, gradient_direction
from thalweg.surfaces._diagram_distance import bottleneck_distance, wasserstein_distance
from thalweg.surfaces._line import line_scan
from thalweg.surfaces._merge_tree import graph_merge_tree, merge_tree
from thalweg.surfaces._persistence import graph_persistence, persistence
from thalweg.surfaces._plane import plane_scan
from thalweg.surfaces._random import random_directions
from thalweg.surfaces._results import Directions, Line, Surface
from thalweg.surfaces._topology_results import DiagramDistance, MergeTree, Persistence

__all__ = [
    "DiagramDistance",
    "Directions",
    "Line",
    "MergeTree",
    "Persistence",
    "Surface",
    "bottleneck_distance",
    "eigen_directions",
    "gradient_direction",
    "graph_merge_tree",
    "graph_persistence",
    "line_scan",
    "merge_tree",
    "persistence",
    "plane_scan",
    "random_directions",
    "wasserstein_distance",
]
