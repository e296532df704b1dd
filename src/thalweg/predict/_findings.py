"""What a diagnosis makes of its numbers: where they cross a threshold, and what to do then."""

from collections.abc import Iterator

from thalweg.estimate import Estimate
from thalweg.predict._diagnosis_results import Finding, LayerHealth

_ORDER = ("severe", "warning", "note")
# Shares of dead units or saturated values, and ratios between layers, for a warning and for worse.
_DEAD, _SATURATED, _RATIO = (0.25, 0.9), (0.5, 0.9), (1e3, 1e6)
# The noise floor as a share of the loss, the batch as a multiple of the critical one, the rate as a share of the limit.
_FLOOR, _BATCH, _SLOW = 0.5, 10.0, 0.01


def sorted_findings(findings: Iterator[Finding]) -> tuple[Finding, ...]:
    """The worst first."""
    return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity)))


def of_rate(lr: float, limit: float | None, certain: float | None, small: Estimate | None) -> Iterator[Finding]:
    """Look at the learning rate.

    Args:
        lr: η.
        limit: The largest stable rate by the sharpness computed.
        certain: The same by the largest sharpness that its residual allows.
        small: That of small batches.
    """
    if limit is None or certain is None:
        yield Finding(
            "note",
            "learning rate",
            "No curvature is positive here, so that none limits the learning rate at this point.",
            "Diagnose again after some steps.",
            None,
            None,
        )
    elif lr > limit:
        yield Finding(
            "severe",
            "learning rate",
            f"The learning rate {lr:.3g} is {lr / limit:.3g} times the largest stable one, {limit:.3g}: steps along "
            "the sharpest direction grow.",
            f"Lower it below {certain:.3g}, or raise it to its value from below over the first steps.",
            lr / limit,
            1.0,
        )
    elif lr > certain:
        yield Finding(
            "warning",
            "learning rate",
            f"The learning rate {lr:.3g} is within the error of the largest stable one, {certain:.3g} to {limit:.3g}.",
            f"Lower it below {certain:.3g}, or compute the sharpness with a smaller tol.",
            lr / limit,
            1.0,
        )
    elif small is not None and lr > small.value + 2 * (small.standard_error or 0.0):
        yield Finding(
            "warning",
            "learning rate",
            f"The learning rate {lr:.3g} is stable on average, but not with these batches: above {small} one step "
            "raises the mean square of a perturbation along the sharpest direction.",
            "Lower it, or enlarge the batches.",
            lr / small.value,
            1.0,
        )
    elif lr < _SLOW * limit:
        yield Finding(
            "note",
            "learning rate",
            f"The learning rate {lr:.3g} is {limit / lr:.3g} times smaller than the largest stable one, {limit:.3g}.",
            "Training may be slower than it need be.",
            lr / limit,
            _SLOW,
        )


def of_noise(
    loss: float,
    floor: tuple[float, float] | None,
    batch: int,
    critical: Estimate | None,
    step: Estimate | None,
) -> Iterator[Finding]:
    """Look at what small batches do to the loss."""
    if floor is not None and loss > 0 and floor[0] > _FLOOR * loss:
        yield Finding(
            "warning",
            "noise",
            f"The noise of the batches alone holds the loss at {floor[0]:.3g} or more above a minimum, of a loss of "
            f"{loss:.3g}.",
            "Lower the learning rate, or enlarge the batches.",
            floor[0] / loss,
            _FLOOR,
        )
    if step is not None and step.value - 2 * (step.standard_error or 0.0) > 0:
        yield Finding(
            "warning",
            "noise",
            f"The loss is expected to rise in the first step, by {step}.",
            "Lower the learning rate, or enlarge the batches.",
            step.value,
            0.0,
        )
    if critical is not None and batch > _BATCH * max(1.0, critical.value):
        yield Finding(
            "note",
            "batch size",
            f"Batches of {batch} are {batch / max(1.0, critical.value):.3g} times the critical size, {critical}: most "
            "of their items say nothing new.",
            "Smaller batches would make nearly the same progress per step, from less computation.",
            batch / max(1.0, critical.value),
            _BATCH,
        )


