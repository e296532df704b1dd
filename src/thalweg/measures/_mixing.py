"""Whether chains agree, and how many independent draws they are worth."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor


def split_rhat(chains: Float[Tensor, "chains draws"]) -> float | None:
    r"""Return the rank-normalised split :math:`\hat R` (Vehtari et al., 2021); ``None`` where all draws are equal.

    Halves of chains are compared as chains of their own. Draws are replaced by the normal scores of their ranks, so
    that it exists whatever the moments; the larger one of the values for the draws (location) and for their distances
    from the median (scale) counts. It is 1 for chains that agree; above 1.01 they should run longer.
    """
    half = chains.shape[1] // 2
    halves = torch.cat([chains[:, :half], chains[:, -half:]]).double().numpy()
    if np.ptp(halves) == 0:
        return None
    return max(_rhat(_scores(halves)), _rhat(_scores(np.abs(halves - np.median(halves)))))


def effective_draws(chain: Float[Tensor, " draws"]) -> float:
    r"""Return how many independent draws have a mean as precise as that of one chain.

    :math:`S / (1 + 2 \sum_t \rho_t)`, the autocorrelations summed up to Geyer's initial monotone sequence (1992) and
    the result limited to :math:`S \log_{10} S`, as in Stan; 0 for a chain that never moves.
    """
    values = chain.double().numpy()
    count = len(values)
    centred = values - values.mean()
    variance = float(centred @ centred)
    if variance == 0:
        return 0.0
    spectrum = np.abs(np.fft.rfft(centred, 2 * count)) ** 2
    correlation = np.fft.irfft(spectrum)[:count] / variance
    # Sums of neighbours are positive and fall, for a reversible chain; noise begins where they do not.
    pairs = correlation[: count // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: negative[0]] if len(negative) else pairs)
    time = max(2 * float(pairs.sum()) - 1, 1 / np.log10(max(count, 10)))
    return float(count / time)


def _scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks = stats.rankdata(values).reshape(values.shape)
    return np.asarray(stats.norm.ppf((ranks - 0.375) / (values.size + 0.25)))


def _rhat(values: NDArray[np.float64]) -> float:
    draws = values.shape[1]
    within = float(values.var(axis=1, ddof=1).mean())
    between = float(values.mean(axis=1).var(ddof=1))
    if within == 0:
        return float("inf") if between > 0 else 1.0
    return float(np.sqrt((draws - 1) / draws + between / within))
