"""The spectrum of each layer's curvature."""

import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from thalweg.errors import ArgumentError, ConvergenceWarning
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._grouping import Grouping, grouped
from thalweg.measures._spectra_results import BlockSpectra
from thalweg.measures._spectrum import Spectrum, spectrum
from thalweg.operators import Curvature, FunctionOperator, Operator, hessian
from thalweg.operators._composite import require_operator
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track

Matrix = Callable[[Landscape], Operator]


def block_spectra(
    landscape: Landscape,
    by: Grouping = "layer",
    *,
    matrix: Matrix = hessian,
    top: int = 10,
    bottom: int = 3,
    probes: int = 8,
    steps: int = 40,
    rtol: float | None = None,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
    **options: Any,
) -> BlockSpectra:
    r"""Compute the spectrum of each diagonal block :math:`A_{gg}` of a curvature matrix, a block a group of parameters.

    A block that is zero but for the rounding of the whole matrix, such as that of a bias before batch norm in train
    mode, counts as zero.

    The blocks are what layerwise methods see of a matrix; :func:`thalweg.block_structure` says how much lies outside of
    them. Each is the matrix of the same landscape as a function of the group's parameters alone, the others held at
    the point, so that nothing is differentiated by what is not asked for.

    It is a function of a landscape, and not of an operator as :func:`thalweg.spectrum` is: products with the whole
    matrix would give the same blocks at the whole matrix's price (:func:`thalweg.block`).

    Cost: that of :func:`thalweg.spectrum` for each group, with products that are never dearer than one with the whole
    matrix. A group's vectors have its own length.

    Args:
        landscape: Where to measure.
        by: "layer", the module that holds the parameter (weight and bias together; tied parameters belong to the first
            module that has them); "parameter", each tensor on its own; a mapping from names of groups to what
            ``Landscape(params=)`` takes; or a function from a parameter's name to its group's, such as
            ``lambda name: name.split(".")[0]``. Every parameter is in exactly one group.
        matrix: Makes the operator from a landscape: ``hessian``, ``ggn``, or a function of one's own.
        top: Eigenpairs of the upper end of each block, as many as there are at most.
        bottom: Eigenpairs of the lower end.
        probes: Random probes of each.
        steps: Lanczos steps of each probe.
        rtol: As in :func:`thalweg.spectrum`; ``None``, since the trace of a block may well be near zero.
        generator: Of all draws; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report to.
        **options: Further arguments of :func:`thalweg.spectrum`, the same for all groups.

    Raises:
        ArgumentError: If an argument has a wrong value, a group is empty, two share a parameter, or one is left over.
        MemoryBudgetError: If a basis would not fit.
        NonFiniteError: If a product is not finite.

    Warns:
        ConvergenceWarning: Once, naming the groups whose ends have not converged.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
        >>> landscape = tw.Landscape(model, tw.objectives.mse(), [(torch.eye(2), torch.zeros(2, 1))])
        >>> found = block_spectra(landscape)
        >>> found.names, found.sizes
        (('0', '1'), (6, 3))
    """
    require_landscape(landscape)
    groups = grouped(landscape.layout, by, landscape.space.dtype)
    started, products = time.perf_counter(), 0
    source = torch.Generator().manual_seed(0) if generator is None else generator
    spectra, kind = dict[str, Spectrum](), ""
    wanted = {"top": top, "bottom": bottom, "probes": probes, "steps": steps, "rtol": rtol, **options}
    with track(len(groups), "block spectra", progress) as bar:
        for name, members in groups.items():
            operator = made(matrix, landscape.restricted(members))
            kind = operator.kind if isinstance(operator, Curvature) else repr(operator)
            try:
                found = quietly(operator, generator=source, progress=bar, **wanted)
            except ArgumentError:
                # What is left of a block that is zero is rounding, and not symmetric.
                if not _is_rounding(operator, made(matrix, landscape), landscape.precision):
                    raise
                found = quietly(_zero(operator), generator=source, progress=bar, **wanted)
            spectra[name] = found.without_vectors()
            products += spectra[name].cost.matvecs
            bar.advance(note=name)
    warn_of(spectra, "group")
    cost = Cost(matvecs=products, seconds=time.perf_counter() - started)
    return BlockSpectra(spectra, groups, kind, cost, landscape.provenance())


def made(matrix: Matrix, landscape: Landscape) -> Operator:
    """Return a landscape's matrix.

    Raises:
        ArgumentError: If ``matrix`` makes something else.
    """
    if not callable(matrix):
        raise ArgumentError(
            f"matrix: expected a function that makes an operator from a landscape, such as hessian or ggn, got "
            f"{matrix!r}."
        )
    operator = matrix(landscape)
    require_operator(operator, "matrix")
    if operator.space.size != landscape.size:
        raise ArgumentError(
            f"matrix: expected an operator over the {landscape.size} parameters of the landscape that it is given, got "
            f"one of size {operator.space.size}. It is called once a group."
        )
    return operator


def _is_rounding(block: Operator, whole: Operator, precision: float) -> bool:
    """Whether a block multiplies a random vector to nothing beside what the whole matrix does."""
    sizes = [op.space.norm(op @ op.space.randn()) / math.sqrt(op.space.size) for op in (block, whole)]
    return sizes[0] <= 100 * precision * sizes[1]


def _zero(operator: Operator) -> Operator:
    return FunctionOperator(torch.zeros_like, operator.space.size, dtype=operator.dtype, device=operator.device)


def quietly(operator: Operator, **options: Any) -> Spectrum:
    """Compute a spectrum, and leave the warning to :func:`warn_of`, which can say whose it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return spectrum(operator, **options)


def warn_of(spectra: dict[str, Spectrum], what: str) -> None:
    """Say once which spectra have ends that have not converged."""
    open_ends = [
        f"{name!r} ({int(done.sum())} of {len(done)} converged)" if not bool(done.all()) else f"{name!r} (copies)"
        for name, one in spectra.items()
        for done in [torch.cat([one.top.converged, one.bottom.converged])]
        if not (bool(done.all()) and one.top.complete and one.bottom.complete)
    ]
    if open_ends:
        warnings.warn(
            f"eigenpairs have not converged, or copies may have been missed, in {what} {', '.join(open_ends)}. Raise "
            "max_matvecs or tol, or ask for fewer.",
            ConvergenceWarning,
            stacklevel=3,
        )
