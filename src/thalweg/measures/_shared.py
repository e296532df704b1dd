"""What several quantities of one landscape need, computed once, when the first of them asks."""

import time
import warnings
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from thalweg.errors import ConvergenceWarning
from thalweg.estimate import Cost
from thalweg.krylov import Checkpointed, Eigenpairs, eigenpairs
from thalweg.krylov._widened import widened
from thalweg.landscape import Landscape
from thalweg.measures._alignment import SAME, aligned, directions, trace_of
from thalweg.measures._gradient_noise import require_noisy, rounding_of, scales
from thalweg.measures._inner_products import InnerProducts, inner_products
from thalweg.measures._item_gradients import distances
from thalweg.measures._measure_settings import MeasureSettings
from thalweg.measures._noise_results import Alignment, GradientNoise
from thalweg.measures._spectrum import Spectrum, spectrum
from thalweg.operators import Curvature, gradient_covariance, hessian
from thalweg.progress import Progress, track

Need = Literal["slope", "loss", "items", "spectrum", "noise", "inner", "quotients"]

# Products until an eigenvalue of the upper and of the lower end has converged, as trained classifiers take them.
_A_TOP, _A_BOTTOM = 4, 20


class Shared:
    """One gradient, one Krylov space, one set of passes over single items.

    Args:
        landscape: Where.
        settings: How carefully.
        bar: Told of products.
        curvature: H, if its products are kept or counted elsewhere.
        asked: What will be needed anyway, so that others may use it, too.
    """

    def __init__(
        self,
        landscape: Landscape,
        settings: MeasureSettings,
        bar: Progress,
        curvature: Curvature | Checkpointed | None = None,
        asked: AbstractSet[Need] = frozenset(),
    ) -> None:
        self.landscape, self.settings = landscape, settings
        self.generator = torch.Generator().manual_seed(settings.seed)
        self._other = Cost()
        self._bar, self._given, self._asked = bar, curvature, asked

    @property
    def spent(self) -> Cost:
        """What has been spent so far, without its seconds."""
        made = [part.matvecs for name in ("hessian", "covariance") if (part := vars(self).get(name)) is not None]
        return self._other + Cost(matvecs=sum(made))

    def spend(self, gradients: int = 0, losses: int = 0) -> None:
        """Count passes over the data that are no products."""
        self._other += Cost(gradients=gradients, losses=losses)

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return name in vars(self)

    def awaits(self, need: Need) -> bool:
        """Whether it is there, or somebody has asked for it."""
        return need in self._asked or self.has(need)

    def expected(self, need: Need) -> Cost:
        """Return about what a need will take; one of each kind is made to be timed."""
        settings, size = self.settings, self.landscape.size
        if need == "loss":
            return Cost(losses=1, seconds=seconds_of(self.landscape.loss))
        if need == "slope":
            return Cost(gradients=1, seconds=seconds_of(lambda: self.slope))
        if need == "items":
            return Cost(gradients=1, seconds=2 * seconds_of(lambda: self.slope))
        if need == "spectrum":
            ends = _A_TOP * min(settings.top, size) + _A_BOTTOM * min(settings.bottom, size)
            # Probes see what the ends leave, which may be nothing.
            rest = max(0, size - settings.top - settings.bottom)
            return self._of_products(self.hessian, min(ends, size) + settings.probes * min(settings.steps, rest))
        if need == "inner":
            each = min(settings.alignment + min(settings.top, size), size)
            return self._of_products(self.covariance, each) + self._of_products(self.hessian, each)
        if need == "quotients":
            return self._of_products(self.covariance, min(settings.top, size))
        # Σ has no more eigenvalues but zero than there are items; one more product finds its range exhausted.
        most = min(size, max(settings.noise, self.landscape.count) + 1)
        return self._of_products(self.covariance, min(_A_TOP * settings.noise, most))

    def _of_products(self, matrix: Curvature | Checkpointed, count: int) -> Cost:
        vector = self.landscape.space.randn()
        return Cost(matvecs=count, seconds=count * seconds_of(lambda: matrix @ vector))

    @cached_property
    def hessian(self) -> Curvature | Checkpointed:
        """H, by the engine that gives the same bits for the same seed."""
        return hessian(self.landscape, engine="double-backward") if self._given is None else self._given

    @cached_property
    def covariance(self) -> Curvature:
        """Σ."""
        require_noisy(self.landscape)
        return gradient_covariance(self.landscape)

    @cached_property
    def slope(self) -> tuple[float, Float[Tensor, " p"]]:
        """Loss and gradient."""
        self.spend(gradients=1)
        return self.landscape.loss_and_gradient()

    @cached_property
    def spectrum(self) -> Spectrum:
        """Both ends, and all sums over eigenvalues."""
        settings, size = self.settings, self.landscape.size
        with warnings.catch_warnings():
            # Rows say what has not converged.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return spectrum(
                self.hessian,
                top=min(settings.top, size),
                bottom=min(settings.bottom, size),
                probes=settings.probes,
                steps=settings.steps,
                rtol=settings.rtol,
                max_probes=settings.max_probes,
                tol=settings.tol,
                generator=self.generator,
                progress=self._bar,
            )

    @cached_property
    def items(self) -> GradientNoise:
        """What one pass over single items' gradients says."""
        require_noisy(self.landscape)
        gradient = self.slope[1]
        self.spend(gradients=1)
        found = distances(self.landscape, gradient, "auto", self._bar, "together")
        return scales(found, self.landscape.space.norm(gradient) ** 2, self.landscape.count, self.landscape.precision)

    @cached_property
    def floor(self) -> float:
        """The tr Σ up to which products with Σ are rounding."""
        return rounding_of(self.landscape, self.landscape.space.norm(self.slope[1]) ** 2)

    @cached_property
    def inner(self) -> InnerProducts:
        """Those of Σ and H, in this order, the leading eigenvectors of H counted exactly."""
        vectors, _ = directions(widened(self.hessian).space, self.spectrum.top)
        products = self.settings.alignment + len(self.spectrum.top.values)
        with track(min(products, self.landscape.size), "alignment", self._bar) as bar:
            return inner_products([self.covariance, self.hessian], vectors, products, self.generator, bar)

    @cached_property
    def alignment(self) -> Alignment:
        """Σ and H together."""
        covariance = widened(self.covariance)
        vectors, values = directions(covariance.space, self.spectrum.top)
        assert vectors is not None  # noqa: S101 - eigenpairs were given
        quotients = covariance.space.gram(vectors, covariance @ vectors).diagonal().double().cpu()
        size, zero = self.landscape.size, trace_of(self.inner, 0).value <= self.floor
        reason = SAME if zero else None
        return aligned(self.inner, size, quotients, values, Cost(), self.covariance.provenance, reason)

    @cached_property
    def noise(self) -> Eigenpairs:
        """The leading eigenpairs of Σ."""
        count = min(self.settings.noise, self.landscape.size)
        return eigenpairs(self.covariance, count, tol=self.settings.tol, generator=self.generator, progress=self._bar)


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long something takes, once."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
