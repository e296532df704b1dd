"""What is found about gradient noise, and about how it lies to curvature."""

from dataclasses import dataclass, replace

from torch import Tensor

from thalweg.estimate import Cost, Estimate, Provenance, format_with_error
from thalweg.krylov._results import Eigenpairs
from thalweg.record import Record


@dataclass(frozen=True)
class GradientNoise(Record):
    r"""The noise of single items' gradients: Σ = mean of (g_i − ḡ)(g_i − ḡ)ᵀ, ḡ the gradient of all N items.

    Attributes:
        trace: tr Σ, exact for these data, with the error that the data leave.
        signal: ‖ḡ‖², on these data; its expectation is that of all data plus tr Σ/N.
        scale: B_simple = tr Σ/‖ḡ‖², of these data; ``None`` where ḡ = 0.
        population_scale: The same for the data that these are a sample of, with ‖ḡ‖² and tr Σ free of bias; ``None``
            where the noise hides the gradient.
        curvature_trace: tr HΣ; ``None`` without a curvature, and where Σ is zero to the rounding of products.
        curvature_scale: B_noise = tr HΣ/(ḡᵀHḡ); ``None`` where that is, and where ḡᵀHḡ is not positive.
        top: Leading eigenpairs of Σ; ``None`` if none were asked for, or Σ is zero to the rounding of products.
        samples: N.
        way: How the items' gradients were computed.
        cost: What it took.
        provenance: How it was computed.
    """

    trace: Estimate
    signal: Estimate
    scale: Estimate | None
    population_scale: Estimate | None
    curvature_trace: Estimate | None
    curvature_scale: Estimate | None
    top: Eigenpairs | None
    samples: int
    way: str
    cost: Cost
    provenance: Provenance | None = None

    def without_vectors(self) -> "GradientNoise":
        """Return the same result without eigenvectors, small enough to store."""
        return self if self.top is None else replace(self, top=self.top.without_vectors())

    def __str__(self) -> str:
        scale = "undefined: the gradient vanishes" if self.scale is None else f"{_with_data_error(self.scale)}"
        return f"tr Σ {_with_data_error(self.trace)}, noise scale {scale} ({self.samples} items)"


@dataclass(frozen=True)
class Alignment(Record):
    r"""How one symmetric matrix A, such as a noise covariance, lies to another one B, such as a curvature.

    Attributes:
        cosine: tr AB/(‖A‖_F ‖B‖_F); ``None`` where a matrix is zero.
        zhu: P·tr AB/(tr A · tr B), 1 for matrices without a common direction; ``None`` where a trace is not surely
            positive.
        inner: tr AB.
        first_trace: tr A.
        second_trace: tr B.
        first_norm: ‖A‖_F.
        second_norm: ‖B‖_F.
        multiple: The c that minimises ‖A − cB‖_F, which is tr AB/‖B‖_F²; ``None`` where B = 0.
        residual: ‖A − cB‖_F/‖A‖_F at that c; ``None`` where a matrix is zero.
        quotients: vᵀAv of the given directions, shape (k,); ``None`` if none were given.
        values: Eigenvalues of B that belong to them, shape (k,); ``None`` if they were not given.
        top_share: Σ_k v_kᵀAv_k/tr A; ``None`` if no directions were given, or tr A is not surely positive.
        top_null: k/P, what the share is of A = I, or on average for a random subspace.
        reason: Why there are no ratios: a gradient covariance is zero to rounding. ``None`` where it is not; traces and
            norms are as they were computed in either case.
        cost: What it took, products with both matrices.
        provenance: How products with A are computed.
    """

    cosine: Estimate | None
    zhu: Estimate | None
    inner: Estimate
    first_trace: Estimate
    second_trace: Estimate
    first_norm: Estimate
    second_norm: Estimate
    multiple: Estimate | None
    residual: Estimate | None
    quotients: Tensor | None
    values: Tensor | None
    top_share: Estimate | None
    top_null: float | None
    cost: Cost
    provenance: Provenance | None = None
    reason: str | None = None

    def ratios(self) -> Tensor | None:
        """Return v_kᵀAv_k/λ_k, shape (k,), infinite where λ_k = 0; ``None`` where either is not known."""
        return None if self.quotients is None or self.values is None else self.quotients / self.values

    def __str__(self) -> str:
        undefined = f"undefined: {self.reason or 'a matrix is zero'}"
        cosine = undefined if self.cosine is None else str(self.cosine)
        share = "" if self.top_share is None or self.quotients is None else _share(self.top_share, len(self.quotients))
        return f"cosine {cosine}{share}"


@dataclass(frozen=True)
class NoiseModel(Record):
    """A model of the noise covariance, held against it.

    Attributes:
        name: "H", "H C H" or "G".
        cosine: Of Σ with the model's matrix M; ``None`` where either is zero.
        multiple: The c that minimises ‖Σ − cM‖_F; ``None`` where M = 0.
        residual: ‖Σ − cM‖_F/‖Σ‖_F at that c; ``None`` where either is zero.
        predicted: The c that the theory predicts; ``None`` where it leaves c open.
        predicted_residual: The same residual at the predicted c; ``None`` without one.
    """

    name: str
    cosine: Estimate | None
    multiple: Estimate | None
    residual: Estimate | None
    predicted: float | None
    predicted_residual: Estimate | None

    def __str__(self) -> str:
        if self.residual is None:
            return f"Σ ≈ c {self.name}: undefined, a matrix is zero"
        predicted = "" if self.predicted is None else f" (predicted {self.predicted:.4g})"
        return f"Σ ≈ c {self.name}: c = {self.multiple}{predicted}, cosine {self.cosine}, residual {self.residual}"


@dataclass(frozen=True)
class NoiseModels(Record):
    """Models of the noise covariance Σ side by side.

    Attributes:
        models: One each.
        norm: ‖Σ‖_F; 0 where tr Σ is within a hundred roundings of ‖ḡ‖², and no model has a number.
        cost: What it took, products with all matrices.
        provenance: How products with Σ are computed.
    """

    models: tuple[NoiseModel, ...]
    norm: Estimate
    cost: Cost
    provenance: Provenance | None = None

    def best(self) -> NoiseModel | None:
        """Return the model of the largest cosine; ``None`` where none has one."""
        known = [model for model in self.models if model.cosine is not None]
        return max(known, key=lambda model: float(model.cosine or 0.0), default=None)

    def __str__(self) -> str:
        return "\n".join(str(model) for model in self.models)


def _with_data_error(estimate: Estimate) -> str:
    return format_with_error(estimate.value, estimate.data_error)


def _share(share: Estimate, count: int) -> str:
    return f", {count} directions hold {share} of the trace"
