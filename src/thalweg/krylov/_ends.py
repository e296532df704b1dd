"""Both ends of a spectrum from one Krylov space."""

import time

import numpy as np
import torch

from thalweg.krylov._eigenpairs import pairs_of
from thalweg.krylov._lanczos import Lanczos
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._results import Eigenpairs
from thalweg.krylov._search import Wanted, search
from thalweg.progress import Progress


def both_ends(
    operator: SymmetricOperator,
    top: int,
    bottom: int,
    tol: float,
    generator: torch.Generator | None,
    max_matvecs: int,
    bar: Progress,
) -> tuple[Eigenpairs, Eigenpairs]:
    """Return ``top`` pairs of the upper and ``bottom`` of the lower end, at least one each; both name the shared cost.

    Where that is all there is, both hold what they were asked for from the whole spectrum.
    """
    started, size = time.perf_counter(), operator.space.size
    whole = top + bottom >= size
    wanted = Wanted(upper=size) if whole else Wanted(top, bottom)
    capacity = min(size, max(max_matvecs, wanted.count))
    lanczos = Lanczos(operator, capacity, loss=0.3 * tol)
    ritz = search(lanczos, wanted, tol, generator, bar)
    seconds, count = time.perf_counter() - started, len(ritz.values)
    if whole:
        upper, lower = np.arange(min(top, count)), np.arange(count)[::-1][: min(bottom, count)]
    else:
        upper, lower = np.arange(top), np.arange(top, top + bottom)
    return (
        pairs_of(lanczos, ritz, upper, "LA", seconds, operator.provenance),
        pairs_of(lanczos, ritz, lower, "SA", seconds, operator.provenance),
    )
