"""Random directions at the scale of the weights."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.surfaces._results import Directions

Normalization = Literal["filter", "layer"] | None

_Rescale = Callable[[Tensor, Tensor], Tensor]
_ROUNDS = 1000


def random_directions(
    landscape: Landscape,
    count: int = 2,
    *,
    normalization: Normalization = "filter",
    generator: torch.Generator | None = None,
) -> Directions:
    r"""Draw Gaussian directions with the scale of the weights, orthogonal to one another.

    "filter" (Li et al., 2018): in every parameter with at least two axes each slice along the first one (a row
    of a linear layer: what one neuron sees; a filter of a convolution) gets the norm that the slice has in θ.
    "layer" does so with each such parameter as a whole. Both leave parameters of one axis (biases, scales and shifts
    of normalisation layers) where they are: their entries are zero. ``None`` draws orthonormal directions,
    uniform on the sphere over all entries.

    Scaling spoils orthogonality and orthogonalising spoils the scale; so the two alternate until both hold to rounding,
    the norms exactly. With "filter" and "layer" each direction then is as long as those weights together, and
    the coefficient 1 means a change as large as the weights themselves; with ``None`` it is a distance.

    Cost: no pass over the data.

    Args:
        landscape: Its θ gives the scale; selected parameters only.
        count: Number of directions.
        normalization: "filter", "layer", or ``None``.
        generator: Of the draws; ``None`` is a fresh one of seed 0.

    Raises:
        ArgumentError: If an argument is out of range, there is nothing to scale by (parameters of one axis alone, or
            weights that are all zero), or so many orthogonal directions of these norms were not found.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(8, 4).double()
        >>> data = [(torch.ones(1, 8, dtype=torch.float64), torch.ones(1, 4, dtype=torch.float64))]
        >>> landscape = tw.Landscape(model, tw.objectives.mse(), data)
        >>> directions = random_directions(landscape)
        >>> weight = landscape.split(directions.vectors[:, 0].contiguous())["weight"]
        >>> torch.allclose(weight.norm(dim=1), model.weight.norm(dim=1))
        True
    """
    if normalization not in ("filter", "layer", None):
        raise ArgumentError(f"normalization: expected 'filter', 'layer' or None, got {normalization!r}.")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= landscape.size:
        raise ArgumentError(f"count: expected a number from 1 to P = {landscape.size}, got {count!r}.")
    drawn = landscape.space.randn(generator, count)
    # Double precision where there is any, so that the angles are right to the rounding of the result.
    wide = torch.float32 if drawn.device.type == "mps" else torch.float64
    rescale = _rescaling(landscape, normalization, wide)
    rows = [rescale(column.to(wide), column.to(wide)) for column in drawn.mT]
    for index in range(1, count):
        rows[index] = _orthogonal(rows[index], rows[:index], rescale, normalization)
    named = f"{normalization}-normalised" if normalization else "random"
    vectors = torch.stack(rows).to(landscape.space.dtype).mT
    norms = torch.linalg.vector_norm(vectors, dim=0).tolist()
    scale = f"the {normalization} norms of the weights" if normalization else "unit length"
    return Directions(vectors, tuple(f"{named} direction {i + 1}" for i in range(count)), tuple(norms), scale)


def _orthogonal(row: Tensor, others: list[Tensor], rescale: _Rescale, kind: Normalization) -> Tensor:
    """Alternate between the complement of the others and the set of right norms, ending on the latter."""
    lengths = [torch.linalg.vector_norm(other) for other in others]
    units = torch.stack([other / length for other, length in zip(others, lengths, strict=True)])
    tolerance = 10 * torch.finfo(row.dtype).eps
    for _ in range(_ROUNDS):
        overlap = units @ row
        if bool(overlap.abs().max() <= tolerance * torch.linalg.vector_norm(row)):
            return row
        row = rescale(row - units.mT @ overlap, row)
    raise ArgumentError(
        f"normalization: found no {len(others) + 1} orthogonal directions with the norms of {kind!r}, since too few "
        "weights share a norm. Use another count or generator, 'layer', or None."
    )


def _rescaling(landscape: Landscape, kind: Normalization, dtype: torch.dtype) -> _Rescale:
    """Return the map that gives a vector the norms of θ, group by group, computed once from θ itself.

    A group in which nothing is left to scale (a single entry that was projected away) is that of its second argument.
    """
    if kind is None:
        return lambda vector, _: vector / torch.linalg.vector_norm(vector)
    layout = landscape.layout
    weights = [_grouped(part.to(dtype), kind) for part in layout.views(landscape.theta)]
    targets = [torch.linalg.vector_norm(weight, dim=1, keepdim=True) for weight in weights]
    if not any(bool((target > 0).any()) for target in targets):
        raise ArgumentError(
            f"normalization: expected weights to take the scale from, but with {kind!r} none of the selected "
            "parameters has two axes and an entry that is not zero. Use None."
        )

    def rescale(vector: Tensor, former: Tensor) -> Tensor:
        parts = []
        for part, before, target in zip(layout.views(vector), layout.views(former), targets, strict=True):
            if part.ndim < 2:
                parts.append(torch.zeros_like(part).reshape(-1))
                continue
            group = _grouped(part, kind)
            length = torch.linalg.vector_norm(group, dim=1, keepdim=True)
            parts.append(torch.where(length > 0, group * (target / length), _grouped(before, kind)).reshape(-1))
        return torch.cat(parts)

    return rescale


def _grouped(part: Tensor, kind: Normalization) -> Tensor:
    """Cut a parameter into rows that share a norm; parameters of one axis have none."""
    if part.ndim < 2:
        return part.new_zeros(0, 1)
    return part.reshape(part.shape[0] if kind == "filter" else 1, -1)
