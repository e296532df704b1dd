"""How the Hessian's products are computed: kept graphs, rebuilt graphs, attention kernels, memory."""

import gc
import weakref

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import Attention, Counting, classes, cnn, mlp, randn, scrambled
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.memory import free_bytes
from thalweg.operators._form import SecondDerivative
from thalweg.operators.engines import DoubleBackward
from thalweg.operators.engines._elementary import elementary
from thalweg.operators.engines._graphs import linearise
from thalweg.operators.engines._memory import held_bytes

CROSS = tw.objectives.cross_entropy()


def data(shape=(4,), n: int = 9, batch: int = 2):
    return list(zip(randn(n, *shape).split(batch), classes(n).split(batch), strict=True))


def form_of(landscape: tw.Landscape) -> SecondDerivative:
    return SecondDerivative(lambda leaves, batch: landscape.terms(leaves, batch).weighted_sum())


def one_graph(landscape: tw.Landscape) -> int:
    """Bytes that the first graph holds."""
    with landscape.reading(), elementary(), held_bytes(landscape) as held:
        linearise(form_of(landscape), landscape, next(landscape.batches())[1])
    return held.total


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_memory_changes_how_and_not_what(mode):
    landscape = tw.Landscape(cnn(), CROSS, data((1, 6, 6)), mode=mode)
    graph = one_graph(landscape)
    vectors = landscape.space.randn(count=3)
    expected = tw.hessian(landscape, engine="double-backward") @ vectors
    kept = {}
    for memory in (0, 1, graph, 3 * graph, 10**9):
        engine = DoubleBackward(landscape, form_of(landscape), room=memory)
        for _ in range(3):  # the first product builds, later ones reuse
            assert torch.equal(engine.product(vectors), expected)
        kept[memory] = engine.kept
    assert kept[0] == kept[1] == 0
    assert 1 <= kept[graph] <= kept[3 * graph] < 5
    assert kept[10**9] == 5


@pytest.mark.parametrize(("memory", "later"), [(10**9, 0), (0, 5), ("some", None)])
def test_graphs_that_are_kept_are_not_rebuilt(memory, later):
    counting = Counting(mlp())
    landscape = tw.Landscape(counting, CROSS, data())
    if memory == "some":
        memory = 2 * one_graph(landscape)
    engine = DoubleBackward(landscape, form_of(landscape), room=memory)
    block = landscape.space.randn(count=4)
    counting.seen[0] = 0
    engine.product(block)
    assert counting.seen[0] == 5, "every graph is built once for a whole block"
    counting.seen[0] = 0
    engine.product(block)
    engine.product(block[:, :1])
    rebuilt = 5 - engine.kept
    assert counting.seen[0] == 2 * rebuilt
    assert later is None or rebuilt == later
    if later is None:
        assert 0 < engine.kept < 5


def test_micro_batches_bound_what_a_pass_holds():
    sizes = []
    counting = Counting(mlp())
    counting.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
    landscape = tw.Landscape(counting, CROSS, data(batch=9), microbatch=4)
    op = tw.hessian(landscape, engine="double-backward", keep=False)
    op @ landscape.space.randn()
    sizes.clear()
    op @ landscape.space.randn(count=2)
    assert sizes == [4, 4, 1]


def test_the_operator_stays_at_its_point():
    model = mlp()
    landscape = tw.Landscape(model, CROSS, data())
    kept, rebuilt = (tw.hessian(landscape, engine="double-backward", keep=keep) for keep in (True, False))
    v = landscape.space.randn()
    expected = kept @ v
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    assert torch.equal(kept @ v, expected)
    assert torch.equal(rebuilt @ v, expected)


def test_the_product_is_taken_at_the_weights_and_not_at_the_vector():
    """HessFormer's mistake: the Hessian at θ = v. Then H(θ)v would not be linear in v."""
    landscape = tw.Landscape(mlp(), CROSS, data())
    v = landscape.space.randn()
    right, wrong = tw.hessian(landscape) @ v, tw.hessian(landscape.at(v)) @ v
    h = 1e-5
    theta = landscape.theta
    difference = (landscape.gradient(theta + h * v) - landscape.gradient(theta - h * v)) / (2 * h)
    torch.testing.assert_close(right, difference, rtol=1e-6, atol=1e-8)
    assert float((wrong - right).norm()) > 0.1 * float(right.norm())


