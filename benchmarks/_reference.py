"""Trusted products: plain automatic differentiation in double precision, nothing shared with the library.

Through reverse mode alone: second derivatives that pass forward mode are wrong through layer norm (torch 2.13).
"""

import copy
from collections.abc import Iterable

import torch
from _networks import Case
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel


def parameters_of(model: nn.Module) -> list[Tensor]:
    """The parameters that span the matrix."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def cut(vector: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    """A flat vector as tensors like the parameters."""
    parts = vector.split([parameter.numel() for parameter in parameters])
    return [part.view_as(parameter) for part, parameter in zip(parts, parameters, strict=True)]


def flat(parts: Iterable[Tensor]) -> Tensor:
    """Tensors like the parameters as one flat vector."""
    return torch.cat([part.detach().reshape(-1) for part in parts])


def trusted(matrix: str, case: Case, vectors: Tensor) -> Tensor:
    """Multiply "H", "G" or "Σ" of a case with vectors (P, k) in double precision."""
    model = copy.deepcopy(case.model).double()
    inputs = case.inputs.double() if case.inputs.is_floating_point() else case.inputs
    twin = Case(case.name, model, case.criterion, inputs, case.targets, case.objective, None)
    with sdpa_kernel(SDPBackend.MATH):
        return {"H": _hessian, "G": _gauss_newton, "Σ": _covariance}[matrix](twin, vectors.double())


def relative_error(found: Tensor, truth: Tensor) -> float:
    """The largest relative error of a column."""
    difference = found.detach().to(truth.dtype).reshape(truth.shape) - truth
    return float((difference.norm(dim=0) / truth.norm(dim=0)).max())


def _hessian(case: Case, vectors: Tensor) -> Tensor:
    parameters = parameters_of(case.model)
    loss = case.criterion(case.model(case.inputs), case.targets)
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    columns = (
        torch.autograd.grad(gradients, parameters, cut(vector.contiguous(), parameters), retain_graph=True)
        for vector in vectors.mT
    )
    return torch.stack([flat(parts) for parts in columns], dim=1)


def _gauss_newton(case: Case, vectors: Tensor) -> Tensor:
    parameters = parameters_of(case.model)
    outputs = _logits(case.model(case.inputs))
    cotangent = torch.zeros_like(outputs, requires_grad=True)
    pulled = torch.autograd.grad(outputs, parameters, cotangent, create_graph=True)
    leaf = outputs.detach().requires_grad_()
    slope = torch.autograd.grad(case.criterion(leaf, case.targets), leaf, create_graph=True)[0]
    columns = []
    for vector in vectors.mT:
        tangent = torch.autograd.grad(pulled, cotangent, cut(vector.contiguous(), parameters), retain_graph=True)[0]
        curved = torch.autograd.grad(slope, leaf, tangent, retain_graph=True)[0]
        columns.append(flat(torch.autograd.grad(outputs, parameters, curved, retain_graph=True)))
    return torch.stack(columns, dim=1)


def _covariance(case: Case, vectors: Tensor) -> Tensor:
    """Item by item; all items weigh the same here."""
    parameters = parameters_of(case.model)
    total, mean = torch.zeros_like(vectors), torch.zeros_like(vectors[:, 0])
    count = len(case.inputs)
    for item in range(count):
        loss = case.criterion(case.model(case.inputs[item : item + 1]), case.targets[item : item + 1])
        gradient = flat(torch.autograd.grad(loss, parameters))
        total += torch.outer(gradient, gradient @ vectors) / count
        mean += gradient / count
    return total - torch.outer(mean, mean @ vectors)


def _logits(outputs: object) -> Tensor:
    return outputs if isinstance(outputs, Tensor) else outputs.logits
