"""How far the loss rises on the way."""

from thalweg.errors import ArgumentError
from thalweg.paths._results import Barrier, PathScan


def barrier(scan: PathScan) -> Barrier:
    r"""Return the barrier of a path against the four references in use.

    .. math:: B = \max_{\alpha \in [0, 1]} L(\alpha) - r(\alpha)

    with the reference r the chord (1−α)L(0) + αL(1) (``linear``; Entezari et al., 2022), the higher end (``max``;
    Draxler et al., 2018), the mean of the ends (``mean``; Frankle et al., 2020) or the lower end (``min``).
    Against the lower end even a path that only falls has a barrier of at least \|L(0) − L(1)\|.

    Cost: none, the path is scanned already. The maximum over the points scanned is a lower bound on that of the
    continuous path: scan more points to see whether it moves. Points outside [0, 1] do not count.

    Args:
        scan: From :func:`linear_path`, or any scan whose positions hold 0 and 1.

    Raises:
        ArgumentError: If 0 or 1 is not among the positions, or the loss there is not finite.

    Example:
        >>> import torch
        >>> alpha = torch.tensor([0.0, 0.5, 1.0])
        >>> print(barrier(PathScan(alpha, alpha, torch.tensor([0.2, 1.3, 0.5]))))
        barrier 0.95 at α = 0.5 (max 0.8, mean 0.95, min 1.1)
    """
    position, loss = scan.position.double(), scan.loss.double()
    ends = []
    for alpha in (0.0, 1.0):
        here = loss[position == alpha]
        if len(here) != 1 or not bool(here.isfinite().all()):
            got = f"{float(here[0])}" if len(here) == 1 else f"{len(here)} of them"
            raise ArgumentError(f"scan: expected one point with a finite loss at α = {alpha:g}, got {got}.")
        ends.append(float(here[0]))
    first, last = ends
    inside = (position >= 0) & (position <= 1)
    kept = inside & loss.isfinite()
    along, height = position[kept], loss[kept]
    rise = height - ((1 - along) * first + along * last)
    at, top = int(rise.argmax()), int(height.argmax())
    peak = float(height[top])
    return Barrier(
        linear=float(rise[at]),
        max=peak - max(first, last),
        mean=peak - (first + last) / 2,
        min=peak - min(first, last),
        position=float(along[at]),
        peak=peak,
        peak_position=float(along[top]),
        excluded=int((inside & ~kept).sum()),
    )
