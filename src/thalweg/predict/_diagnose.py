"""What training from a point will meet: asked before the first step."""

import itertools
import time
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import DataError
from thalweg.estimate import Cost, Estimate
from thalweg.krylov import Eigenpairs, eigenpairs
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._widened import held, widened
from thalweg.landscape import Landscape
from thalweg.measures import DataErrors, data_errors
from thalweg.measures._ends import rounding
from thalweg.operators import Curvature, FunctionOperator, hessian
from thalweg.operators._require import require_landscape
from thalweg.predict._diagnosis_results import Diagnosis, LayerHealth
from thalweg.predict._findings import (
    of_gradient,
    of_layers,
    of_noise,
    of_preconditioner,
    of_rate,
    sorted_findings,
)
from thalweg.predict._layers import layer_health
from thalweg.predict._noise import BatchNoise, batch_noise, curvature_spread
from thalweg.predict._settings import Asked, checked
from thalweg.predict._stability import largest_rate, noise_floor, small_batch_rate
from thalweg.progress import Progress, track

Optimizer = Literal["sgd", "adam"]

_FOLDS, _PARTS = 5, 20
_LOWER = "Adam's rate is a lower bound, without the noise of the batches"


def diagnose(
    landscape: Landscape,
    lr: float,
    *,
    momentum: float | None = None,
    batch_size: int | None = None,
    optimizer: Optimizer = "sgd",
    nesterov: bool = False,
    epsilon: float = 1e-8,
    data: bool = False,
    tol: float = 1e-3,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> Diagnosis:
    r"""Say what training from this point with these settings will meet, before it starts.

    *Stability.* A step is stable along every direction of a quadratic if :math:`\eta\lambda_{\max} < 2` for gradient
    descent, :math:`2(1+\beta)` for a heavy ball, :math:`2(1+\beta)/(1+2\beta)` for Nesterov's momentum, and
    :math:`(2+2\beta_1)/(1-\beta_1)` for Adam (38 at β₁ = 0.9) with :math:`\lambda_{\max}(P^{-1/2} H P^{-1/2})`,
    :math:`P = \operatorname{diag}\sqrt{\mathbb{E}\, g_B^2} + \epsilon` (Cohen et al., 2021, 2022). ``stable_rates``
    has all four, whatever the optimizer, at the momentum given, else at 0.9. Where the noise of batches cannot be seen,
    P is that of all data, and Adam's rate a lower bound, since noise makes P larger. L2 weight decay adds to λ. The
    statement is about this point: beyond the limit a network may jump to a flatter place instead of diverging
    (Lewkowycz et al., 2020), and below it sharpness may rise to the limit in training.

    *Small batches.* ``small_batch_rate`` solves :math:`(1-\eta\lambda)^2 + \eta^2 \frac{N-B}{B(N-1)} s^2 = 1` with the
    spread s² of the items' curvature along the leading eigenvector (Wu, Ma & E, 2018). It is exact for one parameter;
    else SGD may be unstable below it, in other directions. For plain SGD alone.

    *Noise.* The stationary excess ½Tr(HS) of SGD, with or without a heavy ball, on a bowl with H and Σ of this point,
    with the leading three directions exact and bounds for the others; it is about ηTrΣ/(4B(1−β)). Near an interpolating
    minimum Σ is far smaller than here. Σ_B = (Σ/B)(N − B)/(N − 1), without replacement. The critical batch size
    TrΣ/‖∇L‖² is the gradient noise scale of McCandlish et al. (2018) from :func:`thalweg.gradient_noise`, and
    ``first_step`` their expected change
    :math:`-\eta\|g\|^2 + \tfrac12\eta^2 (g^\top H g + \operatorname{Tr}(H\Sigma_B))`, for SGD.

    *Layers.* Activations by hooks, which leave again: root mean squares, units that are dead for all items, values
    that are saturated; gradients and weights by layer.

    *Findings.* Dead units from a share of 0.25 (severe 0.9), saturated values from 0.5 (0.9), activations or gradients
    that differ by 10³ between layers (10⁶), a noise floor above half of the loss, batches of more than ten critical
    sizes, a rate below a hundredth of the limit. Where the gradient is zero, λ_min tells a minimum (a note) from a
    saddle (severe); where neither is sure, layers whose weights are all zero are severe, and the rest is a warning.
    Where no gradient is above Adam's ε, its preconditioner is nothing but ε, which is noted.

    Cost: some twenty to a hundred products for the leading eigenpairs, ten to fifty for Adam's; for small batches of
    SGD 24 more with H and with Σ; those of λ_min where the gradient is zero; about five gradients, two of them of
    single items or small batches, and one pass. ``data`` adds what :func:`thalweg.data_errors` takes.

    Items without weight, such as masked texts, count as ones whose gradient and curvature are zero, and all others
    with N/Σw, as in :func:`thalweg.gradient_covariance`.

    Valid for: a Hessian (where the loss has kinks, that between them). With an objective that is a black box, or in
    train mode, what needs single items is ``None``; the reason is in ``unknown``.

    Args:
        landscape: The model at its initialisation, or anywhere, on the training data.
        lr: η > 0.
        momentum: β in [0, 1); by default 0 for "sgd". For "adam" β₁, by default 0.9.
        batch_size: B from 1 to N; by default all N items.
        optimizer: "sgd" or "adam".
        nesterov: Whether the momentum of "sgd" is Nesterov's.
        epsilon: Adam's ε.
        data: Whether to estimate, too, how far the sharpness is from that of all data. In 5 folds of 20 parts; of
            fewer than 20 items in as many parts as fill 5 folds, of fewer than 5 in a fold for each item.
        tol: Residual of the eigenvalues, relative to ‖H‖.
        generator: Of all draws; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every part to.

    Raises:
        ArgumentError: If an argument has a wrong value, or the model has batch norm in train mode, where no item has
            a gradient of its own.
        NonFiniteError: If the loss, the gradient or a product is not finite.

    Warns:
        ConvergenceWarning: If the eigenpairs have not converged.

    Example:
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> inputs = torch.tensor([[1.0], [3.0**0.5]], dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(inputs, 0 * inputs)])  # w², curvature 2
        >>> found = diagnose(landscape, lr=1.25)
        >>> round(found.limit, 6), [finding.subject for finding in found.findings]
        (1.0, ['learning rate', 'noise'])
    """
    require_landscape(landscape)
    asked = checked(landscape, lr, momentum, batch_size, optimizer, epsilon, nesterov=nesterov)
    started = time.perf_counter()
    source = torch.Generator().manual_seed(0) if generator is None else generator
    with track(5 if data else 4, "diagnosis", progress) as bar:
        operator = hessian(landscape, engine="double-backward")
        product, space = widened(operator), held(landscape.space)
        loss, slope = landscape.loss_and_gradient()
        # Squares of half precision would be of no use.
        gradient = slope.to(space.dtype)
        bar.advance(note="sharpness")
        top = eigenpairs(operator, min(3, landscape.size), "LA", tol=tol, generator=source, progress=bar)
        bar.advance(note="noise")
        items = _Items.of(landscape, gradient, top, operator, asked, source, bar)
        root = _root_mean_square(gradient, items, asked)
        scaled = _preconditioned(product, landscape.space.dtype, root + asked.epsilon, tol, source, bar)
        leading = scaled if asked.optimizer == "adam" else top
        bar.advance(note="layers")
        layers = layer_health(landscape, slope)
        norm = space.norm(gradient)
        # What kind of point it is matters where no step leaves it.
        least = _least(operator, tol, source, bar) if norm == 0 else None
        bar.advance(note="data")
        errors = _data_errors(landscape, tol, items.unknown, source, bar) if data else None
    sharpness, residual = float(leading.values[0]), float(leading.residuals[0])
    name = asked.rule
    limit, certain = (largest_rate(name, asked.momentum, value) for value in (sharpness, sharpness + residual))
    small = items.small_batch_rate(float(top.values[0]), asked)
    floor = items.floor(top, asked, limit)
    critical = items.critical_batch()
    step = items.first_step(product, gradient, asked)
    bare = not bool((root > asked.epsilon).any())
    if bare:
        items.unknown.setdefault("stable_rates", f"Adam's rate is that of ε = {asked.epsilon:g} alone")
    found = itertools.chain(
        of_gradient(norm, loss, least, float(top.values[0]), layers),
        of_preconditioner(asked.epsilon) if bare and asked.optimizer == "adam" else (),
        of_rate(asked.lr, limit, certain, small),
        of_noise(loss, floor, asked.batch, critical, step),
        of_layers(layers, norm),
    )
    rates = {
        kind: largest_rate(kind, asked.beta, float((scaled if kind == "adam" else top).values[0]))
        for kind in ("gradient descent", "heavy ball", "nesterov", "adam")
    }
    own = Cost(operator.matvecs, gradients=1, losses=1, seconds=time.perf_counter() - started)
    cost = own + replace(items.cost, seconds=0.0)
    return Diagnosis(
        optimizer=asked.optimizer,
        lr=asked.lr,
        momentum=asked.momentum,
        nesterov=nesterov,
        batch_size=asked.batch,
        samples=landscape.count,
        loss=loss,
        gradient_norm=norm,
        sharpness=Estimate(sharpness, None, converged=bool(leading.converged[0]), cost=leading.cost),
        residual=residual,
        stable_rates=rates,
        compared_at=asked.beta,
        limit=limit,
        ratio=None if limit is None else asked.lr / limit,
        small_batch_rate=small,
        noise_trace=None if items.noise is None else items.noise.gradients.trace,
        noise_floor=floor,
        critical_batch=critical,
        first_step=step,
        steps_at_this_pace=_steps(loss, step),
        layers=layers,
        activation_ratio=_ratio(layers, "activation_rms", first=False),
        gradient_ratio=_ratio(layers, "gradient_rms", first=True),
        findings=sorted_findings(found),
        unknown=items.unknown,
        data=errors,
        cost=cost if errors is None else cost + replace(errors.cost, seconds=0.0),
        provenance=landscape.provenance("double-backward"),
    )


class _Items:
    """What follows from the gradients and the curvature of single items, where these can be seen.

    Attributes:
        noise: Of the gradients.
        unknown: Why something is not known.
        cost: What it took, beside products with H.
    """

    def __init__(self, noise: BatchNoise | None, spread: Estimate | None, unknown: dict[str, str]) -> None:
        self.noise, self._spread, self.unknown = noise, spread, unknown
        self.cost = Cost() if noise is None else noise.cost

    @classmethod
    def of(
        cls,
        landscape: Landscape,
        gradient: Float[Tensor, " p"],
        top: Eigenpairs,
        operator: Curvature,
        asked: Asked,
        source: torch.Generator,
        bar: Progress,
    ) -> "_Items":
        reason = _hidden(landscape)
        if reason is not None:
            names = ("noise_trace", "noise_floor", "critical_batch", "first_step", "small_batch_rate")
            unknown = dict.fromkeys(names, reason)
            if asked.batch < asked.count:
                unknown["stable_rates"] = f"{_LOWER}: {reason}"
            return cls(None, None, unknown)
        vectors = top.vectors
        assert vectors is not None  # noqa: S101 - eigenpairs were asked for with them
        drawn = asked.batch < asked.count
        curved = operator if drawn and asked.optimizer == "sgd" else None
        noise = batch_noise(landscape, gradient, vectors, curved, source, bar, diagonal=drawn)
        unknown = {} if noise.uncut is None else {"stable_rates": f"{_LOWER}: {noise.uncut}"}
        if not (drawn and asked.rule == "gradient descent" and float(top.values[0]) > 0):
            return cls(noise, None, unknown)
        v, spread = vectors[:, 0].contiguous(), None
        try:
            spread = curvature_spread(landscape, v, widened(operator) @ v, source)
        except DataError as error:
            unknown["small_batch_rate"] = str(error)
        return cls(noise, spread, unknown)

    def small_batch_rate(self, sharpness: float, asked: Asked) -> Estimate | None:
        if self._spread is None:
            known = "batches of all items have no noise" if asked.batch == asked.count else None
            known = known or ("no curvature is positive" if sharpness <= 0 else None)
            self.unknown.setdefault("small_batch_rate", known or "it is known for SGD without momentum alone")
            return None
        return small_batch_rate(sharpness, self._spread, asked.batch, asked.count)

    def floor(self, top: Eigenpairs, asked: Asked, limit: float | None) -> tuple[float, float] | None:
        if self.noise is None:
            return None
        reason = None
        if asked.rule in ("adam", "nesterov"):
            reason = "the stationary law is known for SGD and its heavy ball alone"
        elif limit is None:
            reason = "no curvature is positive, and nothing holds the noise"
        elif asked.lr >= limit:
            reason = "at an unstable learning rate nothing is stationary"
        if reason is not None:
            self.unknown["noise_floor"] = reason
            return None
        known = [
            (value, asked.share * along) for value, along in zip(top.values.tolist(), self.noise.along, strict=True)
        ]
        # Eigenvalues that were not computed lie below the last that was.
        total = asked.share * self.noise.gradients.trace.value
        return noise_floor(asked.lr, asked.momentum, total, known, float(top.values[-1]))

    def critical_batch(self) -> Estimate | None:
        if self.noise is None:
            return None
        scale = self.noise.gradients.scale
        if scale is None:
            self.unknown["critical_batch"] = "the gradient is zero"
        return scale

    def first_step(self, operator: SymmetricOperator, gradient: Float[Tensor, " p"], asked: Asked) -> Estimate | None:
        if self.noise is None:
            return None
        if asked.optimizer == "adam":
            self.unknown["first_step"] = "Adam's first step is the sign of the gradient, not a multiple of it"
            return None
        # The first step is the same with a heavy ball; Nesterov's is longer.
        eta = asked.lr * (1 + asked.momentum if asked.rule == "nesterov" else 1.0)
        space = operator.space
        form = space.dot(gradient, operator @ gradient)
        value = -eta * space.norm(gradient) ** 2 + 0.5 * eta**2 * form
        curvature = self.noise.curvature
        if curvature is None:
            # The batch is all items.
            return Estimate(value, standard_error=0.0)
        weight = 0.5 * eta**2 * asked.share
        error = None if curvature.standard_error is None else weight * curvature.standard_error
        return Estimate(value + weight * curvature.value, error, curvature.dof)


def _hidden(landscape: Landscape) -> str | None:
    """Say why single items cannot be seen, or nothing."""
    if landscape.mode == "train":
        return "the landscape is in train mode, where the batch is the unit"
    if not landscape.objective.splits:
        return f"{landscape.objective.name} is a black box"
    return "there is one item alone" if landscape.count < 2 else None


def _data_errors(
    landscape: Landscape, tol: float, unknown: dict[str, str], source: torch.Generator, bar: Progress
) -> DataErrors | None:
    """Take as many parts as there are items, up to 20, in equal folds; or say why there are none."""
    reason = _hidden(landscape)
    if reason is None:
        folds = min(_FOLDS, landscape.count)
        parts = min(_PARTS, landscape.count) // folds * folds
        try:
            return data_errors(landscape, folds=folds, parts=parts, tol=tol, generator=source, progress=bar)
        except DataError as error:
            reason = str(error)
    unknown["data"] = reason
    return None


def _least(operator: Curvature, tol: float, source: torch.Generator, bar: Progress) -> tuple[float, float]:
    """Return λ_min, and how far it may be off by its residual and by rounding."""
    pairs = eigenpairs(operator, 1, "SA", tol=tol, generator=source, progress=bar)
    return float(pairs.values[0]), float(pairs.residuals[0]) + rounding(pairs)


def _root_mean_square(gradient: Float[Tensor, " p"], items: _Items, asked: Asked) -> Float[Tensor, " p"]:
    """Return √E g_B² of each parameter, which Adam divides by."""
    square = gradient.square()
    if items.noise is not None and items.noise.diagonal is not None:
        square = square.add(items.noise.diagonal, alpha=asked.share)
    return square.sqrt()


def _preconditioned(
    operator: SymmetricOperator,
    known: torch.dtype,
    diagonal: Float[Tensor, " p"],
    tol: float,
    source: torch.Generator,
    bar: Progress,
) -> Eigenpairs:
    """Return the leading eigenpair of P^{-1/2} H P^{-1/2}, which has the eigenvalues of P⁻¹H."""
    root = diagonal.rsqrt()
    wrapped = FunctionOperator(
        lambda v: _rounded(root * (operator @ (root * v)), known),
        operator.space.size,
        dtype=operator.space.dtype,
        device=operator.space.device,
    )
    return eigenpairs(wrapped, 1, "LA", tol=tol, generator=source, progress=bar)


def _rounded(values: Float[Tensor, " p"], known: torch.dtype) -> Float[Tensor, " p"]:
    """Keep no more digits than products of this type have: eigenpairs sees by them how symmetric a matrix can be."""
    if known == values.dtype:
        return values
    mantissa, exponent = torch.frexp(values)
    return torch.ldexp(mantissa.to(known).to(values.dtype), exponent)


def _steps(loss: float, step: Estimate | None) -> float | None:
    """How many steps like the first take away all of the loss, if it is one that can be taken away."""
    if step is None or loss <= 0 or step.value + 2 * (step.standard_error or 0.0) >= 0:
        return None
    return -loss / step.value


def _ratio(layers: tuple[LayerHealth, ...], name: str, *, first: bool) -> float | None:
    values = [getattr(layer, name) for layer in layers if layer.weight_rms is not None]
    if len(values) < 2:
        return None
    over, under = (values[0], values[-1]) if first else (values[-1], values[0])
    return over / under if under else None
