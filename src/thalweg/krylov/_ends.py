"""Both ends of a spectrum from one Krylov space."""

import math
import time

import numpy as np
import torch

from thalweg.krylov._convergence import Trail
from thalweg.krylov._eigenpairs import lanczos_of, pairs_of
from thalweg.krylov._operator import SymmetricOperator
from thalweg.krylov._plan import KrylovMemory
from thalweg.krylov._results import Eigenpairs
from thalweg.krylov._search import Wanted, search
from thalweg.progress import Progress


def both_ends(
    operator: SymmetricOperator,
    top: int,
    bottom: int,
    tol: float,
    generator: torch.Generator | None,
    plan: KrylovMemory,
    bar: Progress,
    until: float = math.inf,
) -> tuple[Eigenpairs, Eigenpairs, bool]:
    """Return ``top`` pairs of the upper and ``bottom`` of the lower end, at least one each; both name the shared cost.

    Where that is all there is, both hold what they were asked for from the whole spectrum. Also return whether the
    search was interrupted.
    """
    started, size = time.perf_counter(), operator.space.size
    whole = top + bottom >= size
    wanted = Wanted(upper=size) if whole else Wanted(top, bottom)
    lanczos, trail = lanczos_of(operator, plan, tol), Trail()
    ritz = search(lanczos, wanted, tol, generator, bar, trail=trail, until=until)
    seconds, count = time.perf_counter() - started, len(ritz.values)
    if whole:
        upper, lower = np.arange(min(top, count)), np.arange(count)[::-1][: min(bottom, count)]
    else:
        upper, lower = np.arange(top), np.arange(top, top + bottom)
    threshold, how = tol * ritz.scale, operator.provenance
    return (
        pairs_of(lanczos, ritz, upper, "LA", seconds, how, trail.of(upper, threshold)),
        pairs_of(lanczos, ritz, lower, "SA", seconds, how, trail.of(lower, threshold)),
        ritz.interrupted,
    )
