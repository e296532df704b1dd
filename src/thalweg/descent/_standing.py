"""A slope at one vector that moves while the model holds views of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jaxtyping import Float
from torch import Tensor

from thalweg.descent._minibatches import Minibatches
from thalweg.landscape import Landscape
from thalweg.landscape._gradients import edges


@contextmanager
def standing(
    landscape: Landscape,
    point: Float[Tensor, " p"],
    gradient: Float[Tensor, " p"],
    minibatches: Minibatches | None = None,
) -> Iterator[Callable[..., float]]:
    """Give a function that returns the loss at what ``point`` holds by then, and writes its gradient.

    The leaves are views of one vector, as they are in an optimizer of PyTorch, and the model holds them from the first
    step to the last: copies, and putting them in place anew, would take a tenth of a step of a small network each. With
    ``repeat=True`` the function takes the last minibatch once more. Use inside the landscape's ``reading()``.

    Args:
        landscape: Where.
        point: What is written into between calls.
        gradient: What the gradient is written into.
        minibatches: Of the landscape, to take one a call; ``None`` for all data.
    """

    def anew(*, repeat: bool = False) -> float:
        if minibatches is None:
            value, found = landscape.loss_and_gradient(point)
        else:
            value, found = minibatches.slope(point, repeat=repeat)
        gradient.copy_(found)
        return value

    kinds = {leaf.dtype for leaf in landscape.leaves(grad=False)}
    # Batch norm in train mode needs buffers of its own to write into, and autocast a place to be in.
    direct = kinds == {point.dtype} and landscape.mode == "eval" and landscape.autocast is None
    if minibatches is None or not direct:
        yield anew
        return
    leaves = [view.detach().requires_grad_() for view in landscape.layout.views(point)]

    with landscape.held(leaves):
        places = edges(leaves)

        def here(*, repeat: bool = False) -> float:
            return minibatches.slope_of(leaves, point, places=places, out=gradient, repeat=repeat)[0]

        yield here
