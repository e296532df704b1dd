"""Second derivatives of PyTorch's operations: ours against double backward, finite differences and themselves."""

import threading

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import _get_current_function_mode_stack as mode_stack

import thalweg as tw
from tests.landscape.models import DOUBLE, randn
from tests.operators.engines.operations import OPERATIONS
from thalweg.operators._form import SecondDerivative
from thalweg.operators.engines._elementary import _by_own_kernels, elementary
from thalweg.operators.engines._forward_over_reverse import ForwardOverReverse

# PyTorch's own double backward is wrong, or there is none.
NO_TWIN = {"weight norm", "weight norm, last axis", "weight norm, parametrised", "hardsigmoid"}
# Their gradient is no gradient of the loss in the padding row, which it leaves out.
NO_GRADIENT = {"embedding, padding 0", "embedding, padding -1"}


class Operation(nn.Module):
    """A curved scalar of what an operation makes of parameters."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.function, shapes = OPERATIONS[name]
        tensors = [randn(*shape, seed=seed) for seed, shape in enumerate(shapes)]
        self.tensors = nn.ParameterList(tensors)
        with torch.no_grad():
            shape = self.function(*(tensor.clone() for tensor in tensors)).shape
            self.register_buffer("slopes", randn(*shape, seed=99) if shape else torch.ones((), dtype=DOUBLE))

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        outputs = self.function(*self.tensors)
        return (self.slopes * (outputs + 0.3 * outputs.square())).sum()


def close(found, expected, rtol: float) -> None:
    torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol * (1e-3 + float(expected.abs().max())))


def double_backward(model: Operation, vector: torch.Tensor) -> torch.Tensor:
    """PyTorch's own, nothing shared with the library."""
    parameters = list(model.parameters())
    with sdpa_kernel(SDPBackend.MATH):
        parts = torch.autograd.grad(model(torch.zeros(1)), parameters, create_graph=True)
        slope = torch.cat([part.flatten() for part in parts]) @ vector
        return torch.cat([part.flatten() for part in torch.autograd.grad(slope, parameters)])


@pytest.mark.parametrize("name", OPERATIONS)
def test_second_derivatives_are_right(name):
    """Against double backward where PyTorch's is right, always against differences; symmetric, alone and in a block."""
    model = Operation(name)
    objective = tw.objectives.from_function(lambda model, batch: model(batch), len)
    landscape = tw.Landscape(model, objective, [torch.zeros(1, dtype=DOUBLE)], check=False)
    engine = ForwardOverReverse(landscape, SecondDerivative(lambda p, batch: landscape.terms(p, batch).weighted_sum()))
    matrix = engine.product(torch.eye(landscape.size, dtype=DOUBLE))
    assert engine.vectorised
    close(matrix.mT, matrix, 1e-11)
    vector = landscape.space.randn()
    product = engine.product(vector[:, None])[:, 0]
    close(product, matrix @ vector, 1e-11)
    if name not in NO_TWIN:
        close(product, double_backward(model, vector), 1e-10)
    if name not in NO_GRADIENT:
        step, theta = 1e-5 / landscape.space.norm(vector), landscape.theta
        ends = [landscape.gradient(theta + sign * step * vector) for sign in (1, -1)]
        close(product, (ends[0] - ends[1]) / (2 * step), 1e-6)


VALUES = {
    "weight norm": lambda x: torch._weight_norm(x, x[:, :1]),
    "weight norm, last axis": lambda x: torch._weight_norm(x, x[:1], dim=1),
    "embedding": lambda x: functional.embedding(torch.tensor([0, 2, 2]), x),
    "embedding, padding": lambda x: functional.embedding(torch.tensor([0, 2, 2]), x, padding_idx=2),
    "embedding, module": lambda x: nn.Embedding.from_pretrained(x, padding_idx=0)(torch.tensor([[0, 1]])),
    "hard sigmoid": lambda x: functional.hardsigmoid(4 * x),
    "rrelu": functional.rrelu,
    "rrelu, slopes": lambda x: functional.rrelu(x, 0.2, 0.4),
    "huber": lambda x: functional.huber_loss(x, x.flip(0)),
    "huber, sum": lambda x: functional.huber_loss(x, x.flip(0), reduction="sum", delta=0.3),
    "huber, weights": lambda x: functional.huber_loss(x, x.flip(0), reduction="none", weight=x.abs()),
    "huber, weighted mean": lambda x: functional.huber_loss(x, x.flip(0), weight=x.abs()),
    "soft margin": lambda x: functional.soft_margin_loss(x, x.sign()),
    "soft margin, far": lambda x: functional.soft_margin_loss(100 * x, x.sign(), reduction="sum"),
    "soft margin, none": lambda x: functional.soft_margin_loss(x, x.sign(), reduction="none"),
    "attention": lambda x: functional.scaled_dot_product_attention(*[x[None]] * 3, is_causal=True),
    "batch norm": lambda x: functional.batch_norm(x, None, None, training=True),
    "instance norm": lambda x: functional.instance_norm(x[None]),
    "lstm": lambda x: nn.LSTM(4, 2, dtype=DOUBLE)(x)[1][1],
}


