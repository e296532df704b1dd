"""Norms, margins and paths: what is thought to tell networks that generalise from those that do not."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError, DifferentiationError, NonFiniteError, ObjectiveError
from thalweg.estimate import Cost, Estimate
from thalweg.landscape import Landscape
from thalweg.measures._capacity_results import Capacity, CapacityMeasure, LayerNorms, NoiseTolerance
from thalweg.measures._fisher_rao import fisher_rao_norm
from thalweg.measures._margins import margins
from thalweg.measures._path_norm import path_norm, require_eval
from thalweg.measures._weights import Weight, Weights, frobenius_norm, row_sum, spectral_norm, weights_of
from thalweg.operators._require import require_landscape

_OF_START = ("init_over_spec", "spectral_complexity_init", "spec_init_main")
_OF_MARGIN = (
    *("prod_of_spec", "sum_of_spec", "prod_of_fro", "sum_of_fro"),
    *("spectral_complexity", "spectral_complexity_init", "path_norm"),
)


def capacity(
    landscape: Landscape,
    initial: Landscape | Float[Tensor, " p"] | None = None,
    *,
    quantile: float | None = 0.1,
    noise: Sequence[NoiseTolerance] = (),
) -> Capacity:
    r"""Return the norm-based measures of capacity of Jiang, Neyshabur, Mobahi, Krishnan & Bengio (2020).

    The weights W of linear layers and convolutions are matrices of outputs × all the rest. Batch norm in eval mode is
    folded into the layer whose output it alone acts on, found by watching one pass. Biases are in no norm of a layer
    (they are in the path norm), nor is what else is no such weight, or is never used: ``left_out`` and ``unfolded``
    name it. The measures
    are products, sums and ratios of ‖W‖₂ and ‖W‖_F, distances from the initial point, the path norm, the Fisher–Rao
    norm, and each of those by the margin γ; :class:`thalweg.Capacity` has the formulas.

    γ is a low quantile of the margins over the data. It is positive only where at most that share of the data is
    classified wrongly: networks are to be compared when they are trained, and without it no measure of a classifier's
    norms means much, since logits grow with the weights.

    None is a bound by itself, and most of them rank networks no better than by chance across all the ways in which
    networks differ (Jiang et al., 2020; Dziugaite et al., 2020). ``scaled`` is √(μ/N). What overflows has a logarithm.

    Cost: a singular value a layer, one pass for the margins, one product for the Fisher–Rao norm, one item for each
    path norm.

    Args:
        landscape: In eval mode.
        initial: The same network where its training began: a landscape, or θ₀, which does if no batch norm is folded.
        quantile: Which quantile of the margins is γ; ``None`` for no margin. What is no classification has none: the
            measures that need it are then undetermined.
        noise: What :func:`thalweg.noise_tolerance` found, to be listed with the others.

    Returns:
        The measures by name. Those that cannot be determined are named with the reason.

    Raises:
        ArgumentError: If an argument has a wrong value, or the model has no weight matrix.
        NonFiniteError: If a weight or a loss is not finite.

    Example:
        >>> import thalweg as tw
        >>> layers = torch.nn.Linear(2, 2, bias=False), torch.nn.ReLU(), torch.nn.Linear(2, 1, bias=False)
        >>> model = torch.nn.Sequential(*layers)
        >>> with torch.no_grad():
        ...     _ = model[0].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
        ...     _ = model[2].weight.copy_(torch.tensor([[1.0, -1.0]]))
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(torch.ones(1, 2), torch.ones(1, 1))])
        >>> measures = capacity(landscape, quantile=None).measures
        >>> print(measures["prod_of_spec"], measures["fro_over_spec"], measures["path_norm"])
        52.36 2.146 30
    """
    require_landscape(landscape)
    require_eval(landscape)
    _check_quantile(quantile)
    started = time.perf_counter()
    weights = weights_of(landscape)
    layers = _norms(weights, None if initial is None else _at_start(landscape, initial, weights))
    found = _Found()
    gamma, cost, absent = None, Cost(), "no margin was asked for"
    if quantile is not None:
        try:
            gaps = margins(landscape)
            gamma, cost = gaps.quantile(quantile), gaps.cost
        except ObjectiveError as error:
            absent = str(error)
    _products(found, layers)
    cost += found.measured("path_norm", lambda: path_norm(landscape))
    cost += found.measured("path_norm_l1", lambda: path_norm(landscape, 1))
    cost += found.measured("fisher_rao", lambda: fisher_rao_norm(landscape))
    for tolerance in noise:
        if not isinstance(tolerance, NoiseTolerance):
            raise ArgumentError(f"noise: expected noise tolerances, got {type(tolerance).__name__}.")
        found.logs["pacbayes_mag_flatness" if tolerance.magnitude_aware else "pacbayes_flatness"] = _log(
            tolerance.flatness.value
        )
    _by_margin(found, len(layers), gamma, absent)
    return Capacity(
        measures={name: CapacityMeasure.of_log(log, landscape.count) for name, log in found.logs.items()},
        undetermined=found.undetermined,
        layers=layers,
        left_out=weights.left_out,
        unfolded=weights.unfolded,
        margin=gamma,
        samples=landscape.count,
        cost=Cost(cost.matvecs, cost.gradients, cost.losses, time.perf_counter() - started),
        provenance=landscape.provenance(),
    )


class _Found:
    """Logarithms of measures by name, and reasons why others have none."""

    def __init__(self) -> None:
        self.logs: dict[str, float] = {}
        self.undetermined: dict[str, str] = {}

    def measured(self, name: str, compute: Callable[[], Estimate]) -> Cost:
        """Keep the logarithm of an estimate, or the reason why there is none; return its cost."""
        try:
            estimate = compute()
        except (ObjectiveError, DifferentiationError, NonFiniteError, ArgumentError) as error:
            self.undetermined[name] = str(error)
            return Cost()
        self.logs[name] = _log(estimate.value)
        return estimate.cost


def _products(found: _Found, layers: tuple[LayerNorms, ...]) -> None:
    """The measures that need the layers' norms alone."""
    logs, depth = found.logs, len(layers)
    spec = [2 * _log(layer.spectral) for layer in layers]
    fro = [2 * _log(layer.frobenius) for layer in layers]
    for name, parts in (("spec", spec), ("fro", fro)):
        logs[f"prod_of_{name}"] = sum(parts)
        logs[f"sum_of_{name}"] = math.log(depth) + sum(parts) / depth
    logs["param_norm"] = _log_sum(fro)
    moved = all(layer.frobenius_distance is not None for layer in layers)
    if moved:
        away = [2 * _log(layer.frobenius_distance or 0.0) for layer in layers]
        logs["fro_dist"] = _log_sum(away)
        logs["spec_dist"] = _log_sum([2 * _log(layer.spectral_distance or 0.0) for layer in layers])
    else:
        found.undetermined.update(dict.fromkeys(("fro_dist", "spec_dist", *_OF_START), "no initial point"))
    zero = [layer.name for layer in layers if layer.spectral == 0]
    if zero:
        reason = f"the weights of {', '.join(zero)} are zero"
        ratios = ("fro_over_spec", "spec_orig_main", "spectral_complexity", *_OF_START)
        found.undetermined.update(dict.fromkeys(ratios, reason))
        return
    logs["fro_over_spec"] = _log_sum([f - s for f, s in zip(fro, spec, strict=True)])
    logs["spectral_complexity"] = _complexity(spec, [layer.row_sum for layer in layers])
    if moved:
        logs["init_over_spec"] = _log_sum([f - s for f, s in zip(away, spec, strict=True)])
        logs["spectral_complexity_init"] = _complexity(spec, [layer.row_sum_distance or 0.0 for layer in layers])


