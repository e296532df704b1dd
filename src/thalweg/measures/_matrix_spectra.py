"""Spectra of the curvature matrices of one landscape, side by side."""

import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.measures._block_spectra import Matrix, made, quietly, warn_of
from thalweg.measures._gradient_noise import require_separate
from thalweg.measures._spectra_results import MatrixSpectra
from thalweg.measures._spectrum import Spectrum
from thalweg.operators import fisher, ggn, gradient_covariance, hessian, residual
from thalweg.operators._covariance import dependent
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track

_MATRICES: dict[str, Matrix] = {
    "hessian": hessian,
    "ggn": ggn,
    "residual": residual,
    "fisher": fisher,
    "monte_carlo_fisher": functools.partial(fisher, kind="monte-carlo"),
    "empirical_fisher": functools.partial(fisher, kind="empirical"),
    "gradient_covariance": gradient_covariance,
}
_OF_ITEMS = ("empirical_fisher", "gradient_covariance")
# A likelihood's exact Fisher has the form of the GGN, to the last bit.
_EQUAL = {"fisher": "ggn", "ggn": "fisher"}
_ALL = ("hessian", "ggn", "residual", "fisher", "gradient_covariance")


def matrix_spectra(
    landscape: Landscape,
    matrices: Sequence[str] | Mapping[str, Matrix] = _ALL,
    *,
    top: int = 20,
    bottom: int = 5,
    probes: int = 8,
    steps: int = 40,
    rtol: float | None = None,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
    **options: Any,
) -> MatrixSpectra:
    r"""Compute spectra of H, G, H − G, F and Σ at one point, to be compared.

    ========================  ====================================================================================
    name                      matrix
    ========================  ====================================================================================
    "hessian"                 H
    "ggn"                     G
    "residual"                H − G, what makes H indefinite
    "fisher"                  the exact Fisher F: G itself for likelihoods, whose spectrum is then taken, at no cost
    "monte_carlo_fisher"      F by one drawn target a term
    "empirical_fisher"        second moment of the terms' gradients, which is no Fisher
    "gradient_covariance"     Σ, the noise of single data items
    ========================  ====================================================================================

    H = G + (H − G) holds for the matrices and for their traces, not for their eigenvalues.

    Cost: that of :func:`thalweg.spectrum` for each matrix that equals no other, and its memory one at a time.

    Args:
        landscape: Where to measure.
        matrices: Names from the table, or a mapping from names of one's own to functions that make an operator from
            the landscape, such as ``lambda L: tw.fisher(L, "monte-carlo", draws=8)``.
        top: Eigenpairs of the upper end of each.
        bottom: Eigenpairs of the lower end.
        probes: Random probes of each.
        steps: Lanczos steps of each probe.
        rtol: As in :func:`thalweg.spectrum`; ``None``, since the trace of H − G may well be near zero.
        generator: Of all draws; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report to.
        **options: Further arguments of :func:`thalweg.spectrum`, the same for all matrices.

    Raises:
        ArgumentError: If an argument has a wrong value, or a matrix of items' gradients is asked for by name and the
            model has batch norm in train mode, where no item has one of its own.
        MemoryBudgetError: If a basis would not fit.
        NonFiniteError: If a product is not finite.
        ObjectiveError: Before anything is computed, if the objective does not declare what a matrix needs.

    Warns:
        ConvergenceWarning: Once, naming the matrices whose ends have not converged.

    Example:
        >>> import thalweg as tw
        >>> data = [(torch.eye(2), torch.tensor([0, 1]))]
        >>> landscape = tw.Landscape(torch.nn.Linear(2, 2), tw.objectives.cross_entropy(), data)
        >>> found = matrix_spectra(landscape, ("hessian", "ggn", "fisher"))
        >>> found.same_as
        {'fisher': 'ggn'}
    """
    require_landscape(landscape)
    makers = _makers(matrices)
    items = [name for name in makers if name in _OF_ITEMS and makers[name] is _MATRICES[name]]
    if items and dependent(landscape):
        require_separate(landscape)
    # All are made before any is measured, so that what cannot be had is said at once.
    operators = {name: made(maker, landscape) for name, maker in makers.items()}
    started, products = time.perf_counter(), 0
    source = torch.Generator().manual_seed(0) if generator is None else generator
    wanted = {"top": top, "bottom": bottom, "probes": probes, "steps": steps, "rtol": rtol, **options}
    spectra, same = dict[str, Spectrum](), dict[str, str]()
    with track(len(makers), "spectra", progress) as bar:
        for name in makers:
            other = None if isinstance(matrices, Mapping) else _EQUAL.get(name)
            if other in spectra:
                spectra[name], same[name] = spectra[other], other
            else:
                # Popped, so that its graphs go with it.
                found = quietly(operators.pop(name), generator=source, progress=bar, **wanted)
                spectra[name] = found.without_vectors()
                products += found.cost.matvecs
            bar.advance(note=name)
    warn_of(spectra, "matrix")
    cost = Cost(matvecs=products, seconds=time.perf_counter() - started)
    return MatrixSpectra(spectra, cost, same, landscape.provenance())


def _makers(matrices: Sequence[str] | Mapping[str, Matrix]) -> dict[str, Matrix]:
    if isinstance(matrices, Mapping):
        makers = dict(matrices)
    else:
        names = [matrices] if isinstance(matrices, str) else list(matrices)
        for name in names:
            if name not in _MATRICES:
                raise ArgumentError(f"matrices: expected names of {', '.join(map(repr, _MATRICES))}, got {name!r}.")
        makers = {name: _MATRICES[name] for name in names}
    if not makers:
        raise ArgumentError("matrices: expected at least one, got none.")
    return makers
