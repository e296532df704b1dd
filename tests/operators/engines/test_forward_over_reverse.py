"""Forward over reverse against dense twins: models of every kind, blocks, chunks, types, and what it cannot do."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import thalweg as tw
from tests.landscape.models import DOUBLE, Counting, classes, cnn, mlp, randn, scrambled, tied, tokens
from tests.landscape.snapshot import unchanged
from tests.operators.engines.forward_cases import (
    CROSS,
    FORMS,
    MODELS,
    Sine,
    between,
    built,
    close,
    dense_ggn,
    gauss_newton,
    second,
    summed,
)
from tests.operators.twin import dense_hessian
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, DifferentiationError
from thalweg.operators._form import Congruence
from thalweg.operators._ggn import gauss_newton_form, residual
from thalweg.operators.engines import _forward_over_reverse as module
from thalweg.operators.engines._forward_over_reverse import ForwardOverReverse


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("leaving", "checkpointing")])
def test_equals_its_naive_twin(name, form):
    landscape, model, batches = built(name)
    engine = ForwardOverReverse(landscape, FORMS[form](landscape))
    twin = dense_hessian(model, summed, batches, 7) if form == "hessian" else dense_ggn(model, batches, 7)
    identity = torch.eye(landscape.size, dtype=DOUBLE)
    with unchanged(model):
        matrix = engine.product(identity)
    assert engine.vectorised
    close(matrix, twin)
    vector = landscape.space.randn(count=1)
    with unchanged(model):
        product = engine.product(vector)
    close(product, twin @ vector)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["tanh", "convolutions, train", "attention, causal"])
def test_a_block_is_its_columns_in_chunks_of_any_size(name, form):
    landscape, model, _ = built(name)
    block = landscape.space.randn(count=5)
    copy = block.clone()
    single = ForwardOverReverse(landscape, FORMS[form](landscape))
    columns = torch.cat([single.product(block[:, i : i + 1]) for i in range(5)], dim=1)
    for chunk in (None, 1, 2, 3, 5, 9):
        engine = ForwardOverReverse(landscape, FORMS[form](landscape), chunk=chunk)
        with unchanged(model):
            product = engine.product(block)
        assert engine.vectorised == (chunk != 1)
        assert product.mT.is_contiguous()
        assert (product.shape, product.dtype, product.requires_grad) == (block.shape, block.dtype, False)
        close(product, columns, 1e-12)
    assert torch.equal(block, copy)


@pytest.mark.parametrize("microbatch", [1, 3])
def test_micro_batches_change_nothing(microbatch):
    block = built("residual")[0].space.randn(count=2)
    for form in FORMS.values():
        whole, cut = built("residual")[0], built("residual", microbatch=microbatch)[0]
        close(
            ForwardOverReverse(cut, form(cut)).product(block),
            ForwardOverReverse(whole, form(whole)).product(block),
            1e-12,
        )


@pytest.mark.parametrize(
    ("form", "vectors", "chunk", "passes"),
    [
        ("hessian", 1, None, 1),
        ("hessian", 5, None, 1),
        ("hessian", 5, 2, 3),
        ("hessian", 5, 1, 5),
        ("ggn", 1, None, 1),
        ("ggn", 5, None, 2),
        ("ggn", 5, 2, 4),
        ("ggn", 5, 1, 5),
    ],
)
def test_vectors_share_their_passes(form, vectors, chunk, passes):
    """Through two batches. For the GGN one more: the pass whose graph leads back is without tangents."""
    model = Counting(mlp())
    landscape = tw.Landscape(model, CROSS, list(zip(randn(6, 4).split(3), classes(6).split(3), strict=True)))
    model.seen[0] = 0
    ForwardOverReverse(landscape, FORMS[form](landscape), chunk=chunk).product(landscape.space.randn(count=vectors))
    assert model.seen[0] == 2 * passes


def test_tied_weights_and_masked_tokens():
    model, batches = tied(), list(tokens(5).split(3))
    landscape = tw.Landscape(model, tw.objectives.causal_lm(), batches)

    def loss(model: Callable[..., Any], batch: Tensor) -> Tensor:
        return functional.cross_entropy(
            model(batch)[:, :-1].flatten(end_dim=1), batch[:, 1:].flatten(), reduction="sum"
        )

    engine = ForwardOverReverse(landscape, second(landscape))
    close(engine.product(torch.eye(landscape.size, dtype=DOUBLE)), dense_hessian(model, loss, batches, 25))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [1, 3])
def test_parameters_that_are_not_reached_have_no_curvature(form, count):
    model = mlp()
    model.register_parameter("lost", nn.Parameter(randn(3)))
    batches = [(randn(5, 4), classes(5))]
    landscape = tw.Landscape(model, CROSS, batches, check=False)
    block = landscape.space.randn(count=count)
    engine = ForwardOverReverse(landscape, FORMS[form](landscape))
    product = landscape.split(engine.product(block)[:, -1].contiguous())
    assert not product["lost"].any()
    smaller = tw.Landscape(mlp(), CROSS, batches)
    rest = torch.cat([block[:0], *(v.reshape(-1, count) for k, v in stacked(landscape, block).items() if k != "lost")])
    expected = ForwardOverReverse(smaller, FORMS[form](smaller)).product(rest.mT.contiguous().mT)
    close(torch.cat([part.flatten() for name, part in product.items() if name != "lost"]), expected[:, -1], 1e-12)


def stacked(landscape: tw.Landscape, block: Tensor) -> dict[str, Tensor]:
    """Named rows of a block."""
    sizes = [part.numel() for part in landscape.split(block[:, 0].contiguous()).values()]
    return dict(zip(landscape.layout.names, block.split(sizes), strict=True))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("loss", [lambda outputs: outputs.mean(), lambda outputs: outputs.detach().mean()])
def test_losses_without_curvature(loss, count):
    model = scrambled(nn.Linear(4, 1).double())
    objective = tw.objectives.from_function(lambda model, batch: loss(model(batch)), len)
    landscape = tw.Landscape(model, objective, [randn(5, 4), randn(2, 4)], check=False)
    block = landscape.space.randn(count=count)
    assert torch.equal(ForwardOverReverse(landscape, second(landscape)).product(block), torch.zeros_like(block))
    fixed = Congruence(
        lambda leaves, batch: (leaves[0].detach().sum(),), lambda values, batch: lambda tangents: tangents
    )
    assert torch.equal(ForwardOverReverse(landscape, fixed).product(block), torch.zeros_like(block))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [1, 3])
def test_parameters_of_several_types(form, count):
    """Vectors have the widest; a tangent is rounded to its parameter's type, and its image back."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(4, 5).double(), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.body(x)).float())

    batches = [(randn(6, 4), classes(6))]
    model = scrambled(Mixed())
    landscape = tw.Landscape(model, CROSS, batches)
    exact = tw.Landscape(mlp(), CROSS, batches).at(landscape.theta)
    block = landscape.space.randn(count=count)
    found = ForwardOverReverse(landscape, FORMS[form](landscape)).product(block)
    assert landscape.space.dtype == found.dtype == DOUBLE
    close(found, ForwardOverReverse(exact, FORMS[form](exact)).product(block), 1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", [mlp, cnn])
def test_autocast(form, make):
    shape = (4,) if make is mlp else (1, 6, 6)
    batches = [(randn(6, *shape, dtype=torch.float32), classes(6))]
    cast, single = (tw.Landscape(make().float(), CROSS, batches, autocast=kind) for kind in (torch.bfloat16, None))
    block = single.space.randn(count=2)
    for columns in (block, block[:, :1]):
        found = ForwardOverReverse(cast, FORMS[form](cast)).product(columns)
        expected = ForwardOverReverse(single, FORMS[form](single)).product(columns)
        assert found.dtype == torch.float32
        assert 0 < float((found - expected).norm() / expected.norm()) < 0.03


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_kernels_of_single_precision(cell):
    """PyTorch takes oneDNN's LSTM for float32, which has no forward derivative."""

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = cell(4, 3, batch_first=True), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.cell(x)[0][:, -1])

    model = scrambled(Last())
    batch = (randn(5, 3, 4), classes(5))
    exact = tw.Landscape(model, CROSS, [batch], dtype=DOUBLE)
    single = tw.Landscape(model, CROSS, [batch], dtype=torch.float32)
    block = exact.space.randn(count=2)
    expected = ForwardOverReverse(exact, second(exact)).product(block)
    close(ForwardOverReverse(single, second(single)).product(block.float()).double(), expected, 1e-4)


