"""Where the bulk of a spectrum ends, and how many eigenvalues lie beyond."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thalweg.krylov._results import Eigenpairs
from thalweg.krylov._spectral_measure import SpectralMeasure
from thalweg.record import Record

_FEWEST, _MOST = 6, 10
# 99 % of the largest eigenvalues of a bulk lie within this many units of its edge (Tracy & Widom, 1996, β = 1).
_LARGEST = 2.0234
Array = NDArray[np.float64]


@dataclass(frozen=True)
class BulkEdge(Record):
    r"""The upper edge of the bulk, and the eigenvalues that stand out of it.

    Where the density of a bulk ends in a square root, its i-th largest eigenvalue lies near

    .. math:: \lambda_i \approx E - \beta \, \bigl(\tfrac{3\pi}{2} (i - \tfrac34)\bigr)^{2/3},

    the edge E less so many units β of the edge's own spacing, whatever the matrix (the law of Airy's point process for
    real matrices; that eigenvalues regress on the power 2/3 of their rank is Onatski's, 2010). For s = 0, 1, 2, …
    both are fitted to the n = 6 to 10 eigenvalues below the s-th, of ranks 1 to n in the bulk, and the last s for which
    :math:`\lambda_s > E + (2.02 + 25/n)\, \beta` counts all outliers: 2.02 is the 99 % quantile of the largest
    eigenvalue of a bulk (Tracy & Widom, 1996), and 25/n allows for the fit. On Gaussian matrices without
    spikes both rules together count something in some 2.5 % of draws.

    Attributes:
        value: E.
        standard_error: Of E, by the fluctuations of a Gaussian matrix's eigenvalues.
        threshold: Above which an eigenvalue counts as an outlier.
        outliers: How many do.
    """

    value: float
    standard_error: float
    threshold: float
    outliers: int


def bulk_edge(top: Eigenpairs, measure: SpectralMeasure, zero: float) -> BulkEdge | None:
    """Find the upper edge from the converged eigenvalues and from what random probes see below them.

    ``None`` where it cannot be said: with fewer than six eigenvalues, or fewer than 24 in the whole matrix, where those
    computed end before the bulk begins, or where they lie otherwise than near such an edge (a fit with residuals that
    one Gaussian matrix in 200 has).

    Args:
        top: The upper end.
        measure: The spectrum with the converged pairs taken out of the probes.
        zero: What counts as zero, in units of the eigenvalues.
    """
    done = top.converged.numpy()
    known = len(done) if done.all() else int(done.argmin())
    # A quarter of the eigenvalues is no edge any more.
    values = top.values.numpy()[: min(known, measure.size // 4)]
    for count in range(len(values) - _FEWEST, -1, -1):
        found = _fitted(values[count : count + _MOST], count, zero)
        if found is not None and (count == 0 or values[count - 1] > found.threshold):
            margin, reach = found.threshold - found.value, _reach(measure)
            # What the fit has not seen must go on as it began: the next eigenvalue lies about a unit further down.
            drop = -float(np.diff(values[count:]).min())
            goes_on = drop <= margin and (reach is None or values[-1] <= reach + margin / 2)
            return found if goes_on else None
    return None


def _fitted(values: Array, outliers: int, zero: float) -> BulkEdge | None:
    count = len(values)
    ranks = (1.5 * math.pi * (np.arange(1, count + 1) - 0.75)) ** (2 / 3)
    unit = max(-float(np.polyfit(ranks, values, 1)[0]), 0.0)
    edge = float(values.mean() + unit * ranks.mean())
    misfit = math.sqrt(float(np.mean((values - edge + unit * ranks) ** 2)))
    # Both limits were read off 1,000 Gaussian matrices of 2,000 rows.
    if misfit > (0.6 + 2.5 / count) * unit + zero:
        return None
    return BulkEdge(edge, (0.85 + 2.5 / count) * unit, edge + (_LARGEST + 25 / count) * unit + zero, outliers)


def _reach(measure: SpectralMeasure) -> float | None:
    """How far up the rest of the spectrum may go, by its largest Ritz value and the error of so many steps.

    That of a random start is on average at most 0.103 (ln(P(m − 1)²)/(m − 1))² of the width (Kuczyński & Woźniakowski,
    1992). Ritz values that together weigh less than a tenth of an eigenvalue are what is left of the known pairs.
    """
    if not measure.probes:
        return None
    nodes, weights = (np.concatenate([probe.rule[part] for probe in measure.probes]) for part in (0, 1))
    order = np.argsort(-nodes)
    weighed = np.cumsum(weights[order]) * (measure.size - len(measure.known)) / len(measure.probes)
    highest = float(nodes[order][int(np.searchsorted(weighed, 0.1))])
    steps = max(max(probe.products for probe in measure.probes) - 1, 1)
    share = 0.103 * (math.log(measure.size * steps**2) / steps) ** 2
    return highest + min(share, 1.0) * (highest - float(nodes.min()))
