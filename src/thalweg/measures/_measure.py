"""Any quantities of a landscape together, each thing that several need computed once."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from thalweg.errors import ArgumentError, ObjectiveError
from thalweg.estimate import Cost
from thalweg.krylov import Checkpointed, checkpointed
from thalweg.landscape import Landscape
from thalweg.measures._measure_results import Measures, Quantity
from thalweg.measures._measure_settings import MeasureSettings
from thalweg.measures._quantities import QUANTITIES
from thalweg.measures._shared import Need, Shared
from thalweg.operators import hessian
from thalweg.operators._require import require_landscape
from thalweg.progress import Progress, track


def measure(
    landscape: Landscape,
    which: str | Sequence[str] | None = None,
    *,
    settings: MeasureSettings | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | Progress = False,
) -> Measures:
    r"""Measure any of the library's quantities at a landscape's point, and return them as a table.

    They share one gradient, one run of :func:`thalweg.spectrum` and its eigenvectors, and one set of products with the
    gradient covariance; each of these is computed when the first quantity asks for it, and not at all if none does.

    ==================  ================================================================================================
    ``which``           rows
    ==================  ================================================================================================
    "loss"              L
    "gradient_norm"     ‖∇L‖
    "eigenvalues"       largest and smallest eigenvalue of H, spectral width, condition number, outliers
    "trace"             tr H
    "sums"              ‖H‖_F², ln det(\|H\| + εI), negative mass, index, nullity, effective ranks
    "anisotropy"        the gradient's energy in the leading eigenvectors, LAS_1 and LAS_k, between bounds
    "sharpness"         S_ρ by one step, a lower bound; where g = 0, along ± an eigenvector if others ask for those
    "noise"             tr Σ, the gradient noise scale, the largest eigenvalue of Σ
    "alignment"         cosine of Σ and H, Zhu's ratio, share of Σ in the leading eigenvectors of H
    "difficulty"        D(θ) = λ_max²/tr H · cos(Σ, H)
    ==================  ================================================================================================

    Cost: as :func:`measure_cost` says beforehand; the result holds both that and what it came to.

    Args:
        landscape: Where to measure.
        which: One name or several; all by default, and then what the landscape does not allow, such as noise of a black
            box, in train mode or of one data item, is a row that says why.
        settings: How many eigenvalues and probes, which radius, and the seed.
        checkpoint: A folder to keep products with H in, and to go on from where it holds some: see
            :func:`thalweg.checkpointed`. What takes gradients and products with Σ is done again.
        progress: Whether to show a bar, or what to report every product to.

    Raises:
        ArgumentError: If a name is unknown, or there is none.
        MemoryBudgetError: If a basis would not fit.
        NonFiniteError: If the loss, a gradient or a product is not finite.
        ObjectiveError: If Σ is asked for by name and the objective is a black box.

    Example:
        >>> import torch
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> data = [(torch.diag(torch.tensor([2.0, 1.0])).double(), torch.zeros(2, 1).double())]
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), data)  # H = diag(2, ½)
        >>> print(measure(landscape, ["trace", "gradient_norm"])["trace"])
        trace: 2.5
    """
    require_landscape(landscape)
    names = chosen(which)
    settings = _required(settings)
    started, rows = time.perf_counter(), list[Quantity]()
    with track(len(names), "measures", progress) as bar:
        shared = Shared(landscape, settings, bar, _kept(landscape, checkpoint), _needs(names))
        # Products made to be timed are none to be kept.
        planned = _planned(
            shared if checkpoint is None else Shared(landscape, settings, bar), names, lenient=which is None
        )
        bar.advance(0, note=f"about {planned}")
        for name in names:
            rows += rows_of(shared, [name]) if which is not None else _rows_or_reason(shared, name)
            bar.advance(note=name)
    return Measures(
        rows=tuple(rows),
        spectrum=shared.spectrum.without_vectors() if shared.has("spectrum") else None,
        planned=planned,
        cost=replace(shared.spent, seconds=time.perf_counter() - started),
        provenance=landscape.provenance("double-backward"),
    )


def measure_cost(
    landscape: Landscape, which: str | Sequence[str] | None = None, *, settings: MeasureSettings | None = None
) -> Cost:
    """Say about what :func:`measure` would take with the same arguments.

    The number of products until eigenvalues converge depends on their gaps: four for each of the upper end and twenty
    for each of the lower, which lies in the bulk, are what trained classifiers take. Seconds are those of one gradient
    and one product of each matrix, times their numbers.

    Cost: one gradient, and one product with each matrix that is needed.

    Args:
        landscape: Where.
        which: One name or several; all by default.
        settings: As for :func:`measure`.

    Raises:
        ArgumentError: If a name is unknown, or there is none.

    Example:
        >>> import torch
        >>> import thalweg as tw
        >>> landscape = tw.Landscape(torch.nn.Linear(2, 1), tw.objectives.mse(), [(torch.eye(2), torch.ones(2, 1))])
        >>> found = measure_cost(landscape, ["loss", "gradient_norm"])
        >>> found.gradients, found.matvecs
        (1, 0)
    """
    require_landscape(landscape)
    names = chosen(which)
    with track(None, "cost", False) as bar:
        return _planned(Shared(landscape, _required(settings), bar), names, lenient=which is None)


def rows_of(shared: Shared, names: Sequence[str]) -> tuple[Quantity, ...]:
    """Return the rows of some quantities, from what they share."""
    return tuple(row for name in names for row in QUANTITIES[name].rows(shared))


def chosen(which: str | Sequence[str] | None) -> list[str]:
    """Return the quantities that are asked for, each once.

    Raises:
        ArgumentError: If a name is unknown, or there is none.
    """
    if which is not None and not isinstance(which, (str, Sequence, set, frozenset, dict)):
        raise ArgumentError(f"which: expected a name, several of them or None, got {type(which).__name__}.")
    names = list(QUANTITIES) if which is None else [which] if isinstance(which, str) else list(which)
    for name in names:
        if not isinstance(name, str) or name not in QUANTITIES:
            raise ArgumentError(f"which: expected names of {', '.join(map(repr, QUANTITIES))}, got {name!r}.")
    if not names:
        raise ArgumentError("which: expected at least one name, got none.")
    return list(dict.fromkeys(names))


def _kept(landscape: Landscape, checkpoint: str | os.PathLike[str] | None) -> Checkpointed | None:
    return None if checkpoint is None else checkpointed(hessian(landscape, engine="double-backward"), checkpoint)


def _required(settings: Any) -> MeasureSettings:
    if settings is None:
        return MeasureSettings()
    if not isinstance(settings, MeasureSettings):
        raise ArgumentError(f"settings: expected MeasureSettings or None, got {type(settings).__name__}.")
    return settings


def _rows_or_reason(shared: Shared, name: str) -> tuple[Quantity, ...]:
    """Return the rows of a quantity that nobody asked for by name, or one that says why there are none."""
    try:
        return rows_of(shared, [name])
    except (ArgumentError, ObjectiveError) as error:
        return (Quantity(name, None, None, None, None, "estimate", str(error)),)


def _needs(names: Sequence[str]) -> set[Need]:
    return {need for name in names for need in QUANTITIES[name].needs}


def _planned(shared: Shared, names: Sequence[str], *, lenient: bool) -> Cost:
    """Count what the quantities need between them, and time one of each."""
    total = Cost()
    for need in sorted(_needs(names)):
        try:
            total += shared.expected(need)
        except (ArgumentError, ObjectiveError):
            if not lenient:
                raise
    return total
