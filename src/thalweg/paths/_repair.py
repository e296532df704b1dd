"""Give the hidden units of an interpolated network the statistics that those of its ends have."""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.landscape._reestimated import has_statistics
from thalweg.landscape._sampling import grid, sample
from thalweg.paths._activations import AffineLayer, affine_layers, over_batches, record, standing
from thalweg.paths._alike import require_alike, require_arrival, require_labels
from thalweg.paths._along import mixed
from thalweg.paths._linear import linear_path
from thalweg.paths._propagation import propagate
from thalweg.paths._results import PathScan
from thalweg.paths._trace import movable
from thalweg.progress import Progress

Values = Mapping[str, Tensor]
Moments = tuple[Tensor, Tensor]


def repaired_path(
    start: Landscape,
    end: Landscape,
    *,
    points: int = 15,
    labels: tuple[str, str] = ("A", "B"),
    estimate_on: Iterable[Batch] | None = None,
    progress: bool | Progress = False,
) -> PathScan:
    r"""Loss along the line between two networks, the statistics of their hidden units repaired at every point.

    .. math:: z_i \leftarrow \frac{\sigma_i^*}{\sigma_i}\,(z_i - \mu_i) + \mu_i^*, \qquad
        \mu_i^* = (1 - \alpha)\,\mu_i^A + \alpha\,\mu_i^B, \quad
        \sigma_i^* = (1 - \alpha)\,\sigma_i^A + \alpha\,\sigma_i^B

    for the preactivations z of every hidden unit i, whose variance collapses between networks (REPAIR, Jordan et
    al., 2023). The map is folded into the weights and the bias of its layer, so that every point is a network of
    the same architecture; a layer without a bias is rescaled and not shifted. Layers are repaired in the order in
    which they run, each behind those that are repaired already. A network with batch norm has its running
    statistics re-estimated instead, as ``linear_path(statistics="re-estimated")``.

    Cost: per inner point one pass, and one for each repaired layer up to that layer; two passes for the ends. The
    graphs of all batches are kept. With batch norm twice the points.

    Valid for: networks that are aligned (:func:`align`); else there is little to repair. Layers are those whose
    outputs are hidden units that :func:`permutations` can follow, whose weights are used once and are part of θ.
    The points lie off the straight line; ``distance`` is that along it.

    Args:
        start: The network at α = 0; losses are those on its data.
        end: The network at α = 1.
        points: Number of points, both ends included; an odd number has α = ½ among them.
        labels: Names of the two ends.
        estimate_on: Batches to take the statistics on, by default those of ``start``; give the training batches where
            the landscapes are those of test data.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Raises:
        ArgumentError: As :func:`linear_path`, or if the model cannot be traced.
        NonFiniteError: If the loss of ``end`` is not finite.

    Example:
        >>> import thalweg as tw
        >>> generator = torch.Generator().manual_seed(0)
        >>> x = torch.randn(50, 2, generator=generator)
        >>> one, other = (
        ...     tw.Landscape(tw.models.mlp((2, 6, 1), generator=generator), tw.objectives.mse(), [(x, x[:, :1])])
        ...     for _ in range(2)
        ... )
        >>> print(repaired_path(one, other, points=3))
        linear path A → B, 3 points
    """
    require_alike(start, end)
    require_labels(labels)
    if has_statistics(start.model):
        return linear_path(
            start,
            end,
            points=points,
            labels=labels,
            statistics="re-estimated",
            estimate_on=estimate_on,
            progress=progress,
        )
    position = grid((0.0, 1.0), points)
    repairs = Repairs(start, end, estimate_on)
    found = sample((repairs.at(alpha) for alpha in position.tolist()), points, "repaired path", progress)
    require_arrival(float(found.loss[-1]), end)
    passes = 3 + (points - 2) * len(repairs.layers)
    return PathScan(
        position,
        position * float(torch.linalg.vector_norm((end.theta - start.theta).double())),
        found.loss,
        found.metrics,
        kind="linear",
        labels=labels,
        cost=found.cost + Cost(losses=passes),
        statistics="repaired",
    )


