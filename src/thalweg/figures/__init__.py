"""Figures of results: :func:`plot` for the screen with plotly, :func:`draw` for paper with matplotlib."""

from thalweg.figures._block_structure import draw_block_structure, plot_block_structure
from thalweg.figures._bottlenecks import draw_bottlenecks, plot_bottlenecks
from thalweg.figures._convergence import draw_convergence, plot_convergence
from thalweg.figures._critical_width import draw_critical_width, plot_critical_width
from thalweg.figures._density import draw_density, plot_density
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._eigenpairs import draw_eigenpairs, plot_eigenpairs
from thalweg.figures._energy_path import draw_energy_path, plot_energy_path
from thalweg.figures._history import draw_history, plot_history
from thalweg.figures._line import draw_line, plot_line
from thalweg.figures._measurements import draw_measurements, plot_measurements
from thalweg.figures._paper import save
from thalweg.figures._path import draw_connection, draw_path, plot_connection, plot_path
from thalweg.figures._reliability import draw_reliability, plot_reliability
from thalweg.figures._screen import template
from thalweg.figures._spectra import draw_spectra, plot_spectra
from thalweg.figures._spectrum import draw_spectrum, plot_spectrum
from thalweg.figures._surface import draw_surface, plot_surface

__all__ = [
    "draw",
    "draw_block_structure",
    "draw_bottlenecks",
    "draw_connection",
    "draw_convergence",
    "draw_critical_width",
    "draw_density",
    "draw_eigenpairs",
    "draw_energy_path",
    "draw_history",
    "draw_line",
    "draw_measurements",
    "draw_path",
    "draw_reliability",
    "draw_spectra",
    "draw_spectrum",
    "draw_surface",
    "plot",
    "plot_block_structure",
    "plot_bottlenecks",
    "plot_connection",
    "plot_convergence",
    "plot_critical_width",
    "plot_density",
    "plot_eigenpairs",
    "plot_energy_path",
    "plot_history",
    "plot_line",
    "plot_measurements",
    "plot_path",
    "plot_reliability",
    "plot_spectra",
    "plot_spectrum",
    "plot_surface",
    "save",
    "template",
]
