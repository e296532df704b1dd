"""Threads, copies, and models whose parts are not where one looks for them."""

import copy
import dataclasses
import threading

import pytest
import torch
from torch import Tensor, nn

import thalweg as tw
from tests.landscape.models import DOUBLE, classes, mlp, randn, tokens
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, DataError

CROSS = tw.objectives.cross_entropy()
DATA = [(randn(6, 4), classes(6))]


def test_threads_take_turns_with_a_model():
    """Swapped tensors are everybody's: two landscapes of one model, each measured in a thread of its own."""
    model = mlp()
    own = dict(model.named_parameters())
    landscapes = [tw.Landscape(model, CROSS, DATA), tw.Landscape(model, CROSS, DATA).at(randn(43, seed=5))]
    v = landscapes[0].space.randn()
    expected = [tw.hessian(each, engine="double-backward") @ v for each in landscapes]
    found: dict[int, Tensor] = {}
    started = threading.Barrier(2)

    def work(place: int) -> None:
        started.wait()
        operator = tw.hessian(landscapes[place], engine="double-backward", keep=False)
        products = [operator @ v for _ in range(30)]
        gradients = [landscapes[place].gradient() for _ in range(30)]
        assert all(torch.equal(product, products[0]) for product in products)
        assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)
        found[place] = products[0]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.testing.assert_close([found[0], found[1]], expected, rtol=1e-13, atol=1e-15)
    assert all(parameter is own[name] for name, parameter in model.named_parameters())
    assert all(isinstance(parameter, nn.Parameter) for parameter in model.parameters())


def test_an_operator_can_be_copied():
    operator = tw.hessian(tw.Landscape(mlp(), CROSS, DATA))
    v = operator.space.randn(count=2)
    expected = operator @ v
    copied = copy.deepcopy(operator)
    assert torch.equal(copied @ v, expected)
    assert torch.equal(operator @ v, expected)
    assert copied.matvecs == 4


class Reading(nn.Module):
    """Reads a parameter through a list, too."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3, dtype=DOUBLE)
        self.kept = [self.linear.weight]

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + x @ self.kept[0].mT.square()


def test_a_parameter_that_is_read_elsewhere_is_named():
    message = (
        r"model: expected parameters that are read as attributes of their modules, but linear\.weight is also read"
    )
    with pytest.raises(ArgumentError, match=message):
        tw.Landscape(Reading(), CROSS, DATA)


class Tokens(nn.Module):
    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 4, dtype=DOUBLE, **options)
        self.linear = nn.Linear(4, 3, dtype=DOUBLE)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.table(x).tanh().mean(1))


def test_sparse_gradients_are_dense_ones():
    sparse, dense = Tokens(sparse=True), Tokens()
    sparse.load_state_dict(dense.state_dict())
    data = [(tokens(5), classes(5))]
    found, expected = (tw.Landscape(model, CROSS, data) for model in (sparse, dense))
    assert torch.equal(found.gradient(), expected.gradient())
    v = found.space.randn(count=2)
    for make in (tw.hessian, tw.ggn, tw.gradient_covariance):
        for engine in ("double-backward", "forward-over-reverse"):
            pair = [make(each, engine=engine) @ v for each in (found, expected)]
            torch.testing.assert_close(*pair, rtol=1e-13, atol=1e-15)


def test_gradients_that_are_scaled_are_refused():
    message = r"model: expected gradients of the loss, but table divides its own by how often an index occurs"
    with pytest.raises(ArgumentError, match=message):
        tw.Landscape(Tokens(scale_grad_by_freq=True), CROSS, [(tokens(5), classes(5))])


def paired() -> tw.objectives.Objective:
    """Every two rows are one data item."""
    return dataclasses.replace(CROSS, name="pairs", sample_of=lambda batch: torch.arange(len(batch[1])) // 2)


def test_batches_are_not_cut_through_data_items():
    data = [(randn(6, 4), classes(6)), (randn(4, 4, seed=2), classes(4))]
    landscape = tw.Landscape(mlp(), paired(), data)
    assert landscape.count == 5
    gram = tw.gradient_gram(landscape)
    assert gram.shape == (5, 5)
    covariance = tw.gradient_covariance(landscape).dense()
    torch.testing.assert_close(gram.trace(), covariance.trace())
    rows = [tw.Landscape(mlp(), CROSS, [(x[i : i + 2], y[i : i + 2])]) for x, y in data for i in range(0, len(y), 2)]
    gradients = torch.stack([row.gradient() for row in rows])
    torch.testing.assert_close(covariance, torch.cov(gradients.mT, correction=0), rtol=1e-11, atol=1e-13)
    with pytest.raises(DataError, match="microbatch: expected None, since sample_of of pairs puts several rows"):
        tw.Landscape(mlp(), paired(), data, microbatch=3)


@pytest.mark.parametrize("params", [3, [3], [nn.Linear(1, 1).weight], nn.Linear(1, 1)])
def test_selections_of_other_kinds_are_refused(params):
    with (
        unchecked(),
        pytest.raises(ArgumentError, match="params: expected a name, a shell pattern, a sequence of these"),
    ):
        tw.Landscape(mlp(), CROSS, DATA, params=params)


def test_what_is_no_operator_and_no_vector():
    with unchecked(), pytest.raises(ArgumentError, match="operator: expected"):
        tw.verify(mlp())
    with unchecked(), pytest.raises(ArgumentError, match="f: expected a function that multiplies a vector, got Tensor"):
        tw.FunctionOperator(torch.eye(3), 3)
    operator = tw.hessian(tw.Landscape(mlp(), CROSS, DATA))
    with unchecked(), pytest.raises(ArgumentError, match=r"vectors: expected shape .*, dense, got torch\.sparse_coo"):
        operator @ operator.space.randn().to_sparse()
