"""Figures of results: :func:`plot` for the screen with plotly, :func:`draw` for paper with matplotlib."""

from thalweg.figures._block_structure import draw_block_structure, plot_block_structure
from thalweg.figures._bottlenecks import draw_bottlenecks, plot_bottlenecks
from thalweg.figures._chains import draw_chains, plot_chains
from thalweg.figures._convergence import draw_convergence, plot_convergence
from thalweg.figures._convexity import draw_convexity, plot_convexity
from thalweg.figures._critical_width import draw_critical_width, plot_critical_width
from thalweg.figures._curve import draw_trained_curve, plot_trained_curve
from thalweg.figures._density import draw_density, plot_density
from thalweg.figures._dimension import draw_dimension, plot_dimension
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._eigenpairs import draw_eigenpairs, plot_eigenpairs
from thalweg.figures._energy_path import draw_energy_path, plot_energy_path
from thalweg.figures._history import draw_history, plot_history
from thalweg.figures._line import draw_line, plot_line
from thalweg.figures._measurements import draw_measurements, plot_measurements
from thalweg.figures._merge_tree import draw_merge_tree, plot_merge_tree
from thalweg.figures._paper import save
from thalweg.figures._path import draw_barrier, draw_connection, draw_path, plot_barrier, plot_connection, plot_path
from thalweg.figures._persistence import draw_persistence, plot_persistence
from thalweg.figures._projection import draw_projection, plot_projection
from thalweg.figures._quantities import draw_quantities, plot_quantities
from thalweg.figures._reliability import draw_reliability, plot_reliability
from thalweg.figures._screen import template
from thalweg.figures._sequence import draw_sequence, plot_sequence
from thalweg.figures._spectra import draw_spectra, plot_spectra
from thalweg.figures._spectrum import draw_spectrum, plot_spectrum
from thalweg.figures._surface import draw_surface, plot_surface
from thalweg.figures._surface_section import draw_grid, plot_grid
from thalweg.figures._trajectory import draw_trajectory, plot_trajectory

__all__ = [
    "draw",
    "draw_barrier",
    "draw_block_structure",
    "draw_bottlenecks",
    "draw_chains",
    "draw_connection",
    "draw_convergence",
    "draw_convexity",
    "draw_critical_width",
    "draw_density",
    "draw_dimension",
    "draw_eigenpairs",
    "draw_energy_path",
    "draw_grid",
    "draw_history",
    "draw_line",
    "draw_measurements",
    "draw_merge_tree",
    "draw_path",
    "draw_persistence",
    "draw_projection",
    "draw_quantities",
    "draw_reliability",
    "draw_sequence",
    "draw_spectra",
    "draw_spectrum",
    "draw_surface",
    "draw_trained_curve",
    "draw_trajectory",
    "plot",
    "plot_barrier",
    "plot_block_structure",
    "plot_bottlenecks",
    "plot_chains",
    "plot_connection",
    "plot_convergence",
    "plot_convexity",
    "plot_critical_width",
    "plot_density",
    "plot_dimension",
    "plot_eigenpairs",
    "plot_energy_path",
    "plot_grid",
    "plot_history",
    "plot_line",
    "plot_measurements",
    "plot_merge_tree",
    "plot_path",
    "plot_persistence",
    "plot_projection",
    "plot_quantities",
    "plot_reliability",
    "plot_sequence",
    "plot_spectra",
    "plot_spectrum",
    "plot_surface",
    "plot_trained_curve",
    "plot_trajectory",
    "save",
    "template",
]
