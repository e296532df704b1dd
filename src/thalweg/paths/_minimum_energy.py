"""Minimum-energy paths: the string method and the nudged elastic band."""

import math
import time
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.descent import Minibatches, momentum
from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.landscape._require import require_vector
from thalweg.measures._require import require_real
from thalweg.paths._alike import (
    require_alike,
    require_arrival,
    require_generator,
    require_labels,
    require_landscape,
)
from thalweg.paths._curve import Curve, require_nodes
from thalweg.paths._images import lengths, redistributed, spline_tangents, upwind_tangents
from thalweg.paths._minimum_energy_results import MinimumEnergyPath
from thalweg.paths._relaxation import Scheme, State, gradients_at, relax, safe_step
from thalweg.progress import Progress, track

# Draxler et al. (2018) put an image where the loss between two others is above their line by this share of its range.
_EXCESS = 0.2
# Springs move an image by this share of the difference of its two distances in a step.
_SPRING = 0.1


def string_method(
    start: Landscape,
    end: Landscape | Float[Tensor, " p"],
    *,
    images: int = 15,
    initial: Curve | None = None,
    step: float | None = None,
    steps: int = 1000,
    tol: float = 1e-3,
    insertions: int = 0,
    batch_size: int | None = None,
    labels: tuple[str, str] = ("A", "B"),
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> MinimumEnergyPath:
    r"""Return the minimum-energy path that a chain of images relaxes to, by the simplified string method.

    .. math:: \nabla L(\varphi(\alpha)) - \bigl(\nabla L \cdot \hat\tau\bigr)\hat\tau = 0

    Every step moves all images down the gradient, φᵢ ← φᵢ − η∇L(φᵢ), and spreads them again evenly along a smooth
    curve through them, which undoes what the gradient does along the path (E, Ren & Vanden-Eijnden, 2007). The highest
    point of such a path is a saddle: see :func:`path_saddle`. There is no momentum: it would build up along the path,
    against what spreads the images.

    Cost: ``images`` − 2 gradients a step, and as many at the end; on minibatches as many times B/N of that. Memory:
    three to four times ``images`` × P numbers on the landscape's device.

    Valid for: differentiable losses; where the loss has kinks, as with ReLU, the residual stops falling. The path found
    depends on the first one: its highest loss is an upper bound on the min–max barrier between the ends, up to what
    the loss does between images, and says nothing of lower paths elsewhere. Batch norm in eval mode keeps the running
    statistics of ``start``.

    Args:
        start: The first end; its model, data and objective are used all along.
        end: The other end, a landscape or its θ, shape (P,). Ends stay where they are; they should be minima.
        images: Points of the chain, both ends included.
        initial: A path between the ends to begin with, such as a trained curve; by default the straight line.
        step: η; by default 1/‖H‖ for the largest curvature at five images of the first chain.
        steps: Most steps, after each insertion anew.
        tol: Residual to reach, in units of the gradient; single precision reaches some 1e-7 ‖θ‖/η.
        insertions: How often to look between the converged images, put further ones where the loss between two is above
            the line between their losses by more than 20 % of its range (Draxler et al., 2018), and relax again.
        batch_size: Items of a minibatch; by default all data. Then all steps are taken, and only the residual at the
            end is on all data.
        labels: Names of the two ends.
        generator: Of the minibatches; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every step to.

    Raises:
        ArgumentError: If an argument has a wrong value, the ends do not belong together, or they coincide.
        NonFiniteError: If a loss or gradient is not finite on the way, or the losses run away; the message says at
            which step.

    Example:
        >>> class Plane(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.at = torch.nn.Parameter(torch.tensor([-1.0, 0.0], dtype=torch.float64))
        >>> def valley(model, batch):  # minima at (±1, 0), a saddle at (0, 1) with L = 1; the line climbs to 6
        ...     x, y = model.at
        ...     return (x**2 - 1) ** 2 + 5 * (y - 1 + x**2) ** 2
        >>> objective = tw.objectives.from_function(valley, lambda batch: 1)
        >>> landscape = tw.Landscape(Plane(), objective, [torch.zeros(1)])
        >>> path = string_method(landscape, torch.tensor([1.0, 0.0], dtype=torch.float64), images=13)
        >>> print(path.converged, f"{path.loss.max():.3f}")
        True 1.000
    """
    given = _Request(images, step, 0.0, steps, tol, insertions, batch_size)
    return _search("string", start, end, given, initial, 0.0, False, labels, generator, progress)


def nudged_elastic_band(
    start: Landscape,
    end: Landscape | Float[Tensor, " p"],
    *,
    images: int = 15,
    initial: Curve | None = None,
    spring: float | None = None,
    climb: bool = True,
    step: float | None = None,
    beta: float = 0.5,
    steps: int = 1000,
    tol: float = 1e-3,
    insertions: int = 0,
    batch_size: int | None = None,
    labels: tuple[str, str] = ("A", "B"),
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> MinimumEnergyPath:
    r"""Return the minimum-energy path that an elastic band relaxes to, its highest image on the saddle.

    .. math:: F_i = -\nabla L + (\nabla L \cdot \hat\tau_i)\hat\tau_i
              + k\,(\|\varphi_{i+1} - \varphi_i\| - \|\varphi_i - \varphi_{i-1}\|)\,\hat\tau_i

    with tangents that point to the higher neighbour (Henkelman & Jónsson, 2000). The highest image feels no spring and
    climbs, :math:`F = -\nabla L + 2 (\nabla L \cdot \hat\tau)\hat\tau`, so that it ends at a saddle whatever the
    spacing (Henkelman, Uberuaga & Jónsson, 2000). ``insertions`` gives AutoNEB (Draxler et al., 2018).

    Cost: as :func:`string_method`, whose notes on validity hold here, too.

    Args:
        start: The first end.
        end: The other end, a landscape or its θ, shape (P,).
        images: Points of the band, both ends included.
        initial: A path to begin with; by default the straight line.
        spring: k; by default 0.1/η.
        climb: Whether the highest image climbs.
        step: η; by default 1/‖H‖ for the largest curvature at five images of the first chain.
        beta: Heavy-ball momentum in [0, 1).
        steps: Most steps, after each insertion anew.
        tol: Norm of the force to reach.
        insertions: How often to look between the images; see :func:`string_method`.
        batch_size: Items of a minibatch; by default all data.
        labels: Names of the two ends.
        generator: Of the minibatches; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every step to.

    Raises:
        ArgumentError: If an argument has a wrong value, the ends do not belong together, or they coincide.
        NonFiniteError: If a loss or gradient is not finite on the way, or the losses run away; the message says at
            which step.

    Example:
        >>> class Line(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.x = torch.nn.Parameter(torch.tensor([-1.0], dtype=torch.float64))
        >>> objective = tw.objectives.from_function(lambda model, batch: (model.x**2 - 1).square().sum(), lambda b: 1)
        >>> landscape = tw.Landscape(Line(), objective, [torch.zeros(1)])  # minima at ±1, a barrier of 1 at 0
        >>> band = nudged_elastic_band(landscape, -landscape.theta, images=6)
        >>> band.converged, round(float(band.loss.max()), 4)
        (True, 1.0)
    """
    if spring is not None and not require_real("spring", spring, "a number above 0") > 0:
        raise ArgumentError(f"spring: expected a number above 0, got {spring}.")
    given = _Request(images, step, beta, steps, tol, insertions, batch_size)
    return _search("band", start, end, given, initial, spring, climb, labels, generator, progress)


@dataclass(frozen=True)
class _Request:
    """The numbers that both methods take, checked."""

    images: int
    step: float | None
    beta: float
    steps: int
    tol: float
    insertions: int
    batch_size: int | None

    def __post_init__(self) -> None:
        for name, count, least in (
            ("images", self.images, 3),
            ("steps", self.steps, 1),
            ("insertions", self.insertions, 0),
        ):
            require_whole(name, count)
            if count < least:
                raise ArgumentError(f"{name}: expected at least {least}, got {count}.")
        for name, number in (("step", self.step), ("tol", self.tol)):
            if number is not None and not 0 < require_real(name, number, "a number above 0") < math.inf:
                raise ArgumentError(f"{name}: expected a number above 0, got {number}.")
        if not 0 <= require_real("beta", self.beta, "a number from 0 to below 1") < 1:
            raise ArgumentError(f"beta: expected a number from 0 to below 1, got {self.beta}.")


def _search(
    method: str,
    start: Landscape,
    end: Landscape | Tensor,
    given: _Request,
    initial: Curve | None,
    spring: float | None,
    climb: bool,
    labels: tuple[str, str],
    generator: torch.Generator | None,
    progress: bool | Progress,
) -> MinimumEnergyPath:
    started = time.perf_counter()
    require_landscape("start", start)
    require_labels(labels)
    require_generator(generator)
    chain = _first_chain(start, _other_end(start, end), initial, given.images)
    batches = None if given.batch_size is None else Minibatches(start, given.batch_size, generator)
    ends = (start.loss(chain[0]), start.loss(chain[-1]))
    if isinstance(end, Landscape):
        require_arrival(ends[1], end)
    losses, products, step = 2 + isinstance(end, Landscape), 0, given.step
    if step is None:
        step, products = safe_step(start, chain, None)
    scheme = _string(step) if method == "string" else _band(_SPRING / step if spring is None else spring, climb)
    taken, evaluated = 0, 0
    with track(None, f"{method} {labels[0]} → {labels[1]}", progress) as bar:
        for round_ in range(given.insertions + 1):
            rule = momentum(step, given.beta)
            chain, count = relax(start, chain, ends, scheme, rule, given.steps, given.tol, batches, bar)
            taken, evaluated = taken + count, evaluated + count * (len(chain) - 2)
            if round_ < given.insertions:
                losses += 2 * len(chain) - 3
                longer = _with_insertions(start, chain, ends)
                if len(longer) == len(chain):
                    break
                chain = longer
    state = gradients_at(start, chain, ends)
    residual = float(scheme.residual(state, climb)[1:-1].max())
    norms, across = _norms(start, state, spline_tangents(chain) if method == "string" else None)
    share = 1.0 if batches is None else batches.size / start.count
    gradients = math.ceil(evaluated * share) + len(chain)
    highest = int(state.loss.argmax())
    return MinimumEnergyPath(
        curve=Curve(chain, "chain", labels),
        loss=state.loss,
        distance=lengths(chain),
        gradient_norms=norms,
        perpendicular_norms=across,
        residual=residual,
        tol=given.tol,
        climbing=highest if climb and 0 < highest < len(chain) - 1 else None,
        method=method,
        step=step,
        steps=taken,
        inserted=len(chain) - given.images,
        labels=labels,
        cost=Cost(products, gradients, losses, time.perf_counter() - started),
        provenance=start.provenance(),
    )


def _string(step: float) -> Scheme:
    def residual(state: State, climbing: bool) -> Tensor:
        del climbing
        moved = redistributed(state.images - step * state.gradients) - state.images
        norms: Tensor = torch.linalg.vector_norm(moved, dim=1)
        return norms / step

    return Scheme(lambda state, _: state.gradients, redistributed, residual)


def _band(spring: float, climb: bool) -> Scheme:
    def force(state: State, climbing: bool) -> Tensor:
        tangents = upwind_tangents(state.images, state.loss)
        along = (state.gradients * tangents).sum(dim=1)
        apart = torch.linalg.vector_norm(state.images[1:] - state.images[:-1], dim=1)
        pull = torch.zeros_like(along)
        pull[1:-1] = -along[1:-1] - spring * (apart[1:] - apart[:-1])
        highest = int(state.loss.argmax())
        if climb and climbing and 0 < highest < len(along) - 1:
            pull[highest] = -2 * along[highest]
        return state.gradients + pull[:, None] * tangents

    return Scheme(
        force, lambda images: images, lambda state, climbing: torch.linalg.vector_norm(force(state, climbing), dim=1)
    )


def _other_end(start: Landscape, end: Landscape | Tensor) -> Float[Tensor, " p"]:
    if not isinstance(end, Landscape):
        return require_vector(start.space, end, "end").clone()
    require_alike(start, end)
    if start.mode == "eval":
        theirs = end.buffers
        different = sorted(name for name, value in start.buffers.items() if not torch.equal(value, theirs[name]))
        if different:
            raise ArgumentError(
                f"end: expected the buffers of start, since the path is one of a single function, got others at "
                f"{different[0]}. Build both landscapes with mode='train', or pass end.theta to keep those of start."
            )
    return end.theta


def _first_chain(
    start: Landscape, last: Float[Tensor, " p"], initial: Curve | None, count: int
) -> Float[Tensor, "n p"]:
    first = start.theta
    if torch.equal(first, last):
        raise ArgumentError("end: expected another point than start, got the same one.")
    if initial is None:
        return torch.stack([torch.lerp(first, last, i / (count - 1)) for i in range(count - 1)] + [last])
    require_nodes(initial, "initial")
    if initial.nodes.shape[1:] != first.shape or initial.nodes.dtype != first.dtype:
        raise ArgumentError(
            f"initial: expected nodes of shape (k + 1, {len(first)}) and type {first.dtype}, got "
            f"{tuple(initial.nodes.shape)} and {initial.nodes.dtype}."
        )
    for name, point, node in (("start", first, initial.nodes[0]), ("end", last, initial.nodes[-1])):
        if not torch.allclose(point, node.to(point.device)):
            raise ArgumentError(f"initial: expected a curve from start to end, got one that does not meet {name}.")
    nodes = Curve(initial.nodes.to(first.device), initial.kind)
    inner = [nodes.point(i / (count - 1)) for i in range(1, count - 1)]
    return redistributed(torch.stack([first, *inner, last]))


def _with_insertions(
    landscape: Landscape, chain: Float[Tensor, "n p"], ends: tuple[float, float]
) -> Float[Tensor, "m p"]:
    """Return the chain with an image in the middle of the segments on which the loss rises above its line."""
    loss = [ends[0], *(landscape.loss(image) for image in chain[1:-1]), ends[1]]
    middles = (chain[1:] + chain[:-1]) / 2
    least = _EXCESS * (max(loss) - min(loss))
    longer = [chain[0]]
    for i, middle in enumerate(middles):
        if landscape.loss(middle) - (loss[i] + loss[i + 1]) / 2 > least:
            longer.append(middle)
        longer.append(chain[i + 1])
    return torch.stack(longer)


def _norms(landscape: Landscape, state: State, tangents: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the norms of the gradients and of their parts across the path; the ends' are computed here."""
    tangents = upwind_tangents(state.images, state.loss) if tangents is None else tangents
    norms, across = torch.empty_like(state.loss), torch.empty_like(state.loss)
    last = len(state.images) - 1
    for i, (image, tangent) in enumerate(zip(state.images, tangents, strict=True)):
        gradient = landscape.gradient(image) if i in (0, last) else state.gradients[i]
        norms[i] = torch.linalg.vector_norm(gradient)
        across[i] = torch.linalg.vector_norm(gradient - torch.dot(gradient, tangent) * tangent)
    return norms, across
