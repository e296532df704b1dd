"""What a diagnosis returns."""

from collections.abc import Iterator
from dataclasses import dataclass

from thalweg.estimate import Cost, Estimate, Provenance, format_with_error
from thalweg.measures import DataErrors
from thalweg.record import Record


@dataclass(frozen=True)
class LayerHealth(Record):
    """What one layer or activation does with the data.

    Attributes:
        name: Of the module; of the module and the function where an activation is called in it.
        kind: Class of the module, or "relu", "tanh" or "sigmoid".
        activation_rms: Root mean square of what it returns, over data and units.
        gradient_rms: That of the gradient by its own parameters; ``None`` where it has none that are selected.
        weight_rms: That of these parameters.
        dead: Share of units that are zero for every item, of rectifiers; ``None`` elsewhere. A unit is a channel
            (second axis) of what a convolution or a norm over channels made, a feature (last axis) of what any other
            layer made; where the layer is not known, a channel from four axes on.
        saturated: Share of values within 0.01 of a bound, of tanh and sigmoid; ``None`` elsewhere.
    """

    name: str
    kind: str
    activation_rms: float
    gradient_rms: float | None
    weight_rms: float | None
    dead: float | None
    saturated: float | None

    def __str__(self) -> str:
        words = [f"{self.name} ({self.kind}): activations {self.activation_rms:.2g}"]
        if self.gradient_rms is not None:
            words.append(f"gradient {self.gradient_rms:.2g}")
        if self.dead is not None:
            words.append(f"{self.dead:.0%} dead")
        if self.saturated is not None:
            words.append(f"{self.saturated:.0%} saturated")
        return ", ".join(words)


@dataclass(frozen=True)
class Finding(Record):
    """Something that should be looked at, or changed.

    Attributes:
        severity: "severe", "warning" or "note".
        subject: What it is about: "learning rate", "batch size", "noise", "gradient", "preconditioner", or the name of
            a layer.
        message: What was found.
        advice: What to do about it.
        value: The number behind it; ``None`` where there is none.
        threshold: What that was held against.
    """

    severity: str
    subject: str
    message: str
    advice: str
    value: float | None
    threshold: float | None

    def __str__(self) -> str:
        return f"{self.severity}: {self.message} {self.advice}"


