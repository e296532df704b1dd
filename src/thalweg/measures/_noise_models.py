"""Which model of the gradient noise holds: a multiple of the Hessian, of the Gauss-Newton matrix, or H C H?"""

import time

import torch
from torch import Tensor

from thalweg.estimate import Cost, Estimate
from thalweg.landscape import Landscape
from thalweg.measures._alignment import cosine, multiple, norm_of, residual_of, trace_of
from thalweg.measures._gradient_noise import require_noisy, rounding_of_products
from thalweg.measures._inner_products import InnerProducts, inner_products, require_comparable
from thalweg.measures._noise_results import NoiseModel, NoiseModels
from thalweg.operators import FunctionOperator, Operator, ggn, gradient_covariance, hessian
from thalweg.progress import Progress, track

# Of these the variance of the residuals is known, 2L/C each (in the convention with the factor ½).
_SQUARES = ("squared_error", "mse")


def noise_models(
    landscape: Landscape,
    *,
    displacements: Operator | None = None,
    products: int = 48,
    generator: torch.Generator | None = None,
    progress: bool | Progress = False,
) -> NoiseModels:
    r"""Hold models of the noise covariance Σ of one item's gradient against Σ itself.

    ==========  ====================================================================================================
    Σ ≈ c G     targets that are drawn from the model, where Σ is the Fisher matrix and G is, too. c = 1 for one term an
                item, and N/Σw for several that are independent. For squared errors of C outputs c = 2L/C, whatever the
                variance of the residuals, if they are isotropic and independent of the gradients (Mori et al., 2022,
                for C = 1)
    Σ ≈ c H     the same near an optimum, where H ≈ G
    Σ ≈ H C H   exact for ℓ_i = ½(θ − θ_i)ᵀH(θ − θ_i) with C = Cov θ_i, where minima scatter and curvatures do not;
                c = 1 for a given C. Without one, C is a multiple of the identity, Σ ∝ H²
    ==========  ====================================================================================================

    ``predicted`` is ``None`` for objectives that are no likelihoods, and for class weights.

    They exclude each other: by HS + SH = ηΣ/B, SGD with Σ ∝ H has a stationary covariance S ∝ I, and with Σ = HCH one
    of ηHC/(2B), for C that commutes with H. The cosine says whether the shape of a model is right; ``multiple`` beside
    ``predicted`` says whether its size is. All matrices see the same random vectors: see :func:`alignment` for errors.

    Cost: ``products`` products with each of Σ, H, G and H C H, the last two with H and one with C; a
    gradient and a pass of losses.

    Args:
        landscape: In eval mode, with at least two items that its objective lets be seen.
        displacements: C, (P, P).
        products: With each matrix, at least 4; exact if they are P.
        generator: Of random vectors; ``None`` is a fresh one of seed 0.
        progress: Whether to show a bar, or what to report every product to.

    Raises:
        ArgumentError: If an argument has a wrong value, the landscape is in train mode or has fewer than two items.
        NonFiniteError: If a product is not finite.
        ObjectiveError: If the objective is a black box, or has no Gauss-Newton matrix.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> inputs = torch.ones(2, 1, dtype=torch.float64)
        >>> targets = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)  # Σ = 1, H = G = 1, L = ½
        >>> print(noise_models(tw.Landscape(model, tw.objectives.squared_error(), [(inputs, targets)])))
        Σ ≈ c H: c = 1 (predicted 1), cosine 1, residual 0
        Σ ≈ c H C H: c = 1, cosine 1, residual 0
        Σ ≈ c G: c = 1 (predicted 1), cosine 1, residual 0
    """
    require_noisy(landscape)
    started = time.perf_counter()
    covariance, curvature, gauss_newton = gradient_covariance(landscape), hessian(landscape), ggn(landscape)
    space = landscape.space
    if displacements is not None:
        require_comparable({"landscape": covariance, "displacements": displacements}, products)

    def sandwiched(vector: Tensor) -> Tensor:
        image = curvature @ vector
        return curvature @ (image if displacements is None else displacements @ image)

    sandwich = FunctionOperator(sandwiched, space.size, dtype=space.dtype, device=space.device)
    operators: list[Operator] = [covariance, curvature, sandwich, gauss_newton]
    require_comparable(dict(zip(("Σ", "H", "H C H", "G"), operators, strict=True)), products)
    with track(min(products, space.size), "noise models", progress) as bar:
        found = inner_products(operators, None, products, generator, bar)
    fisher = _multiple_of_fisher(landscape)
    names = {"H": fisher, "H C H": None if displacements is None else 1.0, "G": fisher}
    zero = trace_of(found, 0).value <= rounding_of_products(covariance)
    models = tuple(_model(found, place, name, names[name], zero=zero) for place, name in enumerate(names, start=1))
    cost = Cost(matvecs=5 * found.made, gradients=1, losses=1, seconds=time.perf_counter() - started)
    return NoiseModels(
        models, Estimate(0.0, standard_error=0.0) if zero else norm_of(found, 0), cost, covariance.provenance
    )


def _model(found: InnerProducts, place: int, name: str, predicted: float | None, *, zero: bool) -> NoiseModel:
    if zero:
        # Of a Σ that is rounding all ratios are.
        return NoiseModel(name, None, None, None, predicted, None)
    return NoiseModel(
        name,
        cosine=found.estimate(lambda cross, _: cosine(cross, 0, place)),
        multiple=found.estimate(lambda cross, _: multiple(cross, 0, place)),
        residual=residual_of(found, 0, place),
        predicted=predicted,
        predicted_residual=None if predicted is None else residual_of(found, 0, place, predicted),
    )


def _multiple_of_fisher(landscape: Landscape) -> float | None:
    """The c of Σ = cG for targets drawn from the model."""
    if landscape.objective.draw is None:
        return None
    found = landscape.evaluate()
    if landscape.objective.name not in _SQUARES:
        # Of N items' gradients, each (N/Σw) Σ_j ∇ℓ_j, and G = Σ F_j/Σw: only for weights that are 1 or 0.
        return landscape.count / landscape.weight if found.terms == landscape.weight else None
    with landscape.reading(), torch.no_grad():
        batch = next(iter(landscape.batches()))[1]
        outputs = landscape.outputs(landscape.leaves(grad=False), batch)
    each: float = outputs.numel() / len(outputs)
    return 2 * found.loss.value / each