@pytest.mark.skipif(torch.__version__ < "2.13", reason="gradient checkpointing of older versions has no jvp")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [1, 3])
def test_checkpointed_layers_run_again(form, count):
    """For the GGN without tangents, so that fewer tensors are saved than at first, which checkpointing notices."""
    landscape, model, batches = built("checkpointing")
    engine = ForwardOverReverse(landscape, FORMS[form](landscape))
    block = landscape.space.randn(count=count)
    with unchanged(model):
        product = engine.product(block)
    twin = dense_hessian(model, summed, batches, 7) if form == "hessian" else dense_ggn(model, batches, 7)
    close(product, twin @ block)


@pytest.mark.parametrize("name", ["convolutions, train", "attention, causal"])
def test_the_library_s_own_middle_is_vectorised_too(name):
    landscape, model, batches = built(name)
    engine = ForwardOverReverse(landscape, gauss_newton_form(landscape))
    close(engine.product(torch.eye(landscape.size, dtype=DOUBLE)), dense_ggn(model, batches, 7))
    assert engine.vectorised


@pytest.mark.parametrize("form", FORMS)
def test_what_cannot_be_vectorised_goes_one_by_one(form):
    landscape, model, batches = built("leaving")
    engine = ForwardOverReverse(landscape, FORMS[form](landscape))
    assert engine.vectorised
    with unchanged(model):
        matrix = engine.product(torch.eye(landscape.size, dtype=DOUBLE))
    assert not engine.vectorised
    close(matrix, dense_hessian(model, summed, batches, 7) if form == "hessian" else dense_ggn(model, batches, 7))
    block = landscape.space.randn(count=2)
    close(engine.product(block), matrix @ block)


