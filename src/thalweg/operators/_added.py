"""Sums of operators."""

from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.landscape import Layout
from thalweg.operators._composite import Composite, layout_of, require_operator
from thalweg.operators._operator import Operator


def added(*operators: Operator) -> Composite:
    r"""Return the operator :math:`A_1 + A_2 + \dots`; a difference is ``added(a, scaled(b, -1))``.

    Cost of a product: one with each of them; passes over the data are not shared.

    Args:
        *operators: At least one, all (P, P), of one dtype and on one device.

    Raises:
        ArgumentError: If there are none, one is no operator, or they act on different spaces.

    Example:
        >>> import torch, thalweg as tw
        >>> a = tw.FunctionOperator(lambda v: 2 * v, 2)
        >>> b = tw.FunctionOperator(lambda v: v.flip(0), 2)
        >>> added(a, b).dense()
        tensor([[2., 1.],
                [1., 2.]])
    """
    if not operators:
        raise ArgumentError("operators: expected at least one, got none.")
    for operator in operators:
        require_operator(operator, "operators")
    first, *others = operators
    space = first.space
    for place, other in enumerate(others, start=1):
        if other.space != space:
            raise ArgumentError(
                f"operators: expected all to act on {space.size} entries of {space.dtype} on {space.device}, as number "
                f"0 does; number {place} acts on {other.space.size} entries of {other.space.dtype} on "
                f"{other.space.device}."
            )

    def product(block: Tensor) -> Tensor:
        if not others:
            return first @ block
        total = first @ block + others[0] @ block
        for other in others[1:]:
            total += other @ block
        return total

    text = f"added({', '.join(map(repr, operators))})"
    return Composite(space, operators, product, _common_layout(operators), text)


def _common_layout(operators: tuple[Operator, ...]) -> Layout | None:
    """Return the one layout of all the operators that have one."""
    layouts = {layout for operator in operators if (layout := layout_of(operator)) is not None}
    return layouts.pop() if len(layouts) == 1 else None