@dataclass(frozen=True)
class Diagnosis(Record):
    """What to expect of training from this point, with these settings.

    Attributes:
        optimizer: "sgd" or "adam".
        lr: Learning rate η.
        momentum: β, for Adam β₁.
        nesterov: Whether momentum is Nesterov's.
        batch_size: B.
        samples: N.
        loss: L(θ).
        gradient_norm: ‖∇L‖.
        sharpness: λ_max of the Hessian, at Adam of P^{-1/2} H P^{-1/2}; its ``converged`` says whether the residual
            is within the tolerance.
        residual: Bound on the error of ``sharpness``; the true value lies up to this above it.
        stable_rates: The largest stable learning rate of "gradient descent", "heavy ball", "nesterov" and "adam",
            whatever the optimizer; ``None`` where no curvature limits it.
        compared_at: The momentum β (of Adam β₁) that they are for: the one given, else 0.9.
        limit: That of the optimizer at hand.
        ratio: η over it.
        small_batch_rate: Above this rate, one step with batches of B items raises the mean square of a perturbation
            along the sharpest direction.
        noise_trace: Tr Σ of the items' gradients, exact for these data, with the error that the data leave.
        noise_floor: Bounds on the stationary excess of the loss, (least, most), for a bowl with the curvature and noise
            of this point.
        critical_batch: Tr Σ / ‖∇L‖², the gradient noise scale, with the same errors.
        first_step: Expected change of the loss in the first step, to second order.
        steps_at_this_pace: Steps like the first that would take away the loss, for a loss that cannot be negative;
            training that slows down needs more. ``None`` where the first step is not certain to lower the loss.
        layers: What each layer does, in the order of the forward pass.
        activation_ratio: Activations (RMS) of the last layer over those of the first.
        gradient_ratio: Gradient (RMS) of the first layer over that of the last.
        findings: What to look at, the worst first.
        unknown: Why what is ``None`` is so, or what is a bound alone, by the name of the attribute.
        data: How far λ_max is from that of all data, if asked for.
        cost: What it took.
        provenance: How it was computed.
    """

    optimizer: str
    lr: float
    momentum: float
    nesterov: bool
    batch_size: int
    samples: int
    loss: float
    gradient_norm: float
    sharpness: Estimate
    residual: float
    stable_rates: dict[str, float | None]
    compared_at: float
    limit: float | None
    ratio: float | None
    small_batch_rate: Estimate | None
    noise_trace: Estimate | None
    noise_floor: tuple[float, float] | None
    critical_batch: Estimate | None
    first_step: Estimate | None
    steps_at_this_pace: float | None
    layers: tuple[LayerHealth, ...]
    activation_ratio: float | None
    gradient_ratio: float | None
    findings: tuple[Finding, ...]
    unknown: dict[str, str]
    data: DataErrors | None
    cost: Cost
    provenance: Provenance | None = None

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        beta = f", {'β₁' if self.optimizer == 'adam' else 'momentum'} {self.momentum:g}" if self.momentum else ""
        kind = " (Nesterov)" if self.nesterov else ""
        yield (
            f"Before training: {self.optimizer}, learning rate {self.lr:g}{beta}{kind}, "
            f"batches of {self.batch_size} of {self.samples}"
        )
        yield f"  loss {self.loss:.4g}, gradient norm {self.gradient_norm:.3g}"
        yield f"  sharpness {self.sharpness.value:.4g} (up to {self.residual:.1e} more)"
        yield f"  largest stable learning rate: {self._limit()}"
        for name, value in self.stable_rates.items():
            symbol = {"heavy ball": "β", "nesterov": "β", "adam": "β₁"}.get(name)
            beta = f" ({symbol} = {self.compared_at:g})" if symbol else ""
            yield f"    {name}{beta}: {'none' if value is None else f'{value:.3g}'}"
        if self.data is not None:
            low, high = self.data.interval()[0].tolist()
            yield f"  sharpness on all data: between {low:.4g} and {high:.4g} (95 %)"
        elif "data" in self.unknown:
            yield f"  sharpness on all data: unknown: {self.unknown['data']}"
        yield from self._stochastic()
        if self.layers:
            yield "  layers:"
            yield from (f"    {layer}" for layer in self.layers)
        yield f"  findings: {len(self.findings) or 'none'}"
        yield from (f"    {finding}" for finding in self.findings)

    def _limit(self) -> str:
        if self.limit is None or self.ratio is None:
            return "none, no curvature is positive"
        side = "above" if self.ratio > 1 else "below"
        factor = self.ratio if self.ratio > 1 else 1 / self.ratio
        return f"{self.limit:.4g}; the given one is {side} it by a factor of {factor:.3g}"

    def _stochastic(self) -> Iterator[str]:
        if self.small_batch_rate is not None:
            yield f"  largest stable one along the sharpest direction with these batches: {self.small_batch_rate}"
        if self.noise_floor is not None:
            low, high = (f"{bound:.3g}" for bound in self.noise_floor)
            yield f"  noise floor {low}" + ("" if low == high else f" to {high}") + " above the minimum"
        if self.critical_batch is not None:
            yield f"  critical batch size {self.critical_batch}"
        if self.first_step is not None:
            pace = (
                "" if self.steps_at_this_pace is None else f"; at this pace {self.steps_at_this_pace:.3g} steps to zero"
            )
            yield f"  expected change of the loss in the first step {_signed(self.first_step)}{pace}"


def _signed(change: Estimate) -> str:
    text = format_with_error(change.value, change.standard_error)
    return text if change.value < 0 else f"+{text}"
