"""The weight matrices of a network, batch norm folded in."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.landscape import Landscape
from thalweg.measures._folding import AFFINE, folding, scale_and_shift, unused_layers


@dataclass(frozen=True)
class Weight:
    """The weights of one layer as a matrix, outputs × all the rest, in double precision.

    Attributes:
        name: Of the layer.
        matrix: W, shape (rows, columns).
        norm: Name of the batch norm that is folded in.
    """

    name: str
    matrix: Tensor
    norm: str | None


@dataclass(frozen=True)
class Weights:
    """The weights of all layers, and what is in none.

    Attributes:
        layers: In the model's order; a tied weight once.
        left_out: Names of the parameters that are not in them.
        unfolded: Names of the batch norms that are not.
    """

    layers: tuple[Weight, ...]
    left_out: tuple[str, ...]
    unfolded: tuple[str, ...]

    @property
    def folded(self) -> bool:
        """Whether any batch norm is part of them."""
        return any(layer.norm is not None for layer in self.layers)


def weights_of(landscape: Landscape) -> Weights:
    """Return the weights of the layers in use at the landscape's point, whether selected or not.

    Raises:
        ArgumentError: If the model has no linear layer and no convolution, or uses none.
        NonFiniteError: If a weight is not finite.
    """
    model = landscape.model
    with landscape.reading(), torch.no_grad():
        pairs, unused = folding(landscape), unused_layers(landscape)
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        layers, inside = list[Weight](), set[str]()
        for name, module in model.named_modules():
            if not isinstance(module, AFFINE) or name in unused:
                continue
            owned = _owned(name, module, names)
            if owned & inside:
                continue
            inside |= owned
            matrix = module.weight.detach().double().flatten(start_dim=1)
            norm = pairs.norms.get(name)
            if norm is not None:
                batch_norm = model.get_submodule(norm)
                matrix = matrix * scale_and_shift(batch_norm)[0].unsqueeze(1)  # type: ignore[arg-type]  # as found
                inside |= {f"{norm}.weight"}
            if not bool(matrix.isfinite().all()):
                raise NonFiniteError(f"landscape: expected finite weights, and {name or 'the model'} has others.")
            layers.append(Weight(name, matrix.clone(), norm))
    if not layers:
        raise ArgumentError(
            "landscape: expected a model with weight matrices (linear layers or convolutions), and "
            f"{type(model).__name__} has none{' that it uses' if unused else ''}."
        )
    return Weights(tuple(layers), tuple(name for name in names.values() if name not in inside), pairs.unfolded)


def _owned(name: str, module: nn.Module, names: dict[int, str]) -> set[str]:
    """Names of the parameters that make the weight of a layer."""
    if parametrize.is_parametrized(module, "weight"):
        prefix = f"{name}." if name else ""
        return {own for own in names.values() if own.startswith(f"{prefix}parametrizations.weight.")}
    return {names[id(module.weight)]}


def spectral_norm(matrix: Tensor) -> float:
    """Return ‖W‖₂, from the smaller one of WWᵀ and WᵀW."""
    largest, scaled = _scaled(matrix)
    gram = scaled @ scaled.mT if scaled.shape[0] <= scaled.shape[1] else scaled.mT @ scaled
    return largest * math.sqrt(max(0.0, float(torch.linalg.eigvalsh(gram)[-1])))


def frobenius_norm(matrix: Tensor) -> float:
    """Return ‖W‖_F."""
    largest, scaled = _scaled(matrix)
    return largest * float(torch.linalg.vector_norm(scaled))


def row_sum(matrix: Tensor) -> float:
    """Return ‖Wᵀ‖_{2,1}, the sum of the lengths of rows."""
    largest, scaled = _scaled(matrix)
    return largest * float(torch.linalg.vector_norm(scaled, dim=1).sum())


def _scaled(matrix: Tensor) -> tuple[float, Tensor]:
    """Take the largest entry out, so that squares neither overflow nor vanish."""
    largest = float(matrix.abs().max())
    return (largest, matrix / largest) if largest > 0 else (0.0, matrix)
