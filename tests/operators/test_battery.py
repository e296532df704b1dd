"""What every operator must do, on every case of the battery."""

import functools

import pytest
import torch

import thalweg as tw
from tests.landscape.snapshot import unchanged
from tests.operators.battery import CASES, ENGINES, MATRICES, MODELS, Case, operator, twin
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, MemoryBudgetError

# Items that act on one another are what some cases are about.
pytestmark = pytest.mark.filterwarnings("ignore::thalweg.errors.DependentItemsWarning")


@functools.cache
def built(name: str) -> Case:
    return CASES[name]()


@pytest.fixture(params=list(CASES))
def case(request) -> Case:
    return built(request.param)


def close(found, expected, rtol: float = 1e-10) -> None:
    torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol * (1e-3 + float(expected.abs().max())))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("matrix", MATRICES)
def test_equals_its_naive_twin(matrix, engine, model):
    close(operator(matrix, engine, model).dense(), twin(matrix, model))


def test_dense_is_dense(case):
    close(case.operator.dense(), case.matrix)
    close(tw.dense(case.operator), case.matrix)


def test_is_an_operator(case):
    operator, size = case.operator, len(case.matrix)
    assert isinstance(operator, tw.Operator)
    assert operator.shape == (size, size)
    assert operator.space.size == size
    assert (operator.dtype, operator.device) == (operator.space.dtype, operator.space.device)
    assert (operator.dtype, operator.device.type) == (torch.float64, "cpu")


def test_is_linear_and_symmetric(case, generator):
    operator = case.operator
    u, v = operator.space.randn(generator, 2).mT
    image_u, image_v = operator @ u, operator @ v
    close(operator @ (2 * u - 3 * v), 2 * image_u - 3 * image_v, rtol=1e-12)
    assert float(u @ image_v) == pytest.approx(float(v @ image_u), rel=1e-10, abs=1e-12)
    # Linear over 20 orders of magnitude, and zero of nothing.
    close(operator @ (1e-20 * u) * 1e20, image_u, rtol=1e-12)
    assert not (operator @ torch.zeros_like(u)).any()


def test_agrees_with_finite_differences(case):
    """The one oracle that does not differentiate twice; at the kinks of ReLU it need not agree, but here it does."""
    verification = tw.verify(case.operator)
    assert verification.passed, str(verification)
    assert verification.difference is None or verification.difference < 1e-6, str(verification)


def test_a_block_is_its_columns(case, generator):
    operator = case.operator
    block = operator.space.randn(generator, 4)
    product = operator @ block
    assert product.shape == block.shape
    assert product.mT.is_contiguous(), "each vector is contiguous"
    assert not product.requires_grad
    for column in range(4):
        close(product[:, column], operator @ block[:, column], rtol=1e-12)
    single = operator @ block[:, :1]
    assert single.shape == (len(block), 1)
    close(single[:, 0], product[:, 0], rtol=1e-12)


def test_any_layout_is_accepted(case, generator):
    operator = case.operator
    block = operator.space.randn(generator, 3)
    expected = operator @ block
    wide = torch.zeros(2 * len(block), 6, dtype=block.dtype)
    wide[::2, 1::2] = block
    layouts = {
        "by rows": block.contiguous(),
        "strided": wide[::2, 1::2],
        "flipped twice": block.flip(0).flip(0),
        "an expanded vector": block[:, :1].expand(-1, 3),
    }
    for name, other in layouts.items():
        wanted = expected[:, :1].expand(-1, 3) if name == "an expanded vector" else expected
        close(operator @ other, wanted, rtol=1e-12)
    close(operator @ wide[::2, 1], expected[:, 0], rtol=1e-12)


def test_vectors_and_model_are_left_alone(case, generator):
    block = case.operator.space.randn(generator, 2)
    copy = block.clone()
    if case.model is None:
        case.operator @ block
    else:
        with unchanged(case.model):
            case.operator @ block
            case.operator @ block[:, 0]
    assert torch.equal(block, copy)


def test_products_are_counted(case):
    operator = case.operator
    start = operator.matvecs
    vectors = operator.space.randn(count=3)
    operator @ vectors
    assert operator.matvecs == start + 3
    operator @ vectors[:, 0]
    assert operator.matvecs == start + 4
    with pytest.raises(ArgumentError):
        operator @ vectors[1:]
    assert operator.matvecs == start + 4
    operator.dense()
    assert operator.matvecs == start + 4 + operator.shape[0]


BAD_VECTORS = {
    "short": (
        lambda p: torch.zeros(p - 1, dtype=torch.float64),
        r"vectors: expected shape \({p},\) or \({p}, k\), got \({q},\)\.",
    ),
    "a row": (lambda p: torch.zeros(1, p, dtype=torch.float64), r"got \(1, {p}\)\."),
    "three axes": (lambda p: torch.zeros(p, 1, 1, dtype=torch.float64), r"got \({p}, 1, 1\)\."),
    "no columns": (lambda p: torch.zeros(p, 0, dtype=torch.float64), r"got \({p}, 0\)\."),
    "float32": (
        torch.zeros,
        r"vectors: expected torch\.float64 on cpu, got torch\.float32 on cpu\. Convert it with \.to\(",
    ),
    "integers": (
        lambda p: torch.zeros(p, dtype=torch.int64),
        r"expected torch\.float64 on cpu, got torch\.int64 on cpu",
    ),
    "another device": (lambda p: torch.zeros(p, dtype=torch.float64, device="meta"), r"got torch\.float64 on meta"),
    "list": (lambda p: [0.0] * p, r"vectors: expected shape \({p},\) or \({p}, k\), got list\."),
}


@pytest.mark.parametrize("name", BAD_VECTORS)
def test_wrong_vectors_are_named(case, name):
    make, message = BAD_VECTORS[name]
    size = case.operator.shape[0]
    message = message.replace("{p}", str(size)).replace("{q}", str(size - 1))
    with unchecked(), pytest.raises(ArgumentError, match=message):
        case.operator @ make(size)


def test_a_dense_matrix_that_would_not_fit_says_what_it_would_take(case):
    size = case.operator.shape[0]
    start = case.operator.matvecs
    message = rf"limit: expected at most 3 parameters for a dense matrix, got {size}, which would take {size} products"
    with pytest.raises(MemoryBudgetError, match=message):
        case.operator.dense(limit=3)
    assert case.operator.matvecs == start
    assert case.operator.dense(limit=size).shape == (size, size)
