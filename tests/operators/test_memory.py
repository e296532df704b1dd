"""Memory: what is estimated, what is chosen from it, and what happens when it runs out all the same."""

import warnings

import pytest
import torch

import thalweg as tw
from tests.landscape.models import Counting, classes, cnn, mlp, randn
from tests.unchecked import unchecked
from thalweg.errors import MemoryBudgetError, MemoryBudgetWarning
from thalweg.memory import ran_out

CROSS = tw.objectives.cross_entropy()
MAKERS = {"hessian": tw.hessian, "ggn": tw.ggn, "gradient covariance": tw.gradient_covariance}


def data(n: int = 32, batch: int = 16):
    return list(zip(randn(n, 4).split(batch), classes(n).split(batch), strict=True))


def needed(make, landscape) -> int:
    """What one sample needs, as the refusal says it."""
    with pytest.raises(MemoryBudgetError) as caught:
        make(landscape, memory=1) @ landscape.space.randn()
    return int(str(caught.value).split("about ")[1].split(" bytes")[0].replace(",", ""))


@pytest.mark.parametrize("name", MAKERS)
def test_a_budget_below_one_sample_says_what_one_needs(name):
    make, landscape = MAKERS[name], tw.Landscape(mlp(), CROSS, data())
    need = needed(make, landscape)
    with pytest.raises(MemoryBudgetError, match=rf"about {need:,} bytes, got {need - 1:,}\. Raise it, or select fewer"):
        make(landscape, memory=need - 1) @ landscape.space.randn()
    assert make(landscape, memory=need) @ landscape.space.randn() is not None


@pytest.mark.parametrize("name", MAKERS)
def test_micro_batches_are_cut_to_the_budget(name):
    make, landscape = MAKERS[name], tw.Landscape(mlp(), CROSS, data())
    v = landscape.space.randn(count=2)
    expected = make(landscape) @ v
    need, sizes = needed(make, landscape), []
    for budget in (need, 3 * need // 2, 2 * need, 3 * need, 1000 * need):
        op = make(landscape, memory=budget)
        torch.testing.assert_close(op @ v, expected, rtol=1e-12, atol=1e-14)
        sizes.append(op.microbatch or 16)
        assert op.provenance.microbatch == op.microbatch
    assert sizes == sorted(sizes)
    assert sizes[0] == 1
    assert 1 < sizes[2] < 16
    assert sizes[-1] == 16


def test_a_batch_that_cannot_be_cut_says_what_it_needs():
    batches = list(zip(randn(8, 1, 6, 6).split(4), classes(8).split(4), strict=True))
    landscape = tw.Landscape(cnn(), CROSS, batches, mode="train")
    with pytest.raises(MemoryBudgetError, match="room for the graph of the batch, whose 4 samples are one"):
        tw.hessian(landscape, memory=1000) @ landscape.space.randn()


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("can't allocate memory")]
)
@pytest.mark.parametrize("call", range(1, 9))
@pytest.mark.parametrize("keep", [True, False])
def test_running_out_halves_the_micro_batch_and_goes_on(call, keep, error):
    """The model fails at the n-th pass of the products, wherever that is."""
    landscape = tw.Landscape(mlp(), CROSS, data())
    v = landscape.space.randn(count=2)
    expected = tw.hessian(landscape, engine="double-backward") @ v
    counting = Counting(mlp(), error=lambda _: error)
    op = tw.hessian(tw.Landscape(counting, CROSS, data()), engine="double-backward", keep=keep)
    counting.seen[0], counting.fail_at = 0, call
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(3):
            torch.testing.assert_close(op @ v, expected, rtol=1e-12, atol=1e-14)
    ran = counting.seen[0] >= call
    assert [w.category for w in said] == [MemoryBudgetWarning] * ran
    assert op.microbatch == (8 if ran else None)
    assert ran or keep
    if ran:
        assert "products go on with 8 samples a pass" in str(said[0].message)


class Fits(torch.nn.Module):
    """Runs out of memory above a number of samples, once that is set."""

    def __init__(self):
        super().__init__()
        self.body = mlp()
        self.limit = 100

    def forward(self, x):
        if len(x) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.body(x)


def test_it_is_said_once_and_halved_as_often_as_need_be():
    model = Fits()
    landscape = tw.Landscape(model, CROSS, data())
    expected = tw.hessian(landscape) @ landscape.theta
    model.limit = 3
    op = tw.hessian(landscape)
    with pytest.warns(MemoryBudgetWarning) as said:
        found = op @ landscape.theta
    assert len(said) == 1
    assert op.microbatch == 2
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    model.limit = 0
    refused = pytest.raises(MemoryBudgetError, match="ran out of it on cpu in a pass that cannot be cut further")
    with pytest.warns(MemoryBudgetWarning), refused:
        tw.hessian(landscape) @ landscape.theta


def test_other_errors_are_the_users():
    counting = Counting(mlp(), error=RuntimeError)
    landscape = tw.Landscape(counting, CROSS, data())
    counting.seen[0], counting.fail_at = 0, 3
    with pytest.raises(RuntimeError, match="the model stops here"):
        tw.hessian(landscape) @ landscape.theta
    assert not ran_out(RuntimeError("shapes do not match"))
    assert not ran_out(MemoryError())


