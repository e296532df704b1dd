r"""The least that products cost: floating-point operations of matrix products and convolutions, counted.

Such an operation multiplies two factors. Let F be its forward pass. If n of the factors depend on the parameters
(one in the first layer, two elsewhere), its backward pass costs B = nF, J v and Jᵀu as much each. A Hessian product
through a shared primal pass needs the tangent of the forward pass, nF, and that of the backward pass, n²F.
Summed over a network, with n of 1 and 2, from the counted F and B alone:

    gradient F + B,    Gv 2B,    Hv B + Σn²F = 4B − 2F,

and a rebuilt primal pass adds F to Gv and F + B to Hv. For deep networks B = 2F.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from _networks import Case
from _reference import parameters_of
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Arithmetic:
    """Operations of one network on one batch.

    Attributes:
        forward: F, counted.
        backward: B, counted.
        double_backward: What PyTorch spends on a Hessian product through a graph that is kept, counted. Through
            convolutions it is more than what is needed: their double backward computes all its outputs.
    """

    forward: int
    backward: int
    double_backward: int

    @property
    def gradient(self) -> int:
        """F + B."""
        return self.forward + self.backward

    @property
    def hessian(self) -> int:
        """Hv, the primal pass shared."""
        return 4 * self.backward - 2 * self.forward

    @property
    def gauss_newton(self) -> int:
        """Gv, the primal pass shared; a product with Σ costs the same."""
        return 2 * self.backward

    def units(self) -> dict[str, float]:
        """Costs in units of a gradient."""
        return {
            "Hv, primal pass shared": self.hessian / self.gradient,
            "Hv, primal pass rebuilt": self.hessian / self.gradient + 1,
            "Gv, primal pass shared": self.gauss_newton / self.gradient,
            "Gv, primal pass rebuilt": (self.gauss_newton + self.forward) / self.gradient,
        }


def counted(case: Case) -> Arithmetic:
    """Run each part once and count, with attention written out: fused kernels do part of the work twice."""
    parameters = parameters_of(case.model)
    ones = [torch.ones_like(parameter) for parameter in parameters]
    with sdpa_kernel(SDPBackend.MATH):
        outputs, forward = _count(lambda: case.model(case.inputs))
        loss = case.criterion(outputs, case.targets)
        gradients, backward = _count(lambda: torch.autograd.grad(loss, parameters, create_graph=True))
        _, double = _count(lambda: torch.autograd.grad(gradients, parameters, ones))
    return Arithmetic(forward, backward, double)


def _count(call: Callable[[], Any]) -> tuple[Any, int]:
    with FlopCounterMode(display=False) as counter:
        result = call()
    return result, counter.get_total_flops()
