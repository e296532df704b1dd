"""Operations that cannot be differentiated as asked, types that have no kernel, and lower precision inside."""

import warnings

import pytest
import torch
from torch import Tensor, nn

import thalweg as tw
from tests.landscape.models import classes, mlp, randn, scrambled
from thalweg.errors import ArgumentError, DeterminismError, DifferentiationError
from thalweg.operators.engines._explained import explained

CROSS = tw.objectives.cross_entropy()


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient * ctx.saved_tensors[0].cos()


class Through(nn.Module):
    def __init__(self, operation):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.operation = operation

    def forward(self, x):
        return self.operation(self.linear(x))


def through(operation) -> tw.Landscape:
    return tw.Landscape(scrambled(Through(operation).double()), CROSS, [(randn(6, 4), classes(6))])


@pytest.mark.parametrize("make", [tw.hessian, tw.ggn, tw.gradient_covariance])
def test_a_function_that_refuses_is_named(make):
    """Autograd returns zeros here without a word: the way through the function is pruned."""
    landscape = through(Once.apply)
    message = "expected operations with second derivatives, but Once can be differentiated once only"
    for engine in ("auto", "double-backward"):
        with pytest.raises(DifferentiationError, match=message):
            make(landscape, engine=engine) @ landscape.theta
    # And differences of gradients work, with their error.
    exact = tw.hessian(through(torch.sin)) @ landscape.theta
    differences = tw.hessian(landscape, engine="finite-differences")
    assert differences.error is None
    found = differences @ landscape.theta
    assert float((found - exact).norm() / exact.norm()) <= differences.error < 1e-6


class Opaque(torch.autograd.Function):
    """Its backward pass computes with numbers, as fused kernels do."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        with torch.no_grad():
            return gradient * ctx.saved_tensors[0].cos()


class Written(torch.autograd.Function):
    """As it should be, with a mask that has no derivative."""

    @staticmethod
    def forward(ctx, x: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(x, mask)
        return mask * x.sin()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, mask = ctx.saved_tensors
        return gradient * mask * x.cos(), torch.zeros_like(mask)


@pytest.mark.parametrize("engine", ["auto", "double-backward", "forward-over-reverse"])
@pytest.mark.parametrize("make", [tw.hessian, tw.ggn, tw.gradient_covariance, tw.fisher])
def test_a_backward_pass_without_a_graph_is_named(make, engine):
    """Autograd takes its result for a constant without a word, and G, Σ and F are as wrong as H."""
    landscape = through(Opaque.apply)
    message = "second derivatives, but the backward pass of Opaque returns numbers without a graph"
    with pytest.raises(DifferentiationError, match=message):
        make(landscape, engine=engine) @ landscape.theta


@pytest.mark.parametrize("make", [tw.hessian, tw.ggn, tw.gradient_covariance])
def test_a_function_that_is_differentiable_is_not_refused(make):
    mask = torch.ones(3, dtype=torch.float64, requires_grad=True)
    found, expected = (through(f) for f in (lambda x: Written.apply(x, mask), torch.sin))
    v = found.space.randn()
    torch.testing.assert_close(make(found) @ v, make(expected) @ v, rtol=1e-12, atol=1e-14)


class Asking(torch.autograd.Function):
    """Its backward pass looks at numbers, which vectorised derivatives cannot."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        if gradient.isnan().any():
            raise ValueError("no number")
        return gradient * ctx.saved_tensors[0].cos()


@pytest.mark.parametrize("make", [tw.hessian, tw.ggn])
def test_auto_goes_without_what_cannot_be_vectorised(make):
    found, expected = through(Asking.apply), through(torch.sin)
    block = found.space.randn(count=3)
    operator = make(found)
    torch.testing.assert_close(operator @ block, make(expected) @ block, rtol=1e-12, atol=1e-14)
    assert "double-backward, batched failed (RuntimeError" in operator.engine


@pytest.mark.parametrize("make", [tw.hessian, tw.ggn, tw.gradient_covariance])
@pytest.mark.parametrize("keep", [True, False])
def test_the_callers_autocast_rests(make, keep):
    landscape = tw.Landscape(mlp(nn.ReLU).float(), CROSS, [(randn(6, 4).float(), classes(6))])
    v = landscape.space.randn()
    expected, gradient = make(landscape, engine="double-backward") @ v, landscape.gradient()
    operator = make(landscape, engine="double-backward", keep=keep)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(3):
            assert torch.equal(operator @ v, expected)
        assert torch.equal(landscape.gradient(), gradient)
        assert torch.is_autocast_enabled("cpu")


def test_compiled_and_scripted_models_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.trace(mlp(), randn(6, 4))
    with pytest.raises(ArgumentError, match="expected a module in Python, got TopLevelTracedModule"):
        tw.Landscape(scripted, CROSS, [(randn(6, 4), classes(6))])
    for message in ("compiled with non-empty donated buffers", "aot_autograd does not currently support"):
        found = explained(RuntimeError(f"torch.compile with {message} double backward"))
        assert isinstance(found, DifferentiationError)
        assert "a compiled model has none: measure the module that was compiled" in str(found)