class Repairs:
    """The line between two networks without batch norm, and what the layers of both put out."""

    def __init__(self, start: Landscape, end: Landscape, estimate_on: Iterable[Batch] | None = None) -> None:
        self.start, self.end = start, end
        there = start if estimate_on is None else start.on(estimate_on)
        with there.reading():
            self._traces = list(over_batches(there))
            first = self._traces[0]
            labels = propagate(first, movable(start))[3]
            hidden = [
                layer for layer in affine_layers(first) if not (labels[layer.output][layer.axis] or "0").isdigit()
            ]
            self.layers = [layer for layer in hidden if layer.weight in start.layout.names]
            every = {layer.output for layer in self.layers}
            self._ours, self._theirs = (self._moments(standing(one), self.layers, every) for one in (start, end))

    def at(self, alpha: float) -> Landscape:
        """Return the landscape of the repaired network at α; the ends are those themselves.

        Raises:
            ArgumentError: If α is not from 0 to 1.
        """
        if not 0 <= alpha <= 1:
            raise ArgumentError(f"alpha: expected a position from 0 to 1, got {alpha}.")
        theta = (1 - alpha) * self.start.theta + alpha * self.end.theta
        there = self.start.at(theta, buffers=mixed(self.start.buffers, self.end.buffers, alpha))
        if alpha in (0, 1):
            return there
        with self.start.reading(), torch.no_grad():
            tensors = standing(there)
            for layer in self.layers:
                now = self._moments(tensors, [layer], {layer.output})[layer.output]
                ours, theirs = self._ours[layer.output], self._theirs[layer.output]
                mean, spread = ((1 - alpha) * a + alpha * b for a, b in zip(ours, theirs, strict=True))
                tensors.update(_folded(tensors, layer, now, (mean, spread), set(self.start.layout.names)))
        flat = self.start.layout.flatten([tensors[name] for name in self.start.layout.names], theta)
        return there.at(flat)

    def _moments(self, tensors: Values, layers: list[AffineLayer], keep: set[str]) -> dict[str, Moments]:
        """Mean and standard deviation of every unit of some layers, over all samples and pixels."""
        sums = dict[str, list[Tensor]]()
        for values in self._recorded(tensors, keep):
            for layer in layers:
                units = values[layer.output].movedim(layer.axis, 0).flatten(1).double()
                count = torch.tensor(float(units.shape[1]), dtype=torch.float64, device=units.device)
                mean = units.mean(1)
                # Chan's update: no difference of large sums.
                part = [count, mean, (units - mean[:, None]).square().sum(1)]
                sums[layer.output] = part if layer.output not in sums else _joined(sums[layer.output], part)
        return {name: (mean, (squares / count).sqrt()) for name, (count, mean, squares) in sums.items()}

    def _recorded(self, tensors: Values, keep: set[str]) -> Iterator[dict[str, Tensor]]:
        for found in self._traces:
            yield record(found, tensors, keep, stop=True)


def _joined(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
    count = a[0] + b[0]
    apart = b[1] - a[1]
    return [count, a[1] + apart * b[0] / count, a[2] + b[2] + apart.square() * a[0] * b[0] / count]


def _folded(tensors: Values, layer: AffineLayer, now: Moments, wanted: Moments, movable: set[str]) -> dict[str, Tensor]:
    """Return the weight and bias with which a layer's units have the wanted statistics; units that never vary stay."""
    weight = tensors[layer.weight]
    varies = (now[1] > 1e-12 * now[0].abs()) & (now[1] > 0)
    scale = torch.where(varies, wanted[1] / now[1], 1.0)
    shape = [-1 if place == layer.weight_axis else 1 for place in range(weight.ndim)]
    out = {layer.weight: weight * scale.to(weight.dtype).reshape(shape)}
    if layer.bias is not None and layer.bias in movable:
        bias = tensors[layer.bias]
        out[layer.bias] = (scale * (bias.double() - now[0]) + wanted[0]).to(bias.dtype)
    return out