def _complexity(spec: list[float], sums: list[float]) -> float:
    """The logarithm of the square of Π s (Σ (‖Vᵀ‖_{2,1} / s)^{2/3})^{3/2}, from 2 ln s."""
    return sum(spec) + 3 * _log_sum([2 / 3 * (_log(each) - s / 2) for each, s in zip(sums, spec, strict=True)])


def _by_margin(found: _Found, depth: int, gamma: float | None, absent: str) -> None:
    """The measures that have γ² in the denominator, or why there is none."""
    logs = found.logs
    reason = absent if gamma is None else f"the margin {gamma:.4g} is not positive"
    inside = [name for name in _OF_MARGIN if name in logs]
    if gamma is None or gamma <= 0:
        names = [f"{name}_over_margin" for name in inside] + ["spec_orig_main", "spec_init_main", "inverse_margin"]
        for name in names:
            found.undetermined.setdefault(name, reason)
        return
    square = 2 * math.log(gamma)
    logs["inverse_margin"] = -square
    for name in inside:
        # Of d factors that share γ², each root has its part.
        share = depth if name.startswith("sum_of") else 1
        logs[f"{name}_over_margin"] = logs[name] - square / share
    for name, ratio in (("spec_orig_main", "fro_over_spec"), ("spec_init_main", "init_over_spec")):
        if ratio in logs:
            logs[name] = logs["prod_of_spec"] + logs[ratio] - square


