"""How far quadratic forms of random probes scatter, by the law of the probes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from thalweg.estimate import Estimate
from thalweg.krylov._probes import Distribution
from thalweg.vectors import VectorSpace

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    r"""The variance of one form :math:`z^\top F z`, and how well it is known.

    The sample variance of a few forms is a bad estimate where single eigenvalues dominate: probes that miss them agree
    with each other, and intervals cover in 85 % of runs where 95 % are claimed. The law of the probes says more:

    ========  ====================================================================================================
    normal    :math:`2 \lVert F \rVert_F^2`, which is :math:`2\,\mathrm E \lVert F z \rVert^2`
    sphere    :math:`\frac{2d}{d+2} \lVert F - c I \rVert_F^2` with the mean eigenvalue c, in d dimensions
    signs     :math:`2 \sum_{i \ne j} F_{ij}^2`, twice the sum of the variances of the entries of :math:`z \circ Fz`
    ========  ====================================================================================================

    Each is the mean of one term a probe, whose own spread gives the degrees of freedom (Satterthwaite, 1946).

    Attributes:
        variance: Of one form.
        dof: Degrees of freedom of the variance; ``None`` where the terms agree.
    """

    variance: float
    dof: int | None

    def of_mean(self, count: int) -> float:
        """Return the standard error of the mean of that many forms."""
        return math.sqrt(self.variance / count)

    @classmethod
    def of(cls, terms: Sequence[float], factor: float, forms: int) -> "Spread":
        """Take factor·(mean of the terms) of so many forms."""
        given = np.array(terms)
        mean = float(given.mean())
        scatter = float(given.var(ddof=1)) if len(given) > 1 else math.inf
        if scatter <= (1e-12 * mean) ** 2:
            return cls(factor * mean, None)
        # No spectrum leaves fewer than one degree of freedom a form.
        dof = max(forms - 1, math.floor(2 * len(given) * mean**2 / scatter))
        return cls(factor * mean, dof)


def on_sphere(forms: Array, misses: Array, dimension: int) -> Spread:
    r"""Return the spread of forms :math:`z^\top F z`, z uniform with :math:`\lVert z \rVert^2 = d`.

    Args:
        forms: (n,).
        misses: :math:`\lVert F z - (z^\top F z / d)\, z \rVert^2`, (n,).
        dimension: d.
    """
    gaps = forms - forms.mean()
    # The mean eigenvalue comes from the same probes, hence 2/n.
    factor = 2 * dimension / (dimension + 2 - 2 / len(forms))
    return Spread.of((misses + gaps**2 / dimension).tolist(), factor, len(forms))


class Forms:
    """Quadratic forms that are collected one by one, and their spread.

    Args:
        space: Where the probes live.
        distribution: Their law; ``None`` is the sphere.
        dimension: Of the subspace that they lie in.

    Attributes:
        values: The forms.
    """

    def __init__(self, space: VectorSpace, distribution: Distribution | None, dimension: int) -> None:
        self.values: list[float] = []
        self._space, self._law, self._dimension = space, distribution, dimension
        self._terms: list[float] = []
        self._mean: Tensor | None = None

    def extend(self, forms: Sequence[float], misses: Sequence[float]) -> None:
        """Add forms of the sphere, with their misses as of :func:`on_sphere`."""
        self.values += forms
        self._terms += misses

    def add(self, drawn: Tensor, probe: Tensor, image: Tensor) -> None:
        """Add a probe as it was drawn, what of it lies in the subspace, and the latter's image in the subspace."""
        form = self._space.dot(probe, image)
        if self._law is None:
            size = self._space.norm(probe) ** 2
            scale = self._dimension / size
            miss = self._space.norm(image - (form / size) * probe) ** 2
            self.extend([form * scale], [miss * scale])
            return
        self.values.append(form)
        if self._law == "gaussian":
            self._terms.append(self._space.norm(image) ** 2)
            return
        # Welford (1962): the sum of squares around the mean, term by term.
        entries = drawn * image
        if self._mean is None:
            self._mean = entries
            return
        gap = entries - self._mean
        self._mean = self._mean + gap / len(self.values)
        self._terms.append(self._space.dot(gap, entries - self._mean))

    def spread(self) -> Spread:
        """Return the spread of the forms that there are, at least two."""
        if self._law is None:
            return on_sphere(np.array(self.values), np.array(self._terms), self._dimension)
        return Spread.of(self._terms, 2.0, len(self.values))

    def estimate(self, exact: float = 0.0) -> Estimate:
        """Return the mean of the forms, beside what is known."""
        count, spread = len(self.values), self.spread()
        return Estimate(exact + math.fsum(self.values) / count, spread.of_mean(count), spread.dof)
