"""What norms of the weights, margins and noise say of a network's capacity."""

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate, Provenance
from thalweg.record import Record


@dataclass(frozen=True)
class Margins(Record):
    """By how much the right class wins, for every term of a classification.

    Attributes:
        values: In the order of the data, masked terms left out, shape (terms,).
        cost: What it took.
    """

    values: Tensor
    cost: Cost

    def quantile(self, level: float) -> float:
        """Return the margin that a share ``level`` of the terms stays below, interpolated.

        Raises:
            ArgumentError: If ``level`` is not from 0 to 1.
        """
        if not 0 <= level <= 1:
            raise ArgumentError(f"level: expected a number from 0 to 1, got {level}.")
        return float(np.quantile(self.values.numpy(), level))

    def __str__(self) -> str:
        right = float((self.values > 0).double().mean())
        return f"{len(self.values)} margins, {100 * right:.4g} % positive, the 10th percentile {self.quantile(0.1):.4g}"


@dataclass(frozen=True)
class NoiseTolerance(Record):
    """σ, the largest noise on the parameters that costs less than a target on average.

    Attributes:
        sigma: σ, the standard deviation of the noise, with the standard error of the draws.
        flatness: 1/σ², what a PAC-Bayesian bound of this noise has for its capacity (Jiang et al., 2020).
        target: The mean rise of the loss, or fall of the accuracy, that it stays below.
        cost_of_noise: The mean over draws at σ.
        upper: The least noise seen beyond the target.
        metric: "loss" or "accuracy".
        magnitude_aware: Whether σ multiplies each parameter's own magnitude.
        draws: Of the noise.
        cost: What it took.
        provenance: How it was computed.
    """

    sigma: Estimate
    flatness: Estimate
    target: float
    cost_of_noise: float
    upper: float
    metric: str
    magnitude_aware: bool
    draws: int
    cost: Cost
    provenance: Provenance | None = None

    def __str__(self) -> str:
        kind = "relative noise" if self.magnitude_aware else "noise"
        change = "the loss rises" if self.metric == "loss" else "the accuracy falls"
        return f"σ = {self.sigma}: {kind} at which {change} by {self.target:g} (1/σ² = {self.flatness})"


@dataclass(frozen=True)
class LayerNorms(Record):
    """Norms of the weights of one layer, as a matrix of outputs × all the rest.

    Attributes:
        name: Of the layer.
        rows: Outputs.
        columns: The rest: inputs, times positions of the kernel.
        spectral: ‖W‖₂.
        frobenius: ‖W‖_F.
        row_sum: ‖Wᵀ‖_{2,1}, the sum over outputs of the lengths of their weights.
        spectral_distance: ‖W − W₀‖₂; ``None`` without an initial point, as all distances.
        frobenius_distance: ‖W − W₀‖_F.
        row_sum_distance: ‖(W − W₀)ᵀ‖_{2,1}.
        norm: The batch norm that is folded into W.
    """

    name: str
    rows: int
    columns: int
    spectral: float
    frobenius: float
    row_sum: float
    spectral_distance: float | None
    frobenius_distance: float | None
    row_sum_distance: float | None
    norm: str | None

    def __str__(self) -> str:
        folded = "" if self.norm is None else f", with {self.norm}"
        shape = f"{self.rows} × {self.columns}{folded}"
        return f"{self.name} ({shape}): ‖W‖₂ {self.spectral:.4g}, ‖W‖_F {self.frobenius:.4g}"


@dataclass(frozen=True)
class CapacityMeasure(Record):
    """One measure μ of capacity.

    Attributes:
        value: μ; ``None`` where it is beyond the range of floating-point numbers.
        log: ln μ; ``None`` where μ is 0.
        scaled: √(μ/N), the size of a bound on the generalisation gap; ``None`` where beyond the range.
    """

    value: float | None
    log: float | None
    scaled: float | None

    @classmethod
    def of_log(cls, log: float, samples: int) -> "CapacityMeasure":
        """Make it from ln μ, −∞ for μ = 0."""
        return cls(_exp(log), log if math.isfinite(log) else None, _exp((log - math.log(samples)) / 2))

    def __str__(self) -> str:
        return f"{self.value:.4g}" if self.value is not None else f"e^{self.log:.6g}"


@dataclass(frozen=True)
class Capacity(Record):
    r"""The norm-based measures of capacity of one network, by the names of Jiang et al. (2020).

    With layers l of weights W, d of them, W₀ at the initial point, and the margin γ:

    Attributes:
        measures: By name, those that could be determined. ``prod_of_spec`` :math:`\prod \|W\|_2^2`, ``prod_of_fro``
            :math:`\prod \|W\|_F^2`; ``sum_of_spec`` and ``sum_of_fro``, d times their d-th roots; these four
            ``_over_margin``, with γ² below the product; ``fro_over_spec`` :math:`\sum \|W\|_F^2 / \|W\|_2^2` and
            ``init_over_spec`` :math:`\sum \|W - W_0\|_F^2 / \|W\|_2^2`;
            ``spec_orig_main`` and ``spec_init_main``, these times
            ``prod_of_spec_over_margin``; ``param_norm`` :math:`\sum \|W\|_F^2`; ``fro_dist`` and
            ``spec_dist``, :math:`\sum \|W - W_0\|^2`; ``spectral_complexity`` and ``spectral_complexity_init``, the
            squares of :math:`\prod s\, (\sum (\|V^\top\|_{2,1} / s)^{2/3})^{3/2}` with s = ‖W‖₂ and V = W or W − W₀
            (Bartlett, Foster & Telgarsky, 2017), and these ``_over_margin``; ``path_norm`` (of squares), over γ² too,
            and ``path_norm_l1``; ``fisher_rao``; ``inverse_margin`` 1/γ²; ``pacbayes_flatness`` and
            ``pacbayes_mag_flatness``, 1/σ² of the noise tolerances given.
        undetermined: The others, with the reason.
        layers: Their norms.
        left_out: Names of parameters that are in no layer's norms; so are those of layers that the model never uses.
        unfolded: Names of batch norms that could not be folded into a layer.
        margin: γ; ``None`` without one.
        samples: N.
        cost: What it took.
        provenance: How it was computed.
    """

    measures: dict[str, CapacityMeasure]
    undetermined: dict[str, str]
    layers: tuple[LayerNorms, ...]
    left_out: tuple[str, ...]
    unfolded: tuple[str, ...]
    margin: float | None
    samples: int
    cost: Cost
    provenance: Provenance | None = None

    def __str__(self) -> str:
        width = max(map(len, self.measures))
        lines = [f"capacity of {len(self.layers)} layers on {self.samples} samples"]
        lines += [f"  {name:<{width}}  {measure}" for name, measure in self.measures.items()]
        lines += [f"  not determined: {name} ({reason})" for name, reason in self.undetermined.items()]
        for title, names in (("not in the norms", self.left_out), ("not folded", self.unfolded)):
            lines += [f"  {title}: {', '.join(names)}"] if names else []
        return "\n".join(lines)


def _exp(log: float) -> float | None:
    try:
        return math.exp(log)
    except OverflowError:
        return None