def test_attention_flags_are_given_back():
    """The math kernel alone has a second derivative; a caller's own choice survives the product."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    landscape = tw.Landscape(scrambled(Attention().double()), CROSS, data((5, 4)))
    v = landscape.space.randn()
    expected = tw.hessian(landscape) @ v
    flags = (
        torch.backends.cuda.flash_sdp_enabled,
        torch.backends.cuda.mem_efficient_sdp_enabled,
        torch.backends.cuda.math_sdp_enabled,
    )
    before = [flag() for flag in flags]
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        inside = [flag() for flag in flags]
        assert inside == [True, False, False]
        assert torch.equal(tw.hessian(landscape) @ v, expected)
        again = tw.hessian(landscape, engine="double-backward", keep=False) @ v
        torch.testing.assert_close(again, expected, rtol=1e-12, atol=1e-14)
        assert [flag() for flag in flags] == inside
    assert [flag() for flag in flags] == before


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("make", [tw.hessian, tw.ggn, tw.gradient_covariance])
def test_memory_is_given_back_with_the_operator(make, keep):
    """Graphs that reference themselves would never be freed (a warning of PyTorch's, and a leak of a peer's)."""
    landscape = tw.Landscape(mlp(), CROSS, data())
    op = make(landscape, engine="double-backward", keep=keep)
    op @ landscape.space.randn(count=2)
    engine = op._engines["double-backward"]
    # The leaves themselves, which live as long as a graph that leads to them.
    graphs = [weakref.ref(edge.node.variable) for graph in engine._kept for edge in graph._pull._inputs]
    assert bool(graphs) == keep
    gc.collect()
    assert all(graph() is not None for graph in graphs)
    del op, engine
    gc.collect()
    assert all(graph() is None for graph in graphs)


def test_free_memory_is_a_number_of_bytes():
    assert free_bytes(torch.device("cpu")) > 1 << 20


def test_held_bytes_count_a_storage_once_and_not_what_was_there():
    landscape = tw.Landscape(mlp(), CROSS, data())
    x = torch.ones(1000, dtype=torch.float64, requires_grad=True)
    with held_bytes(landscape) as held:
        y = x * x  # saves x twice
        y = y + y  # saves nothing
    assert held.total == 8000
    with held_bytes(landscape) as held:
        (y.exp() * 1.0).sum()
    assert held.total == 8000
    with held_bytes(landscape) as held:
        [leaf.exp() * leaf for leaf in landscape.leaves()]
    assert held.total == 8 * 43, "the exponentials, and not the parameters"


def test_precision_of_single_precision_products():
    exact = tw.Landscape(mlp(), CROSS, data())
    single = tw.Landscape(mlp().float(), CROSS, [(x.float(), y) for x, y in data()])
    v = exact.space.randn()
    # Products are as precise for a long vector as for a unit one.
    for scale in (1e-3, 1.0, 1e6):
        found = (tw.hessian(single) @ (scale * v).float()).double() / scale
        expected = tw.hessian(exact) @ v
        assert float((found - expected).norm() / expected.norm()) < 1e-5


def test_provenance_and_words():
    landscape = tw.Landscape(mlp(), CROSS, data(), microbatch=2)
    op = tw.hessian(landscape, engine="double-backward")
    source = op.provenance
    assert (source.engine, source.microbatch, source.samples) == ("double-backward", 2, 9)
    assert (source.dtype, source.device, source.threads) == ("float64", "cpu", torch.get_num_threads())
    assert op.engine == "double-backward"
    assert op.landscape is landscape
    assert repr(op) == (
        "hessian of Landscape(Sequential, cross_entropy, 43 parameters, 9 samples, mode='eval'), double-backward"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "backward"}, r"engine: expected one of 'auto', 'double-backward', .*, got 'backward'\."),
        ({"memory": -1}, r"memory: expected 'auto' or a number of bytes, got -1\."),
        ({"memory": "all"}, r"memory: expected 'auto' or a number of bytes, got 'all'\."),
        ({"memory": True}, r"memory: expected 'auto' or a number of bytes, got True\."),
    ],
)
def test_bad_options(options, message):
    landscape = tw.Landscape(mlp(), CROSS, data())
    with unchecked(), pytest.raises(ArgumentError, match=message):
        tw.hessian(landscape, **options)


def test_vectors_that_are_not_finite_are_noticed():
    op = tw.hessian(tw.Landscape(mlp(), CROSS, data()))
    with pytest.raises(tw.errors.NonFiniteError, match=r"got a non-finite one in product 1 of this operator\."):
        op @ torch.full((43,), 1e308, dtype=torch.float64)
    with pytest.raises(tw.errors.ArgumentError, match="vectors: expected finite entries"):
        op @ torch.full((43,), torch.nan, dtype=torch.float64)


def test_the_kinks_of_relu_have_no_curvature():
    """The almost-everywhere Hessian of a piecewise linear network in its first layer is that of the outputs alone."""
    model = scrambled(nn.Sequential(nn.Linear(1, 1), nn.ReLU()).double())
    objective = tw.objectives.from_function(lambda model, batch: model(batch).mean(), len)
    landscape = tw.Landscape(model, objective, [torch.linspace(-3, 3, 50, dtype=torch.float64)[:, None]])
    assert not tw.hessian(landscape).dense().any()
