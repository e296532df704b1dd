"""A diagonal block of an operator."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from thalweg.errors import ArgumentError
from thalweg.landscape import Layout
from thalweg.landscape._parameters import select
from thalweg.operators._composite import Composite, layout_of, require_operator
from thalweg.operators._operator import Operator
from thalweg.vectors import VectorSpace

Part = str | Sequence[str] | Callable[[str, nn.Parameter], bool] | range | Tensor


def block(operator: Operator, params: Part) -> Composite:
    r"""Return the diagonal block :math:`E^\top A E` of some entries, E being columns of the identity.

    For a layer's share of a landscape's curvature, where the whole matrix is at hand; vectors have the m chosen
    entries, parameters in the model's order, row-major.

    Cost of a product: one with all of A. Where only the block is wanted, ``Landscape(..., params=...)`` gives the
    same matrix at less cost, since nothing is differentiated by the other parameters.

    Args:
        operator: A, (P, P).
        params: Of an operator over a landscape: parameters, as ``Landscape(params=)`` takes them, that is a name, a
            shell pattern, a sequence of these, or a predicate ``(name, parameter) -> bool``, here of stand-ins that
            have a shape but no values. Of any operator: places in the flat vector, a range or a tensor of distinct
            integers (m,), whose order is kept.

    Raises:
        ArgumentError: If ``operator`` is none, parameters are asked of one that does not run over any, nothing is
            chosen, or places are outside of the vector or not distinct.

    Example:
        >>> import thalweg as tw
        >>> op = tw.FunctionOperator(lambda v: torch.tensor([1.0, 3.0, 5.0]) * v, 3)
        >>> block(op, range(1, 3)).dense()
        tensor([[3., 0.],
                [0., 5.]])
    """
    require_operator(operator)
    outer = operator.space
    if isinstance(params, (range, Tensor)):
        places, chosen = _places(params, outer), None
    else:
        places, chosen = _places_of_parameters(operator, params)
    inner = VectorSpace(len(places), outer.dtype, outer.device)

    def product(vectors: Tensor) -> Tensor:
        embedded = outer.zeros(vectors.shape[1])
        embedded.mT[:, places] = vectors.mT
        return (operator @ embedded).mT[:, places].mT

    return Composite(inner, (operator,), product, chosen, f"block({operator!r}, {inner.size} entries)", 1.0)


def _places_of_parameters(
    operator: Operator, params: str | Sequence[str] | Callable[[str, nn.Parameter], bool]
) -> tuple[Int[Tensor, " m"], Layout]:
    if not (isinstance(params, str) or callable(params) or _are_strings(params)):
        raise ArgumentError(
            "params: expected a name, a pattern, a sequence of these, a predicate, a range or a tensor of places, got "
            f"{params!r}."
        )
    layout = layout_of(operator)
    if layout is None:
        raise ArgumentError(
            f"params: expected a range or a tensor of places, got {params!r}: {operator!r} is not known to run over "
            "the parameters of a model."
        )
    space = operator.space
    chosen = select(layout.stand_ins(space.dtype), params)
    return layout.places(chosen.names, space.device), chosen


def _are_strings(params: Any) -> bool:
    return isinstance(params, Sequence) and all(isinstance(name, str) for name in params)


def _places(params: range | Tensor, space: VectorSpace) -> Int[Tensor, " m"]:
    if not isinstance(params, range) and (params.ndim != 1 or params.dtype not in (torch.int32, torch.int64)):
        raise ArgumentError(
            f"params: expected integer places of shape (m,), got {params.dtype} of shape {tuple(params.shape)}. "
            "A mask gives its places by mask.nonzero().squeeze(1)."
        )
    if len(params) == 0:
        raise ArgumentError("params: expected at least one place, got none.")
    # A range is looked at before it is written out.
    ends = (params[0], params[-1]) if isinstance(params, range) else (int(params.min()), int(params.max()))
    for end in ends:
        if not 0 <= end < space.size:
            raise ArgumentError(f"params: expected places from 0 to {space.size - 1}, got {end}.")
    if isinstance(params, range):
        return torch.arange(params.start, params.stop, params.step, device=space.device)
    ordered = params.sort().values
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(repeated):
        raise ArgumentError(f"params: expected distinct places, got {int(repeated[0])} more than once.")
    return params.to(space.device, torch.int64, copy=True)