def test_gradients_inside_the_form_go_one_by_one():
    landscape = built("tanh")[0]
    engine = ForwardOverReverse(landscape, residual(landscape)._form)
    block = landscape.space.randn(count=2)
    hessian = ForwardOverReverse(landscape, second(landscape)).product(block)
    ggn = ForwardOverReverse(landscape, gauss_newton(landscape)).product(block)
    close(engine.product(block), hessian - ggn)
    assert not engine.vectorised


def distances(h: Tensor) -> Tensor:
    return torch.cdist(h, torch.eye(3, dtype=DOUBLE))


BEGIN = r"product: expected operations with forward derivatives, but "
END = r"\. Replace it, or take engine='double-backward', or 'finite-differences' if there is no second derivative"
REFUSED = {
    "cdist": (distances, second, r"_cdist_forward has none in PyTorch \S+"),
    "cdist, ggn": (distances, gauss_newton, r"_cdist_forward has none in PyTorch \S+"),
    "own function": (
        Sine.apply,
        second,
        r"a torch\.autograd\.Function, of the model or of its gradient \w+, has no jvp",
    ),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_forward_derivative_is_named(name, count):
    function, form, who = REFUSED[name]
    model = between(function)
    landscape = tw.Landscape(model, CROSS, [(randn(5, 4), classes(5))])
    engine = ForwardOverReverse(landscape, form(landscape))
    with unchanged(model), pytest.raises(DifferentiationError, match=BEGIN + who + END):
        engine.product(landscape.space.randn(count=count))
    assert engine.vectorised, "a block is not to blame"


def test_what_has_no_second_derivative_is_named():
    """Forward, but not back: the general message."""

    class Once(Sine):
        @staticmethod
        def jvp(ctx: Any, tangent: Tensor) -> Tensor:
            raise RuntimeError("derivative for aten::some_backward is not implemented")

    model = between(Once.apply)
    landscape = tw.Landscape(model, CROSS, [(randn(5, 4), classes(5))])
    with pytest.raises(
        DifferentiationError, match=r"second derivatives, but derivative for aten::some_backward is not"
    ):
        ForwardOverReverse(landscape, second(landscape)).product(landscape.space.randn(count=1))


def test_running_out_of_memory_is_not_hidden(monkeypatch):
    def exhausted(*_: Any) -> None:
        raise torch.OutOfMemoryError("no memory is left")

    landscape = built("tanh")[0]
    engine = ForwardOverReverse(landscape, second(landscape))
    monkeypatch.setattr(module, "together", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        engine.product(landscape.space.randn(count=2))
    assert engine.vectorised


@pytest.mark.parametrize("error", [ValueError, RuntimeError])
@pytest.mark.parametrize("count", [1, 2])
def test_errors_of_the_model_are_its_own(error, count):
    failing = []

    def fail(h: Tensor) -> Tensor:
        if failing:
            raise error("the model stops here")
        return h

    model = between(fail)
    landscape = tw.Landscape(model, CROSS, [(randn(5, 4), classes(5))])
    engine = ForwardOverReverse(landscape, second(landscape))
    failing.append(True)
    with unchanged(model), pytest.raises(error, match="the model stops here"):
        engine.product(landscape.space.randn(count=count))


@pytest.mark.parametrize("chunk", [0, -1, True])
def test_bad_chunks(chunk):
    landscape = built("tanh")[0]
    with (
        unchecked(),
        pytest.raises(ArgumentError, match=rf"chunk: expected at least 1, or None for whole blocks, got {chunk}\."),
    ):
        ForwardOverReverse(landscape, second(landscape), chunk=chunk)


def test_its_name():
    assert ForwardOverReverse.name == "forward-over-reverse"
