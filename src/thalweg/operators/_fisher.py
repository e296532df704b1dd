"""Fisher matrices: exact, by drawn targets, and with the data's own."""

from typing import Literal

import torch

from thalweg.errors import ArgumentError, ObjectiveError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.operators._covariance import warn_of_dependence
from thalweg.operators._curvature import Curvature, EngineName, Way
from thalweg.operators._drawn import with_drawn_targets
from thalweg.operators._form import Congruence, Leaves, Values, identity
from thalweg.operators._ggn import gauss_newton_form
from thalweg.operators._outputs import require_convex
from thalweg.operators._require import require_landscape

Kind = Literal["exact", "monte-carlo", "empirical"]


def fisher(
    landscape: Landscape,
    kind: Kind = "exact",
    *,
    draws: int = 1,
    generator: torch.Generator | None = None,
    engine: EngineName = "auto",
    memory: int | Literal["auto"] = "auto",
    keep: bool = True,
) -> Curvature:
    r"""Return a Fisher matrix of the model's conditional distribution as an operator.

    .. math:: F = \frac{1}{\sum_j w_j} \sum_j w_j\, \mathbb{E}_y\bigl[\nabla\ell_j(y)\, \nabla\ell_j(y)^\top\bigr]

    over the terms j, each with its inputs fixed.

    =================  ======================================================  =================================
    kind               targets y                                               what it is
    =================  ======================================================  =================================
    ``"exact"``        all, from the model's own distribution                  equals the GGN for likelihoods
    ``"monte-carlo"``  ``draws`` from the model, drawn once                    unbiased for the exact one
    ``"empirical"``    those of the data                                       no Fisher (Kunstner, Hennig &
                                                                               Balles, 2019); the uncentred
                                                                               second moment of the terms'
                                                                               gradients
    =================  ======================================================  =================================

    Where each data item has one term, and all weigh the same, the empirical one is Σ + ∇L∇Lᵀ
    (:func:`gradient_covariance`).

    Valid for: landscapes in eval mode. In train mode items act on each other through batch norm, so that terms have no
    gradients of their own, and the empirical one depends on how the data are cut into batches: a warning says so. Build
    the landscape with ``mode="eval"``.

    Cost of a product: that of the GGN; "monte-carlo" makes one more pass without gradients when it is built.

    Args:
        landscape: Where to differentiate. "exact" and "monte-carlo" need an objective that is a likelihood (``draw``).
        kind: Which targets.
        draws: Targets a term, for "monte-carlo".
        generator: Of the draws; ``None`` is a fresh one of seed 0. The matrix stays the same from then on, and its
            ``landscape`` has the drawn targets. Data cut into other batches get other draws.
        engine: "double-backward", "forward-over-reverse", or "auto", which tries them and keeps the fastest.
        memory: Bytes that products may hold beyond the landscape and their vectors: kept graphs, and what passes
            through them; "auto" for half of what is free at the first product. Micro-batches are cut to fit.
        keep: Whether graphs are kept for later products while the memory lasts.

    Raises:
        ArgumentError: If an argument has a wrong value.
        DifferentiationError: From a product, if an operation of the model has no derivative of the kind needed.
        MemoryBudgetError: From a product, if ``memory`` does not hold one sample.
        ObjectiveError: If the objective does not declare what the kind needs.

    Warns:
        DependentItemsWarning: With kind="empirical", if the model has batch norm in train mode.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(1, 2, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(torch.ones(1, 1), torch.tensor([0]))])
        >>> fisher(landscape).dense()  # diag(p) − ppᵀ at p = (½, ½)
        tensor([[ 0.2500, -0.2500],
                [-0.2500,  0.2500]])
    """
    require_landscape(landscape)
    way = Way(engine, memory, keep)
    if kind not in ("exact", "monte-carlo", "empirical"):
        raise ArgumentError(f"kind: expected 'exact', 'monte-carlo' or 'empirical', got {kind!r}.")
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise ArgumentError(f"draws: expected a whole number of at least 1, got {draws!r}.")
    if kind != "monte-carlo" and (draws != 1 or generator is not None):
        raise ArgumentError(f"draws, generator: expected neither with kind={kind!r}, which draws nothing.")
    if kind == "empirical":
        _require_terms(landscape)
        warn_of_dependence(landscape)
        return Curvature("empirical fisher", landscape, _outer_products(landscape), way)
    if landscape.objective.draw is None:
        raise ObjectiveError(
            f"objective: expected a likelihood for the {kind} Fisher, and {landscape.objective.name} declares no draw. "
            "Take kind='empirical', or the GGN."
        )
    if kind == "exact":
        require_convex(landscape, "exact Fisher")
        return Curvature("fisher", landscape, gauss_newton_form(landscape), way)
    drawn = with_drawn_targets(landscape, draws, generator)
    return Curvature("monte-carlo fisher", drawn, _outer_products(drawn), way)


def _require_terms(landscape: Landscape) -> None:
    if not landscape.objective.splits:
        raise ObjectiveError(
            f"objective: expected one whose terms can be seen for the empirical Fisher, and {landscape.objective.name} "
            "is a black box: a batch is one term."
        )


def _outer_products(landscape: Landscape) -> Congruence:
    """Terms as values, each with the root of its weight: the rows of their Jacobian are the terms' gradients."""

    def values(leaves: Leaves, batch: Batch) -> Values:
        terms = landscape.terms(leaves, batch)
        return (terms.weights.sqrt() * terms.values.to(terms.weights.dtype),)

    return Congruence(values, identity)