@pytest.mark.parametrize(
    ("operation", "who"),
    [
        (lambda x: torch.fft.rfft(x.sin(), n=4).real, "one has no kernel for BFloat16"),
        (torch.special.i0, "i1_backward has no kernel for BFloat16|i0_backward has no kernel"),
    ],
)
def test_a_type_that_has_no_kernel_is_named(operation, who):
    model = Through(operation).double()
    data = [(randn(6, 4), classes(6))]
    with pytest.raises(ArgumentError, match=f"dtype: expected one that every operation of the model has, but {who}"):
        tw.hessian(tw.Landscape(model, CROSS, data, dtype=torch.bfloat16)) @ torch.ones(15, dtype=torch.bfloat16)


def test_a_missing_second_derivative_is_named():
    landscape = through(lambda x: -torch.cdist(x, torch.eye(3, dtype=x.dtype)))
    with pytest.raises(DifferentiationError, match=r"second derivatives, but .*_cdist_backward.* is not implemented"):
        tw.hessian(landscape) @ landscape.theta


def test_kernels_that_do_not_repeat_are_named():
    """What torch.use_deterministic_algorithms refuses in the backward of the backward pass."""

    def operation(x):
        class Refusing(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x.clone()

            @staticmethod
            def backward(ctx, gradient):
                return Inner.apply(gradient)

        class Inner(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x.clone()

            @staticmethod
            def backward(ctx, gradient):
                raise RuntimeError("put_ does not have a deterministic implementation, but you set ...")

        return Refusing.apply(x)

    landscape = through(operation)
    with pytest.raises(
        DeterminismError, match=r"model: expected kernels that repeat themselves.*but put_ does not have"
    ):
        tw.hessian(landscape) @ landscape.theta


def test_kernels_that_do_not_repeat_are_named_in_the_forward_pass_too():
    class Unpooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4, dtype=torch.float64)

        def forward(self, x: Tensor) -> Tensor:
            pooled, where = nn.functional.max_pool2d(self.linear(x).view(-1, 1, 2, 2), 2, return_indices=True)
            return nn.functional.max_unpool2d(pooled, where, 2).flatten(1)

    torch.use_deterministic_algorithms(True)
    try:
        with pytest.raises(DeterminismError, match=r"model: expected kernels that repeat themselves.*max_unpool"):
            tw.Landscape(Unpooled(), CROSS, [(randn(6, 4), classes(6))])
    finally:
        torch.use_deterministic_algorithms(False)
    assert tw.hessian(tw.Landscape(Unpooled(), CROSS, [(randn(6, 4), classes(6))])) @ randn(20) is not None


def test_a_kernel_that_does_not_repeat_is_found_in_the_trial():
    class Random(torch.autograd.Function):
        """Its second derivative is random."""

        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return Inner.apply(gradient)

    source = torch.Generator().manual_seed(0)

    class Inner(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * torch.rand((), generator=source, dtype=gradient.dtype)

    landscape = through(Random.apply)
    with pytest.raises(DeterminismError, match="two by double-backward differ by more than rounding"):
        tw.hessian(landscape) @ landscape.space.randn(count=2)


def test_a_type_without_kernels_is_named():
    # No linear algebra has kernels for half precision on the processor.
    model = Through(lambda x: torch.linalg.inv(x[:3, :3] + 9 * torch.eye(3, dtype=x.dtype)) + x[:3]).half()
    with pytest.raises(
        ArgumentError, match=r"dtype: expected one that every operation .*, but linalg.inv has no kernel for Half"
    ):
        tw.Landscape(model, CROSS, [(torch.randn(3, 4).half(), classes(3))])


@pytest.mark.parametrize("make", [tw.hessian, tw.ggn, tw.gradient_covariance])
@pytest.mark.parametrize("engine", ["double-backward", "forward-over-reverse"])
def test_autocast_computes_in_bfloat16_and_keeps_vectors(make, engine):
    """What it costs in accuracy: about the unit roundoff of bfloat16, 0.004, a few times over."""
    model, batch = mlp().float(), (randn(64, 4).float(), classes(64))
    exact = tw.Landscape(model, CROSS, [batch])
    low = tw.Landscape(model, CROSS, [batch], autocast=torch.bfloat16)
    assert low.theta.dtype == torch.float32
    v = exact.space.randn()
    expected = make(exact, engine=engine) @ v
    for keep in (True, False):
        op = make(low, engine=engine, keep=keep)
        found = op @ v
        assert found.dtype == torch.float32
        assert 1e-5 < float((found - expected).norm() / expected.norm()) < 0.03
        # The same matrix again, and a symmetric one to the same precision.
        torch.testing.assert_close(op @ v, found, rtol=0, atol=0)


def test_autocast_is_checked():
    with pytest.raises(
        ArgumentError, match=r"autocast: expected torch\.bfloat16, torch\.float16 or None, got torch\.float64"
    ):
        tw.Landscape(mlp(), CROSS, [(randn(6, 4), classes(6))], autocast=torch.float64)