def _norms(weights: Weights, start: Weights | None) -> tuple[LayerNorms, ...]:
    others: list[Weight | None] = [None] * len(weights.layers) if start is None else list(start.layers)
    return tuple(_norms_of(layer, other) for layer, other in zip(weights.layers, others, strict=True))


def _norms_of(layer: Weight, start: Weight | None) -> LayerNorms:
    moved = None if start is None else layer.matrix - start.matrix.to(layer.matrix.device)
    rows, columns = layer.matrix.shape
    return LayerNorms(
        name=layer.name,
        rows=rows,
        columns=columns,
        spectral=spectral_norm(layer.matrix),
        frobenius=frobenius_norm(layer.matrix),
        row_sum=row_sum(layer.matrix),
        spectral_distance=None if moved is None else spectral_norm(moved),
        frobenius_distance=None if moved is None else frobenius_norm(moved),
        row_sum_distance=None if moved is None else row_sum(moved),
        norm=layer.norm,
    )


def _at_start(landscape: Landscape, initial: Any, weights: Weights) -> Weights:
    if isinstance(initial, Tensor):
        if weights.folded:
            raise ArgumentError(
                "initial: expected a Landscape of the network at its initial point, since batch norm is folded into "
                "the weights and has running statistics of its own there, got a vector."
            )
        return weights_of(landscape.at(initial))
    if not isinstance(initial, Landscape):
        raise ArgumentError(f"initial: expected a Landscape, θ₀ or None, got {type(initial).__name__}.")
    start = weights_of(initial)
    mine, theirs = ([(each.name, tuple(each.matrix.shape), each.norm) for each in w.layers] for w in (weights, start))
    if mine != theirs:
        raise ArgumentError(
            f"initial: expected the same network, with layers {_shown(mine)}, got one with {_shown(theirs)}."
        )
    return start


def _shown(layers: list[tuple[str, tuple[int, ...], str | None]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape, _ in layers)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _log_sum(logs: list[float]) -> float:
    largest = max(logs)
    return largest + math.log(math.fsum(math.exp(log - largest) for log in logs)) if largest > -math.inf else largest


def _check_quantile(quantile: Any) -> None:
    if quantile is None:
        return
    if isinstance(quantile, bool) or not isinstance(quantile, (int, float)) or not 0 <= quantile <= 1:
        raise ArgumentError(f"quantile: expected a number from 0 to 1 or None, got {quantile!r}.")
