"""The loss along one direction."""

from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._sampling import Functions, grid
from thalweg.operators import Operator
from thalweg.progress import Progress
from thalweg.surfaces._cells import MEMORY, Cells, Checkpoint, walked
from thalweg.surfaces._columns import directions_of
from thalweg.surfaces._digests import digest_of, digests_of
from thalweg.surfaces._quadratic import second_order
from thalweg.surfaces._results import Directions, Line


def line_scan(
    landscape: Landscape,
    direction: Directions | Float[Tensor, " p"],
    *,
    points: int = 61,
    span: tuple[float, float] = (-0.5, 1.5),
    quadratic: bool = False,
    operator: Operator | None = None,
    functions: Functions | None = None,
    checkpoint: Checkpoint = None,
    share: bool = True,
    memory: int = MEMORY,
    progress: bool | Progress = False,
) -> Line:
    r"""Evaluate L(θ + s·d) for equally spaced s.

    By default 61 points from −½ to 3/2, in steps of 1/30, which hit s = 0 and s = 1 (Goodfellow et al., 2015,
    with d the difference of two solutions); 60 points would hit neither. Every point is computed from θ, which stays
    where it is.

    Cost: ``points`` passes without gradients; ``quadratic`` one gradient and one product more.

    Valid for: any model. A line shows one section: a flat one does not mean a flat minimum.

    Args:
        landscape: Its θ is s = 0; buffers stay as they are there.
        direction: d, shape (P,), or a record of one direction. It is not scaled: see ``norm`` of the result.
        points: Number of points.
        span: First and last s.
        quadratic: Whether to add the quadratic model L + s·gᵀd + ½s²·dᵀHd.
        operator: H for the model, by default the Hessian; for ``quadratic`` alone.
        functions: Further quantities by name: f(model, batch), with the model at the point, returns a number for the
            batch, one for each item, or one for each term; they are averaged as the loss is, and found in ``metrics``.
        checkpoint: A file to keep what is evaluated in; the same call goes on from it, with the same bits.
        share: Whether the product of a linear first layer with the data is shared, see ``memory``. It changes rounding.
        memory: Bytes that such products may take; a batch beyond them is computed as ever.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Returns:
        The scan; a loss that is not finite is NaN there.

    Raises:
        ArgumentError: If ``direction`` or ``operator`` does not fit, or ``points`` or ``span`` is out of range.
        CheckpointError: If the checkpoint is damaged, or of another scan.
        Interrupted: If the user does, with the line as far as it goes as its ``result``.
        NonFiniteError: If the gradient or product of the quadratic model is not finite.
        ObjectiveError: If a function returns what cannot be averaged, or has the name of a metric.

    Warns:
        CheckpointWarning: If the values at θ repeat those of the checkpoint to rounding only.

    Example:
        >>> import thalweg as tw
        >>> import torch
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(one, 0 * one)])  # ½w² at 1
        >>> line_scan(landscape, -landscape.theta, points=5).loss
        tensor([1.1250, 0.5000, 0.1250, 0.0000, 0.1250], dtype=torch.float64)
    """
    if operator is not None and not quadratic:
        raise ArgumentError("operator: expected None without quadratic=True, which alone has a use for it.")
    d = directions_of(landscape, direction, "direction", ("direction",))
    position = grid(span, points)
    model, cost = None, Cost()
    if quadratic:
        base, slope, curvature, cost = second_order(landscape, d.vectors, operator)
        model = base + position * float(slope[0]) + 0.5 * position**2 * float(curvature[0, 0])
    cells = Cells(
        landscape, d.vectors, (position,), functions=functions, share=share, memory=memory, checkpoint=checkpoint
    )

    digests, origin = digests_of(d.vectors), digest_of(landscape.theta)

    def line() -> Line:
        loss, metrics = cells.values()
        return Line(
            position=position,
            loss=loss,
            metrics=metrics,
            label=d.labels[0],
            norm=d.norms[0],
            quadratic=model,
            cost=cells.cost + cost,
            measured=cells.measured,
            scale=d.scale,
            digests=digests,
            origin=origin,
        )

    return walked(cells, line, f"line along {d.labels[0]}", progress)