@pytest.mark.parametrize("name", VALUES)
def test_values_are_the_usual_ones(name):
    x = randn(3, 4)
    torch.manual_seed(0)
    expected = VALUES[name](x)
    torch.manual_seed(0)
    with elementary():
        torch.testing.assert_close(VALUES[name](x), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.filterwarnings("ignore:size_average and reduce args will be deprecated")
@pytest.mark.parametrize("old", [{"reduce": False}, {"size_average": False}, {"size_average": True}, {"reduce": True}])
def test_old_names_of_reductions(old):
    x = randn(3, 4)
    expected = functional.soft_margin_loss(x, x.sign(), **old)
    with elementary():
        torch.testing.assert_close(functional.soft_margin_loss(x, x.sign(), **old), expected)


@pytest.mark.parametrize("function", [functional.hardsigmoid, functional.rrelu])
def test_what_is_written_in_place_is_written_in_place(function):
    x = randn(3, 4)
    expected = function(x)
    with elementary():
        assert function(x, inplace=True) is x
    torch.testing.assert_close(x, expected, rtol=1e-12, atol=1e-14)


def test_random_slopes_stay_random():
    x = -torch.ones(100, dtype=DOUBLE)
    with elementary():
        assert functional.rrelu(x, training=True).unique().numel() > 50


@pytest.mark.parametrize("dtype", [DOUBLE, torch.bfloat16])
def test_running_statistics_are_updated_as_ever(dtype):
    states = []
    for inside in (False, True):
        norm = nn.BatchNorm1d(4)
        norm.to(DOUBLE) if dtype == DOUBLE else norm.float()
        if inside:
            with elementary():
                output = norm(randn(5, 4, dtype=dtype))
        else:
            output = norm(randn(5, 4, dtype=dtype))
        assert output.dtype == dtype
        states.append(norm.state_dict())
    torch.testing.assert_close(states[1], states[0])


def test_types_of_tangents_under_autocast():
    """In eval mode PyTorch's own rule gives bfloat16 values a tangent of the statistics' type, which fits nothing."""
    norm = nn.BatchNorm1d(4).eval()
    x = randn(5, 4, dtype=torch.bfloat16)
    with elementary():
        value, tangent = torch.func.jvp(norm, (x,), (x,))
    assert value.dtype == tangent.dtype == torch.bfloat16


def kernels() -> list[bool]:
    cuda = torch.backends.cuda
    fused = [cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled()]
    return [torch.backends.cudnn.enabled, torch.backends.mkldnn.enabled, *fused]


def fail() -> None:
    assert len(mode_stack()) == 1
    assert kernels()[2:] == [False, False, True]
    raise ZeroDivisionError


def test_everything_is_given_back():
    before = kernels()
    assert before[:2] == [True, True]
    with pytest.raises(ZeroDivisionError), elementary():
        fail()
    assert mode_stack() == []
    assert kernels() == before


def test_kernels_of_libraries_are_given_back():
    assert _by_own_kernels(kernels)()[:2] == [False, False]
    with pytest.raises(KeyError):
        _by_own_kernels({}.__getitem__)("nothing")
    assert kernels()[:2] == [True, True]


def test_other_threads_see_nothing_of_it():
    seen = []
    with elementary():
        thread = threading.Thread(target=lambda: seen.append(mode_stack()))
        thread.start()
        thread.join()
    assert seen == [[]]