def test_graphs_are_kept_as_far_as_the_budget_goes():
    landscape = tw.Landscape(mlp(), CROSS, data(batch=2))
    need, kept = needed(tw.hessian, landscape), []
    for budget in (need, 2 * need, 3 * need, 1000 * need):
        op = tw.hessian(landscape, engine="double-backward", memory=budget)
        op @ landscape.theta
        kept.append(op._engines["double-backward"].kept)
    assert kept == sorted(kept)
    assert kept[0] == 0
    assert 0 < kept[1] < 16
    assert kept[-1] == 16


def test_bad_budgets():
    landscape = tw.Landscape(mlp(), CROSS, data())
    with (
        unchecked(),
        pytest.raises(tw.errors.ArgumentError, match=r"memory: expected 'auto' or a number of bytes, got 1\.5"),
    ):
        tw.ggn(landscape, memory=1.5)


@pytest.mark.parametrize(
    "make", [tw.hessian, tw.ggn, tw.residual, tw.gradient_covariance, lambda L: tw.fisher(L, "empirical")]
)
def test_every_matrix_goes_on(make):
    """The mean gradient of Σ, too."""
    model = Fits()
    landscape = tw.Landscape(model, CROSS, data())
    expected = make(landscape) @ landscape.theta
    model.limit = 3
    with pytest.warns(MemoryBudgetWarning):
        found = make(landscape) @ landscape.theta
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_targets_are_drawn_in_what_fits():
    model = Fits()
    landscape = tw.Landscape(model, CROSS, data())
    model.limit = 3
    op = tw.fisher(landscape, "monte-carlo", draws=2)
    with pytest.warns(MemoryBudgetWarning):
        found = op @ landscape.theta
    torch.testing.assert_close(op @ landscape.theta, found, rtol=1e-12, atol=1e-14)
    assert [len(drawn) for _, drawn in op.landscape.data] == [16, 16]


def test_the_mean_gradient_keeps_to_the_budget():
    seen = []
    counting = Counting(mlp())
    counting.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    landscape = tw.Landscape(counting, CROSS, data())
    op = tw.gradient_covariance(landscape, memory=2 * needed(tw.gradient_covariance, landscape))
    seen.clear()
    op @ landscape.theta
    assert op.microbatch < 16
    assert max(seen) == op.microbatch


def test_finite_differences_take_no_budget():
    with pytest.raises(tw.errors.ArgumentError, match="memory: expected 'auto' with engine='finite-differences'"):
        tw.hessian(tw.Landscape(mlp(), CROSS, data()), engine="finite-differences", memory=10**6)


class Crowded(torch.nn.Module):
    """Where no more than one sample fits, as with long contexts."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training is False and len(x) > 1 and torch.is_grad_enabled() and self.crowded:
            raise torch.OutOfMemoryError("full")
        return self.body(x)

    crowded = False


def test_a_single_sample_that_fits_is_enough():
    model = Crowded()
    landscape = tw.Landscape(model, CROSS, data(8, 8))
    v = landscape.space.randn()
    expected = tw.hessian(landscape, engine="double-backward") @ v
    model.crowded = True
    operator = tw.hessian(landscape, engine="double-backward")
    with pytest.warns(MemoryBudgetWarning, match="Memory ran out: products go on with"):
        found = operator @ v
    assert operator.microbatch == 1
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


class Paired(torch.nn.Module):
    """A model that is written for batches of a certain size."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 3, dtype=torch.float64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.view(4, 2, 4).tanh()).reshape(8, 3)


def test_a_model_that_cannot_run_one_sample_is_taken_whole():
    landscape = tw.Landscape(Paired(), CROSS, data(8, 8))
    v = landscape.space.randn()
    for make in MAKERS.values():
        operator = make(landscape)
        product = operator @ v
        assert operator.microbatch is None
        assert tw.verify(operator).passed
        assert float(product @ v) > 0
    with pytest.raises(MemoryBudgetError, match="room for the graph of the batch, whose 8 samples are one"):
        tw.hessian(landscape, memory=1000) @ v


def test_a_plan_says_beforehand_what_will_be_done():
    landscape = tw.Landscape(mlp(), CROSS, data())
    need = needed(tw.hessian, landscape)
    for budget, expected in ((2 * need, None), (1000 * need, 16)):
        operator = tw.hessian(landscape, memory=budget, engine="double-backward")
        plan = operator.memory_plan()
        assert operator.matvecs == 0
        assert plan.peak <= budget
        operator @ landscape.space.randn()
        assert operator.microbatch == plan.microbatch
        assert (plan.microbatch is None) == (expected == 16)
        if expected is None:
            assert str(plan).startswith(f"passes of {plan.microbatch} samples, 0 MB of ")
        else:
            assert str(plan).startswith("whole batches, ")
    assert tw.hessian(landscape, engine="finite-differences").memory_plan() is None
    with pytest.raises(MemoryBudgetError):
        tw.hessian(landscape, memory=1).memory_plan()
