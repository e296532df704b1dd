"""Every matrix, by every engine, on every kind of model, with the dense matrix that it must equal.

A new matrix, engine or model adds one entry here.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

import thalweg as tw
from tests.landscape.models import (
    Attention,
    ConvolutionalResidual,
    Grouped,
    MultiHead,
    Recurrent,
    Residual,
    classes,
    cnn,
    mlp,
    randn,
    scrambled,
    tied,
    tokens,
)
from tests.operators.kronecker_twin import CROSS, naive_kfac
from tests.operators.matrices import orthonormal
from tests.operators.twin import Model, dense_hessian, jacobian


class Setting(NamedTuple):
    """A landscape, and the same in plain words for the twins.

    ``outputs(model, batch)`` are the outputs that the terms depend on, ``terms(outputs, batch)`` the terms, one row a
    data item; all have weight one but those of ``weights``. ``redrawn(batch, targets)`` is a batch of other targets.
    """

    landscape: tw.Landscape
    model: nn.Module
    batches: list[Any]
    outputs: Callable[[Model, Any], Tensor]
    terms: Callable[[Tensor, Any], Tensor]
    weights: Callable[[Any], Tensor] | None = None
    redrawn: Callable[[Any, Tensor], Any] = lambda batch, targets: (batch[0], targets)

    def weighted(self, batch: Any, terms: Tensor) -> Tensor:
        return terms if self.weights is None else terms * self.weights(batch)

    def total(self) -> float:
        counted = [self.terms(self.outputs(self.model, batch), batch).detach() for batch in self.batches]
        pairs = zip(self.batches, counted, strict=True)
        return float(sum(self.weighted(batch, torch.ones_like(terms)).sum() for batch, terms in pairs))


def _inputs(model: Model, batch: Any) -> Tensor:
    return model(batch[0])


def _cross_entropy(outputs: Tensor, batch: Any) -> Tensor:
    return functional.cross_entropy(outputs, batch[1], reduction="none")[:, None]


def _classified(
    make: Callable[[], nn.Module], *shape: int, mode: str = "eval", **options: Any
) -> Callable[[], Setting]:
    def build() -> Setting:
        model = make().train(mode == "train")
        batches = list(zip(randn(7, *shape).split(5), classes(7).split(5), strict=True))
        landscape = tw.Landscape(model, tw.objectives.cross_entropy(), batches, mode=mode, **options)
        return Setting(landscape, model, batches, _inputs, _cross_entropy)

    return build


def _tied() -> Setting:
    """Masked text: sequences have several terms, some of weight zero."""
    model = tied()
    batches = [{"input_ids": part, "labels": part.masked_fill(part == 2, -100)} for part in tokens(5, seed=4).split(3)]

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = model

        def forward(self, input_ids: Tensor) -> Tensor:
            return self.body(input_ids)

    wrapped = Wrapped()
    landscape = tw.Landscape(wrapped, tw.objectives.causal_lm(), batches)
    return Setting(
        landscape,
        wrapped,
        batches,
        lambda model, batch: model(batch["input_ids"])[:, :-1],
        lambda outputs, batch: functional.cross_entropy(
            outputs.movedim(-1, 1), batch.get("drawn", batch["input_ids"][:, 1:]), reduction="none"
        ),
        lambda batch: (batch["labels"][:, 1:] != -100).double(),
        lambda batch, targets: {**batch, "drawn": targets},
    )


def _regression() -> Setting:
    model = scrambled(nn.Sequential(nn.Linear(4, 3), nn.Softplus(), nn.Linear(3, 2)).double())
    batches = [(randn(4, 4), randn(4, 2, seed=1)), (randn(1, 4, seed=2), randn(1, 2, seed=3))]
    return Setting(
        tw.Landscape(model, tw.objectives.squared_error(), batches),
        model,
        batches,
        _inputs,
        lambda outputs, batch: (outputs - batch[1]).square().sum(dim=1, keepdim=True) / 2,
    )


def _entries() -> Setting:
    """Binary cross-entropy of every output: several terms an item, all of weight one."""
    model = scrambled(nn.Sequential(nn.Linear(4, 3), nn.SiLU(), nn.Linear(3, 2)).double())
    batches = [
        (randn(4, 4), (randn(4, 2, seed=1) > 0).double()),
        (randn(2, 4, seed=2), (randn(2, 2, seed=3) > 0).double()),
    ]
    return Setting(
        tw.Landscape(model, tw.objectives.binary_cross_entropy(), batches),
        model,
        batches,
        _inputs,
        lambda outputs, batch: functional.binary_cross_entropy_with_logits(outputs, batch[1], reduction="none"),
    )


def _linear() -> Setting:
    """A linear model: its Hessian is its Gauss–Newton matrix."""
    model = scrambled(nn.Linear(4, 3).double())
    batches = list(zip(randn(7, 4).split(5), classes(7).split(5), strict=True))
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), batches)
    return Setting(landscape, model, batches, _inputs, _cross_entropy)


MODELS: dict[str, Callable[[], Setting]] = {
    "tanh": _classified(mlp, 4),
    "tanh, micro-batches": _classified(mlp, 4, microbatch=2),
    "relu": _classified(lambda: mlp(nn.ReLU), 4),
    "convolutions": _classified(cnn, 1, 6, 6),
    "convolutions in train mode": _classified(cnn, 1, 6, 6, mode="train"),
    "convolutional residual": _classified(lambda: scrambled(ConvolutionalResidual().double()), 1, 6, 6),
    "convolutional residual in train mode": _classified(
        lambda: scrambled(ConvolutionalResidual().double()), 1, 6, 6, mode="train"
    ),
    "residual": _classified(lambda: scrambled(Residual().double()), 4),
    "group norm": _classified(lambda: scrambled(Grouped().double()), 4),
    "attention": _classified(lambda: scrambled(Attention().double()), 3, 4),
    "multi-head attention": _classified(lambda: scrambled(MultiHead().double()), 3, 4),
    "lstm": _classified(lambda: scrambled(Recurrent().double()), 3, 4),
    "tied and masked": _tied,
    "regression": _regression,
    "entries": _entries,
    "linear": _linear,
}


def _hessian(setting: Setting) -> Tensor:
    def loss(model: Model, batch: Any) -> Tensor:
        return setting.weighted(batch, setting.terms(setting.outputs(model, batch), batch)).sum()

    return dense_hessian(setting.model, loss, setting.batches, setting.total())


def _ggn(setting: Setting) -> Tensor:
    matrix = torch.zeros(())
    for batch in setting.batches:
        rows = jacobian(setting.model, setting.outputs, batch)
        outputs = setting.outputs(setting.model, batch).detach()

        def loss(flat: Tensor, batch: Any = batch, shape: torch.Size = outputs.shape) -> Tensor:
            return setting.weighted(batch, setting.terms(flat.view(shape), batch)).sum()

        matrix = matrix + rows.mT @ torch.autograd.functional.hessian(loss, outputs.flatten()) @ rows
    return matrix / setting.total()


def _term_rows(setting: Setting, batch: Any) -> Tensor:
    """Gradients of all terms, (items, terms an item, P)."""
    shape = setting.terms(setting.outputs(setting.model, batch), batch).shape
    rows = jacobian(setting.model, lambda model, b: setting.terms(setting.outputs(model, b), b), batch)
    return rows.view(*shape, -1)


def _weights(setting: Setting, batch: Any, rows: Tensor) -> Tensor:
    return setting.weighted(batch, torch.ones(rows.shape[:2], dtype=rows.dtype))


def _empirical(setting: Setting) -> Tensor:
    matrix = torch.zeros(())
    for batch in setting.batches:
        rows = _term_rows(setting, batch)
        matrix = matrix + torch.einsum("itp,it,itq->pq", rows, _weights(setting, batch, rows), rows)
    return matrix / setting.total()


def _monte_carlo(setting: Setting) -> Tensor:
    """The outer products of the gradients of the very targets that the operator draws."""
    draws = MATRICES["monte-carlo fisher"].make(setting.landscape).landscape.data
    matrix = torch.zeros(())
    for batch, (_, targets) in zip(setting.batches, draws, strict=True):
        for drawn in targets.unbind(1):
            rows = _term_rows(setting, setting.redrawn(batch, drawn))
            matrix = matrix + torch.einsum("itp,it,itq->pq", rows, _weights(setting, batch, rows), rows) / 2
    return matrix / setting.total()


def _covariance(setting: Setting) -> Tensor:
    items = []
    for batch in setting.batches:
        rows = _term_rows(setting, batch)
        items.append(torch.einsum("itp,it->ip", rows, _weights(setting, batch, rows)))
    gradients = torch.cat(items)
    gradients = gradients * (len(gradients) / setting.total())
    return torch.cov(gradients.mT, correction=0)


class Matrix(NamedTuple):
    make: Callable[..., tw.Curvature]
    twin: Callable[[Setting], Tensor]


MATRICES: dict[str, Matrix] = {
    "hessian": Matrix(tw.hessian, _hessian),
    "ggn": Matrix(tw.ggn, _ggn),
    "residual": Matrix(tw.residual, lambda setting: _hessian(setting) - _ggn(setting)),
    "exact fisher": Matrix(tw.fisher, _ggn),
    "monte-carlo fisher": Matrix(functools.partial(tw.fisher, kind="monte-carlo", draws=2), _monte_carlo),
    "empirical fisher": Matrix(functools.partial(tw.fisher, kind="empirical"), _empirical),
    "gradient covariance": Matrix(tw.gradient_covariance, _covariance),
}

ENGINES: dict[str, dict[str, Any]] = {
    "kept graphs": {"engine": "double-backward"},
    "rebuilt graphs": {"engine": "double-backward", "keep": False},
    "forward": {"engine": "forward-over-reverse"},
    "auto": {},
    "batched": {"engine": "double-backward"},
}


@functools.cache
def setting(model: str) -> Setting:
    return MODELS[model]()


@functools.cache
def twin(matrix: str, model: str) -> Tensor:
    return MATRICES[matrix].twin(setting(model))


def operator(matrix: str, engine: str, model: str) -> tw.Curvature:
    """A fresh operator."""
    made = MATRICES[matrix].make(setting(model).landscape, **ENGINES[engine])
    if engine == "batched":
        # What "auto" may choose for blocks, chosen for sure.
        made._engine("double-backward, batched")
    return made


class Case(NamedTuple):
    operator: tw.Operator
    model: nn.Module | None
    matrix: Tensor


def _case(matrix: str, engine: str, model: str) -> Callable[[], Case]:
    return lambda: Case(operator(matrix, engine, model), setting(model).model, twin(matrix, model))


def _linear_loss() -> Case:
    """A loss that is linear in the parameters: no curvature at all, and no graph of the gradient to differentiate."""
    model = scrambled(nn.Linear(4, 1).double())
    objective = tw.objectives.from_function(lambda model, batch: model(batch).mean(), len)
    landscape = tw.Landscape(model, objective, [randn(5, 4), randn(2, 4)])
    return Case(tw.hessian(landscape), model, torch.zeros(5, 5, dtype=torch.float64))


def _function() -> Case:
    matrix = randn(9, 9)
    matrix = matrix + matrix.mT
    return Case(tw.FunctionOperator(lambda v: matrix @ v, 9, dtype=torch.float64), None, matrix)


def _of_factors(make: Callable[[tw.Landscape], tw.Operator], dense: Callable[[Tensor], Tensor]) -> Callable[[], Case]:
    """K-FAC of the first model, which is sequential, and what is made of it."""

    def build() -> Case:
        plain = setting("tanh")
        matrix = naive_kfac(plain.model, CROSS, plain.batches)
        return Case(make(plain.landscape), plain.model, dense(matrix))

    return build


def _ekfac() -> Case:
    """Of a single item K-FAC is exact, and so are its eigenvectors."""
    plain = setting("linear")
    batches = [tuple(part[:1] for part in plain.batches[0])]
    single = plain._replace(landscape=tw.Landscape(plain.model, CROSS, batches), batches=batches)
    return Case(tw.ekfac(single.landscape), plain.model, _ggn(single))


def _composed(
    make: Callable[[tw.Operator, Tensor], tw.Operator], dense: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[], Case]:
    """A wrapper of the first model's Hessian, given five orthonormal vectors."""

    def build() -> Case:
        inner, matrix = operator("hessian", "kept graphs", "tanh"), twin("hessian", "tanh")
        basis = orthonormal(len(matrix), 5)
        return Case(make(inner, basis), setting("tanh").model, dense(matrix, basis))

    return build


