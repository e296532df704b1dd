"""Who multiplies: Thalweg in its several ways, and its peers as their documentation uses them."""

import copy
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from _networks import Case
from _reference import cut, flat, parameters_of
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

import thalweg as tw

AUTO = "thalweg, auto"
MAKERS = {"H": "hessian", "G": "ggn", "Σ": "gradient_covariance"}

# From a block (P, k) to its product, (P, k) too.
Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Contestant:
    """One way of multiplying with one matrix.

    Attributes:
        name: Of the row.
        role: "ours" or "peer".
        matrix: "H", "G" or "Σ".
        build: Sets it up for a case; everything that one pays once happens there or in the first product.
        blocks: Whether it is timed on blocks; what takes one vector after the other is not.
        forced: Whether it is what ``engine="auto"`` chooses from.
    """

    name: str
    role: str
    matrix: str
    build: Callable[[Case], Product]
    blocks: bool = True
    forced: bool = False


def ours(matrix: str, landscape: Callable[[Case], tw.Landscape] = Case.landscape) -> list[Contestant]:
    """Thalweg on a matrix: what it chooses, what it is forced to, and with everything rebuilt."""

    def contestant(name: str, *, blocks: bool = True, forced: bool = False, **options: Any) -> Contestant:
        def build(case: Case) -> Product:
            # The operator itself, so that it can be asked what "auto" has chosen.
            return getattr(tw, MAKERS[matrix])(landscape(case), **options).__matmul__

        return Contestant(name, "ours", matrix, build, blocks and matrix != "Σ", forced)

    ways = [
        contestant(AUTO),
        contestant("thalweg, double-backward, kept", engine="double-backward", forced=True),
        contestant("thalweg, double-backward, rebuilt", engine="double-backward", keep=False),
        contestant("thalweg, forward-over-reverse", engine="forward-over-reverse", forced=True),
    ]
    if matrix == "H":
        # They know no other matrix, and have nothing to share between the vectors of a block.
        differences = "finite-differences"
        ways.append(contestant(f"thalweg, {differences}", engine=differences, blocks=False, forced=True))
    return ways


def peers() -> list[Contestant]:
    """The other libraries."""
    return [
        Contestant("PyHessian over a loader", "peer", "H", _pyhessian, blocks=False),
        Contestant("hessian-eigenthings", "peer", "H", _eigenthings_hessian, blocks=False),
        Contestant("curvlinops", "peer", "H", _curvlinops("HessianLinearOperator")),
        Contestant("hessian-eigenthings", "peer", "G", _eigenthings_ggn, blocks=False),
        Contestant("curvlinops", "peer", "G", _curvlinops("GGNLinearOperator")),
    ]


def gradient(case: Case) -> Callable[[], object]:
    """Return the unit: one gradient of the batch, in plain PyTorch with fused attention."""
    parameters = parameters_of(case.model)
    return lambda: torch.autograd.grad(case.criterion(case.model(case.inputs), case.targets), parameters)


def vectors(case: Case, width: int) -> Tensor:
    """Random vectors (P, k), the same for all, each contiguous."""
    size = sum(parameter.numel() for parameter in parameters_of(case.model))
    rows = torch.randn(width, size, generator=torch.Generator().manual_seed(1))
    return rows.to(case.inputs.device).mT


def _pyhessian(case: Case) -> Product:
    from pyhessian import hessian

    # It writes gradients into the model.
    case = _own(case)
    on_cuda = case.inputs.device.type == "cuda"
    measured = hessian(case.model, case.criterion, dataloader=_loader(case), cuda=on_cuda)
    parameters = parameters_of(case.model)

    def product(block: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*create_graph=True")
            parts = measured.dataloader_hv_product(cut(block.squeeze(1), parameters))[1]
        return flat(parts)

    return product


def _eigenthings_hessian(case: Case) -> Product:
    from hessian_eigenthings import HessianOperator, supervised_loss

    operator = HessianOperator(_own(case).model, _loader(case), supervised_loss(case.criterion))
    return _singly(operator.matvec)


def _eigenthings_ggn(case: Case) -> Product:
    from hessian_eigenthings.loss_fns import supervised_forward, supervised_loss_of_output
    from hessian_eigenthings.operators import GGNOperator

    loss = supervised_loss_of_output(case.criterion)
    return _singly(GGNOperator(_own(case).model, _loader(case), supervised_forward, loss).matvec)


def _curvlinops(operator: str) -> Callable[[Case], Product]:
    def build(case: Case) -> Product:
        import curvlinops

        model = _own(case).model
        made = getattr(curvlinops, operator)(
            model, case.criterion, parameters_of(model), list(_loader(case)), check_deterministic=False
        )

        def product(block: Tensor) -> Tensor:
            with sdpa_kernel(SDPBackend.MATH):
                return made @ block

        return product

    return build


def _singly(multiply: Callable[[Tensor], Tensor]) -> Product:
    def product(block: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return multiply(block.squeeze(1))

    return product


def _own(case: Case) -> Case:
    model = copy.deepcopy(case.model)
    return Case(case.name, model, case.criterion, case.inputs, case.targets, case.objective, case.batch)


def _loader(case: Case) -> Iterable[tuple[Tensor, Tensor]]:
    return [(case.inputs, case.targets)]
