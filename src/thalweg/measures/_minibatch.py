"""From the noise of one item's gradient to that of a minibatch's."""

from thalweg.errors import ArgumentError
from thalweg.krylov._operator import require_whole
from thalweg.landscape import Landscape
from thalweg.measures._gradient_noise import require_noisy
from thalweg.operators import Composite, gradient_covariance, scaled


def minibatch_covariance(landscape: Landscape, batch_size: int, *, replacement: bool = False) -> Composite:
    r"""Return the covariance of the gradient of a random minibatch as an operator.

    .. math:: \frac{\Sigma}{B} \cdot \frac{N - B}{N - 1} \quad\text{without replacement,}
              \qquad \frac{\Sigma}{B} \quad\text{with it}

    Σ is that of one item, :func:`thalweg.gradient_covariance`; sources that call Σ itself the covariance of a minibatch
    leave out the factor.

    Valid for: the gradient :math:`\frac1B \sum_i g_i` of items drawn uniformly, scaled as there; where items have
    weights, the mean over the weights of each minibatch is another estimate.

    Cost of a product: one with Σ.

    Args:
        landscape: In eval mode, with at least two items that its objective lets be seen.
        batch_size: B from 1, to N without replacement.
        replacement: Whether an item can be drawn twice; data loaders do not.

    Raises:
        ArgumentError: If an argument has a wrong value, the landscape is in train mode or has fewer than two items.
        ObjectiveError: If the objective is a black box.

    Example:
        >>> import torch, thalweg as tw
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> inputs, targets = torch.ones(4, 1), torch.tensor([[1.0], [2.0], [3.0], [4.0]])
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), [(inputs, targets)])
        >>> minibatch_covariance(landscape, 2).dense()  # 1.25/2 · 2/3
        tensor([[0.4167]])
    """
    require_noisy(landscape)
    factor = minibatch_factor(landscape.count, batch_size, replacement=replacement)
    return scaled(gradient_covariance(landscape), factor)


def minibatch_factor(samples: int, batch_size: int, *, replacement: bool = False) -> float:
    r"""Return what the covariance Σ of one item's gradient is multiplied with for the mean over a minibatch.

    .. math:: \frac1B \cdot \frac{N - B}{N - 1} \quad\text{without replacement,} \qquad \frac1B \quad\text{with it}

    Σ being normalised by 1/N (Cochran, 1977, theorem 2.2). Without replacement the batch of all items has no noise.

    Cost: none.

    Args:
        samples: N, at least 2.
        batch_size: B from 1, to N without replacement.
        replacement: Whether an item can be drawn twice; data loaders do not.

    Raises:
        ArgumentError: If an argument is out of range.

    Example:
        >>> variance = 1.25  # of 1, 2, 3, 4
        >>> round(minibatch_factor(4, 2) * variance, 6)
        0.416667
    """
    for name, count in {"samples": samples, "batch_size": batch_size}.items():
        require_whole(name, count)
    if samples < 2:
        raise ArgumentError(f"samples: expected at least 2, since one item has no noise, got {samples}.")
    if batch_size < 1 or (batch_size > samples and not replacement):
        most = "" if replacement else f" and at most the {samples} items, unless they are drawn with replacement"
        raise ArgumentError(f"batch_size: expected at least 1{most}, got {batch_size}.")
    return 1 / batch_size if replacement else (samples - batch_size) / (batch_size * (samples - 1))
