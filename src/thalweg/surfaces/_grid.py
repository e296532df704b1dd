"""The loss on a grid over any number of directions."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from thalweg.landscape import Landscape
from thalweg.landscape._require import require_columns
from thalweg.landscape._sampling import Functions
from thalweg.progress import Progress
from thalweg.surfaces._cells import MEMORY, Cells, Checkpoint, require_orthogonal, walked
from thalweg.surfaces._columns import directions_of
from thalweg.surfaces._digests import digest_of, digests_of
from thalweg.surfaces._grid_arguments import Span, axes_of
from thalweg.surfaces._results import Directions, Grid


def grid_scan(
    landscape: Landscape,
    directions: Directions | Float[Tensor, "p n"],
    *,
    points: int | Sequence[int] = 15,
    span: Span | Sequence[Span] = (-1.0, 1.0),
    functions: Functions | None = None,
    checkpoint: Checkpoint = None,
    share: bool = True,
    memory: int = MEMORY,
    progress: bool | Progress = False,
) -> Grid:
    r"""Evaluate :math:`L(\theta + \sum_i c_i d_i)` on a grid over N directions.

    Axis i of the result is direction i. Every cell is computed from θ, in rows along the last direction; an odd
    number of points over a span symmetric about 0 has θ itself in the middle. What :func:`line_scan` and
    :func:`plane_scan` do for one and two directions; :meth:`Grid.section` cuts surfaces out of more.

    Cost: Π nᵢ passes without gradients, one more with a checkpoint, and one for each of ``functions`` that runs the
    model. Where the model begins with a linear layer, its product with the data is made 1 + N times and not in
    every cell.

    Valid for: any model. On other data: ``grid_scan(landscape.on(test_data), ...)``.

    Args:
        landscape: Its θ is where all coefficients are 0; buffers stay as they are there.
        directions: d₁ … d_N, orthogonal to one another, shape (P, N), or a record of them. They are not scaled: see
            ``norms`` of the result.
        points: Number of points along all axes, or along each.
        span: First and last coefficient along all axes, or a pair for each.
        functions: Further quantities by name: f(model, batch), with the model at the point, returns a number for the
            batch, one for each item, or one for each term; they are averaged as the loss is, and found in ``metrics``.
        checkpoint: A file to keep what is evaluated in; the same call goes on from it, with the same bits.
        share: Whether the product of a linear first layer with the data is shared, see ``memory``. It changes rounding.
        memory: Bytes that such products may take; a batch beyond them is computed as ever.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Returns:
        The grid; a loss that is not finite is NaN in its cell.

    Raises:
        ArgumentError: If ``directions`` do not fit or are not orthogonal (distances on the grid would be wrong), or
            ``points``, ``span``, ``functions`` or ``memory`` is out of range.
        CheckpointError: If the checkpoint is damaged, or of another scan.
        Interrupted: If the user does, with the grid as far as it goes as its ``result``.
        ObjectiveError: If a function returns what cannot be averaged, or has the name of a metric.

    Warns:
        CheckpointWarning: If the values at θ repeat those of the checkpoint to rounding only.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(3, 1, bias=False).double()
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> eye = torch.eye(3, dtype=torch.float64)
        >>> data = [(torch.diag(eye.new_tensor([2.0, 4.0, 6.0])), 0 * eye[:, :1])]
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), data)  # (2x² + 8y² + 18z²) / 3
        >>> found = grid_scan(landscape, eye, points=3)
        >>> found.loss.shape, round(float(found.loss[0, 1, 2]), 6)
        (torch.Size([3, 3, 3]), 6.666667)
    """
    given = directions.vectors if isinstance(directions, Directions) else directions
    count = require_columns(landscape.space, given, "directions").shape[1]
    d = directions_of(landscape, directions, "directions", tuple(f"direction {i + 1}" for i in range(count)))
    require_orthogonal(d)
    axes = axes_of(points, span, count)
    cells = Cells(landscape, d.vectors, axes, functions=functions, share=share, memory=memory, checkpoint=checkpoint)

    digests, origin = digests_of(d.vectors), digest_of(landscape.theta)

    def found() -> Grid:
        loss, metrics = cells.values()
        return Grid(
            axes=tuple(axes),
            loss=loss,
            metrics=metrics,
            labels=d.labels,
            norms=d.norms,
            cost=cells.cost,
            measured=cells.measured,
            scale=d.scale,
            digests=digests,
            origin=origin,
        )

    return walked(cells, found, f"grid over {count} directions", progress)
