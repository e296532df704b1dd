"""The loss on a plane."""

from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._sampling import Functions
from thalweg.operators import Operator
from thalweg.progress import Progress
from thalweg.surfaces._cells import MEMORY, Cells, Checkpoint, require_orthogonal, walked
from thalweg.surfaces._columns import directions_of
from thalweg.surfaces._digests import digest_of, digests_of
from thalweg.surfaces._grid_arguments import Span, plane_axes
from thalweg.surfaces._quadratic import quadratic_on, second_order
from thalweg.surfaces._results import Directions, Surface


def plane_scan(
    landscape: Landscape,
    directions: Directions | Float[Tensor, "p 2"],
    *,
    points: int | tuple[int, int] = 15,
    span: Span | tuple[Span, Span] = (-1.0, 1.0),
    quadratic: bool = False,
    operator: Operator | None = None,
    functions: Functions | None = None,
    checkpoint: Checkpoint = None,
    share: bool = True,
    memory: int = MEMORY,
    progress: bool | Progress = False,
) -> Surface:
    r"""Evaluate L(θ + x·d₁ + y·d₂) on a grid.

    Row i of the result is at y[i], column j at x[j]; every point is computed from θ, row by row and always from left
    to right. An odd number of points over a span symmetric about 0 has θ itself in the middle.

    Cost: rows × columns passes without gradients; ``quadratic`` one gradient and two products more.

    Valid for: any model. A plane is one section of very many: what it does not show may still be there.

    Args:
        landscape: Its θ is (0, 0); buffers stay as they are there.
        directions: d₁ and d₂, orthogonal to one another, shape (P, 2), or a record of two directions. They are not
            scaled: see ``norms`` of the result.
        points: Number of points along both axes, or (rows, columns).
        span: First and last coefficient along both axes, or one pair for x and one for y.
        quadratic: Whether to add the quadratic model L + gᵀd + ½dᵀHd, d = x·d₁ + y·d₂, on the same grid.
        operator: H for the model, by default the Hessian; for ``quadratic`` alone.
        functions: Further quantities by name: f(model, batch), with the model at the point, returns a number for the
            batch, one for each item, or one for each term; they are averaged as the loss is, and found in ``metrics``.
        checkpoint: A file to keep what is evaluated in; the same call goes on from it, with the same bits.
        share: Whether the product of a linear first layer with the data is shared, see ``memory``. It changes rounding.
        memory: Bytes that such products may take; a batch beyond them is computed as ever.
        progress: ``True`` for a bar on the terminal, or a reporter, see :mod:`thalweg.progress`.

    Returns:
        The surface; a loss that is not finite is NaN in its cell.

    Raises:
        ArgumentError: If ``directions`` do not fit or are not orthogonal (distances on the grid would be wrong), or
            ``points`` or ``span`` is out of range, or ``operator`` does not fit.
        NonFiniteError: If the gradient or a product of the quadratic model is not finite.
        CheckpointError: If the checkpoint is damaged, or of another scan.
        Interrupted: If the user does, with the surface as far as it goes as its ``result``.
        ObjectiveError: If a function returns what cannot be averaged, or has the name of a metric.

    Warns:
        CheckpointWarning: If the values at θ repeat those of the checkpoint to rounding only.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> eye = torch.eye(2, dtype=torch.float64)
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(2 * eye, 0 * eye[:, :1])])  # x² + y²
        >>> plane_scan(landscape, eye, points=3, span=((-1, 1), (0, 2))).loss
        tensor([[1., 0., 1.],
                [2., 1., 2.],
                [5., 4., 5.]], dtype=torch.float64)
    """
    if operator is not None and not quadratic:
        raise ArgumentError("operator: expected None without quadratic=True, which alone has a use for it.")
    d, cosine = orthogonal_pair(landscape, directions)
    x, y = plane_axes(points, span)
    model, cost = None, Cost()
    if quadratic:
        base, slopes, bends, cost = second_order(landscape, d.vectors, operator)
        model = quadratic_on(base, slopes, bends, x, y)
    cells = Cells(
        landscape, d.vectors[:, [1, 0]], (y, x), functions=functions, share=share, memory=memory, checkpoint=checkpoint
    )

    digests, origin = digests_of(d.vectors), digest_of(landscape.theta)

    def surface() -> Surface:
        loss, metrics = cells.values()
        return Surface(
            x=x,
            y=y,
            loss=loss,
            metrics=metrics,
            labels=(d.labels[0], d.labels[1]),
            norms=(d.norms[0], d.norms[1]),
            cosine=cosine,
            cost=cells.cost + cost,
            quadratic=model,
            measured=cells.measured,
            scale=d.scale,
            digests=digests,
            origin=origin,
        )

    return walked(cells, surface, "surface", progress)


def orthogonal_pair(landscape: Landscape, directions: Directions | Tensor) -> tuple[Directions, float]:
    """Return two directions that span a plane at right angles, and their cosine.

    Raises:
        ArgumentError: If they do not fit, or are not orthogonal; what is parallel is named.
    """
    d = directions_of(landscape, directions, "directions", ("first direction", "second direction"))
    return d, require_orthogonal(d)
