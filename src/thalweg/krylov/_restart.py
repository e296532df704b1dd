"""Make room in a basis that holds no more vectors: keep the best combinations and go on (Wu & Simon, 2000)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._projected import eigh

# Vectors beyond the wanted ones that a restart needs, to get anywhere.
SPARE = 8
# Vectors that runs may have left outside of a basis that is cut down, beside those of two blocks: past this another
# search is given up.
REMAINDERS = 8
# The shortest run of a search that is worth being cut down by itself.
_SHORT = 4

Choice = Callable[[NDArray[np.float64], int], NDArray[np.intp]]


def cut(lanczos: Lanczos, wanted: int, choose: Choice, *, searching: bool) -> bool:
    r"""Cut the basis down to the wanted Ritz vectors and half of what there is room for beyond them.

    Where a search for missed copies is under way, its own run alone is cut down, since what its vectors say is about
    the complement of all before it. The Ritz values that are given up are roots of the polynomial that makes the next
    vector from the run's start: the restart is one with exact shifts (Sorensen, 1992).

    Args:
        lanczos: Whose basis is full, or about to be.
        wanted: How many Ritz vectors are.
        choose: Which of ascending values to keep, so many.
        searching: Whether the current run is such a search.

    Returns:
        Whether it still is: its run has not been mixed with what was before it.
    """
    own = searching and lanczos.steps - lanczos.run_start >= _SHORT
    unbegun = searching and lanczos.steps == lanczos.run_start
    first = lanczos.run_start if own else 0
    values, vectors = eigh(lanczos.matrix[first:, first:])
    chosen = choose(values, len(values) // 2 if own else kept(lanczos.capacity, wanted))
    lanczos.compress(vectors[:, chosen], np.delete(values, chosen), first)
    return own or unbegun


def crowded(lanczos: Lanczos, wanted: int) -> bool:
    """Whether a run that starts now would have less room than a restart makes."""
    return lanczos.restarts and lanczos.run_start == lanczos.steps > kept(lanczos.capacity, wanted)


def overgrown(lanczos: Lanczos) -> bool:
    """Whether the runs have left so much behind that another one is not begun."""
    return lanczos.restarts and lanczos.remainders >= REMAINDERS + 2 * lanczos.width


def kept(capacity: int, wanted: int) -> int:
    """Return how many vectors a restart keeps."""
    return wanted + (capacity - wanted) // 2