def of_gradient(
    norm: float, loss: float, least: tuple[float, float] | None, largest: float, layers: tuple[LayerHealth, ...]
) -> Iterator[Finding]:
    """Look at the gradient as a whole, and where it is zero at what kind of point that is.

    Args:
        norm: ‖∇L‖.
        loss: L.
        least: λ_min and how far it may be off, where the gradient is zero.
        largest: λ_max.
        layers: All of them.
    """
    if norm > 0 or least is None:
        return
    lowest, slack = least
    empty = [layer.name for layer in layers if layer.weight_rms == 0]
    start = "Start from another initialisation; zeros in all weights are a critical point."
    if loss == 0:
        severity, advice = "note", "There is nothing left to train."
        text = "The gradient is zero, and so is the loss: the data are fitted exactly."
    elif lowest > slack:
        severity, advice = "note", "There is nothing left to train from here."
        text = f"The gradient is zero, and the curvature positive in all directions: a minimum, of loss {loss:.3g}."
    elif lowest < -slack:
        severity, advice = "severe", start
        text = f"The gradient is zero at a saddle or maximum, of curvature down to {lowest:.3g}: no step leaves it."
    elif largest <= slack:
        severity, advice = "severe", start
        text = "The gradient is zero, and so is the curvature: no step goes anywhere."
    elif empty:
        severity, advice = "severe", start
        text = f"The gradient is zero, and so are the weights of {', '.join(empty)}: no step goes anywhere."
    else:
        severity = "warning"
        text = f"The gradient is zero and no curvature negative, at a loss of {loss:.3g}: no step goes anywhere."
        advice = "Look closer whether it is a minimum, by tw.critical_point(L, steps=0)."
    yield Finding(severity, "gradient", text, advice, 0.0, 0.0)


def of_preconditioner(epsilon: float) -> Iterator[Finding]:
    """Say that Adam's preconditioner is nothing but ε."""
    yield Finding(
        "note",
        "preconditioner",
        f"Adam's preconditioner is nothing but ε = {epsilon:g} here: no root mean square of a gradient is above it, "
        "and the limit is that of gradients divided by ε.",
        "Read the limit of gradient descent instead, or diagnose where gradients are larger.",
        None,
        None,
    )


def of_layers(layers: tuple[LayerHealth, ...], gradient_norm: float) -> Iterator[Finding]:
    """Look at every layer, and at how they compare."""
    for layer in layers:
        yield from _of_layer(layer, gradient_norm)
    # Vectors beside weights (biases, scales of a norm) have gradients of their own size.
    weighted = [layer for layer in layers if layer.weight_rms is not None]
    for quantity, advice, values in (
        (
            "activations",
            "Scale the initialisation to the width of each layer, or normalise between layers.",
            {layer.name: layer.activation_rms for layer in weighted},
        ),
        (
            "gradients",
            "Scale the initialisation to the width of each layer, or add normalisation or skip connections.",
            {layer.name: layer.gradient_rms or 0.0 for layer in weighted},
        ),
    ):
        present = {name: value for name, value in values.items() if value > 0}
        if len(present) < 2:
            continue
        small, large = min(present, key=present.__getitem__), max(present, key=present.__getitem__)
        ratio = present[large] / present[small]
        if ratio > _RATIO[0]:
            yield Finding(
                _worse(ratio, _RATIO),
                large,
                f"The {quantity} of {large} are {ratio:.2g} times those of {small}.",
                advice,
                ratio,
                _RATIO[0],
            )


def _of_layer(layer: LayerHealth, gradient_norm: float) -> Iterator[Finding]:
    if layer.dead is not None and layer.dead >= _DEAD[0]:
        yield Finding(
            _worse(layer.dead, _DEAD),
            layer.name,
            f"{layer.dead:.0%} of the units of {layer.name} are zero for every item: nothing passes them, and no "
            "gradient comes back.",
            "Look at the biases and the scale of the layer before it, or use an activation that leaks.",
            layer.dead,
            _DEAD[0],
        )
    if layer.saturated is not None and layer.saturated >= _SATURATED[0]:
        yield Finding(
            _worse(layer.saturated, _SATURATED),
            layer.name,
            f"{layer.saturated:.0%} of the values of {layer.name} are at a bound of {layer.kind}, where its slope is "
            "next to nothing.",
            "Scale the inputs or the weights before it down.",
            layer.saturated,
            _SATURATED[0],
        )
    if layer.gradient_rms == 0 and gradient_norm > 0:
        yield Finding(
            "severe",
            layer.name,
            f"{layer.name} gets no gradient at all.",
            "Look for dead activations after it, weights of zero, or a part of the model that the loss does not see.",
            0.0,
            0.0,
        )


def _worse(value: float, thresholds: tuple[float, float]) -> str:
    return "severe" if value >= thresholds[1] else "warning"