def _left(matrix: Tensor, basis: Tensor) -> Tensor:
    """What a projection on the complement of the basis leaves."""
    rest = torch.eye(len(matrix), dtype=matrix.dtype) - basis @ basis.mT
    return rest @ matrix @ rest


WRAPPERS: dict[str, Callable[[], Case]] = {
    "scaled": _composed(lambda a, _: tw.scaled(a, -2.5), lambda a, _: -2.5 * a),
    "shifted": _composed(lambda a, _: tw.shifted(a, 0.7), lambda a, _: a + 0.7 * torch.eye(len(a)).double()),
    "added": _composed(lambda a, _: tw.added(a, tw.scaled(a, 2)), lambda a, _: 3 * a),
    "deflated": _composed(tw.deflated, _left),
    "projected": _composed(tw.projected, lambda a, q: q.mT @ a @ q),
    "block": _composed(lambda a, _: tw.block(a, range(2, 9)), lambda a, _: a[2:9, 2:9]),
}

# What is held to the whole contract: every matrix by every engine, and every model.
CASES: dict[str, Callable[[], Case]] = {
    "function": _function,
    "linear loss": _linear_loss,
    "kfac": _of_factors(tw.kfac, lambda matrix: matrix),
    "kfac, inverse": _of_factors(
        lambda landscape: tw.kfac(landscape).inverse(0.1),
        lambda matrix: torch.linalg.inv(matrix + 0.1 * torch.eye(len(matrix)).double()),
    ),
    "ekfac": _ekfac,
    **WRAPPERS,
    **{f"{matrix}, {engine}": _case(matrix, engine, "tanh") for matrix in MATRICES for engine in ENGINES},
    **{f"hessian, {model}": _case("hessian", "kept graphs", model) for model in MODELS if model != "tanh"},
}
