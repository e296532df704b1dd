"""Critical points against closed forms, prescribed inertia, dense eigenvalues and SciPy's root finder."""

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.formula import formula, quadratic
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.measures import critical_point

DOUBLE = torch.float64


def double_well(t: torch.Tensor) -> torch.Tensor:
    """Minima at (±1, 0), a saddle at (0, 1)."""
    return (t[0] ** 2 - 1) ** 2 + 5 * (t[1] - 1 + t[0] ** 2) ** 2


def small_network() -> tw.Landscape:
    """A 2-2-1 network of tanh near the point where it is the mean of its targets, which is a saddle."""
    source = torch.Generator().manual_seed(5)
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)).double()
    inputs = torch.randn(40, 2, generator=source, dtype=DOUBLE)
    target = torch.tanh(inputs @ torch.tensor([[1.0], [-0.5]], dtype=DOUBLE)) + 0.3
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=source, dtype=DOUBLE))
        model[2].bias.copy_(target.mean())
    return tw.Landscape(model, tw.objectives.squared_error(), [(inputs, target)])


def minimum() -> tw.Landscape:
    """A network without a redundant unit, not far from its best fit to noisy targets."""
    source = torch.Generator().manual_seed(7)
    model = nn.Sequential(nn.Linear(2, 1), nn.Tanh(), nn.Linear(1, 1)).double()
    inputs = torch.randn(40, 2, generator=source, dtype=DOUBLE)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), ([[1.0, -0.8]], [0.3], [[1.5]], [0.2]), strict=True):
            parameter.copy_(torch.tensor(value))
        target = model(inputs) + 0.2 * torch.randn(40, 1, generator=source, dtype=DOUBLE)
        for parameter in model.parameters():
            parameter.mul_(1.1)
    return tw.Landscape(model, tw.objectives.squared_error(), [(inputs, target)])


@pytest.mark.parametrize("start", [[0.3, -0.1], [0.05, 0.2], [-0.2, -0.2]])
def test_the_saddle_of_a_product(start):
    """½(ab − 1)² at (0, 0): Hessian [[0, −1], [−1, 0]]."""
    found = critical_point(formula(lambda t: 0.5 * (t[0] * t[1] - 1) ** 2, start))
    assert float(found.theta.norm()) < 1e-10
    assert (found.kind, found.index, found.index_exact, found.nullity) == ("saddle", 1, True, 0)
    assert (found.smallest, found.largest) == (pytest.approx(-1), pytest.approx(1))
    assert found.converged
    assert found.loss == pytest.approx(0.5)


def test_a_minimum_of_a_product_is_degenerate():
    """Along ab = 1 the loss is zero: at (1, 1) eigenvalues 0 and 2."""
    found = critical_point(formula(lambda t: 0.5 * (t[0] * t[1] - 1) ** 2, [1.1, 1.1]))
    assert (found.kind, found.index, found.nullity) == ("degenerate minimum", 0, 1)
    assert float(found.theta[0] * found.theta[1]) == pytest.approx(1, abs=1e-10)
    assert found.largest == pytest.approx(2, rel=1e-6)


@pytest.mark.parametrize(
    ("start", "end", "kind"),
    [
        ([0.9, 0.1], [1.0, 0.0], "minimum"),
        ([-2.0, 3.0], [-1.0, 0.0], "minimum"),
        ([3.0, 3.0], [1.0, 0.0], "minimum"),
        ([0.1, 0.9], [0.0, 1.0], "saddle"),
        ([0.0, 0.0], [0.0, 1.0], "saddle"),
        ([0.5, 0.5], [0.0, 1.0], "saddle"),
    ],
)
def test_the_double_well(start, end, kind):
    found = critical_point(formula(double_well, start))
    torch.testing.assert_close(found.theta, torch.tensor(end, dtype=DOUBLE), rtol=0, atol=1e-9)
    assert found.kind == kind
    root = 761**0.5
    ends = (29 - root, 29 + root) if kind == "minimum" else (-4.0, 10.0)
    assert (found.smallest, found.largest) == (pytest.approx(ends[0]), pytest.approx(ends[1]))
    assert found.index == (0 if kind == "minimum" else 1)
    assert found.gradient_norms[-1] <= found.tol < found.gradient_norms[0]
    assert bool((found.gradient_norms.diff() < 0).all())


def test_scipy_finds_the_same_root():
    """A root finder on the gradient's formula, from the same start."""

    def slope(x: np.ndarray) -> list[float]:
        a, b = x
        return [4 * a * (a**2 - 1) + 20 * a * (b - 1 + a**2), 10 * (b - 1 + a**2)]

    for start in ([0.9, 0.1], [0.1, 0.9]):
        root = scipy.optimize.root(slope, start, tol=1e-13).x
        np.testing.assert_allclose(critical_point(formula(double_well, start)).theta.numpy(), root, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    inertia=st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)).filter(lambda t: sum(t) > 0),
    seed=st.integers(0, 10_000),
    exact=st.booleans(),
)
def test_a_quadratic_of_prescribed_inertia(inertia, seed, exact):
    """One step of Newton's method, to the critical point nearest to the start; the spectrum is what was put in."""
    positive, negative, null = inertia
    values = [1.0 + i for i in range(positive)] + [-1.5 - i for i in range(negative)] + [0.0] * null
    size, source = len(values), torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(size, size, generator=source, dtype=DOUBLE)).Q
    matrix = basis @ torch.diag(torch.tensor(values, dtype=DOUBLE)) @ basis.T
    matrix = (matrix + matrix.T) / 2
    centre, start = torch.randn(2, size, generator=source, dtype=DOUBLE)
    landscape = quadratic(matrix, -matrix @ centre, start.tolist())
    found = critical_point(landscape, exact=256 if exact else 0, pairs=size)
    nonzero = positive + negative
    expected = start - torch.linalg.pinv(matrix, rtol=1e-9) @ matrix @ (start - centre) if nonzero else start
    torch.testing.assert_close(found.theta, expected, rtol=1e-7, atol=1e-8)
    kinds = {(True, False): "minimum", (False, True): "maximum", (True, True): "saddle", (False, False): ""}
    kind = f"{'degenerate ' if null else ''}{kinds[positive > 0, negative > 0]}".strip()
    assert found.kind == kind
    assert found.index == negative
    if exact or negative < size:
        assert found.nullity == null
    assert found.index_exact
    if nonzero:
        assert found.smallest == pytest.approx(min(values), abs=1e-7)
        assert found.largest == pytest.approx(max(values), abs=1e-7)


@pytest.mark.parametrize(("make", "kind"), [(small_network, "degenerate saddle"), (minimum, "minimum")])
def test_a_small_network(make, kind):
    """To 1e-10 in double precision, the eigenvalues against those of autograd's Hessian."""
    landscape = make()
    model = landscape.model
    with unchecked(), unchanged(model):
        found = critical_point(landscape, tol=1e-10)
    assert found.gradient_norm <= 1e-10
    assert (found.kind, found.ending) == (kind, "converged")
    names = [name for name, _ in model.named_parameters()]
    (inputs, targets), shapes = landscape.data[0], [p.shape for p in model.parameters()]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = [p.view(s) for p, s in zip(flat.split([s.numel() for s in shapes]), shapes, strict=True)]
        outputs = torch.func.functional_call(model, dict(zip(names, parts, strict=True)), (inputs,))
        return 0.5 * (outputs - targets).square().sum() / len(inputs)

    values = torch.linalg.eigvalsh(torch.func.hessian(loss)(found.theta))
    assert float(torch.func.grad(loss)(found.theta).norm()) <= 2e-10
    assert found.index == int((values < -found.threshold).sum())
    assert found.nullity == int((values.abs() <= found.threshold).sum())
    assert found.smallest == pytest.approx(float(values[0]), abs=1e-12)
    assert found.largest == pytest.approx(float(values[-1]))


def test_both_ends_say_what_all_eigenvalues_say():
    for landscape in (small_network(), minimum()):
        whole, ends = critical_point(landscape), critical_point(landscape, exact=0, pairs=landscape.size)
        assert (ends.kind, ends.index, ends.nullity) == (whole.kind, whole.index, whole.nullity)
        assert torch.equal(ends.theta, whole.theta)
        assert ends.smallest == pytest.approx(whole.smallest, abs=2 * ends.residual + 1e-12)
        assert ends.largest == pytest.approx(whole.largest, abs=2 * ends.residual + 1e-12)


def test_an_index_beyond_what_was_asked_for_is_a_lower_bound():
    matrix = torch.diag(torch.tensor([-3.0, -2.0, -1.0, 1.0], dtype=DOUBLE))
    landscape = quadratic(matrix, torch.zeros(4, dtype=DOUBLE), [1.0, 1.0, 1.0, 1.0])
    found = critical_point(landscape, exact=0, pairs=2)
    assert (found.kind, found.index, found.index_exact, found.nullity_exact) == ("saddle", 2, False, False)
    assert "at least 2 negative" in str(found)


def test_a_degenerate_minimum_of_fourth_order():
    found = critical_point(formula(lambda t: t[0] ** 4 + t[1] ** 2, [1.0, 1.0]), degenerate=1e-5)
    assert (found.kind, found.index, found.nullity) == ("degenerate minimum", 0, 1)
    assert found.converged


@pytest.mark.parametrize("exact", [256, 0])
@pytest.mark.parametrize(
    ("f", "start", "kind", "index"),
    [
        (lambda t: t[0] ** 3, [1.0], "degenerate", 0),
        (lambda t: -(t[0] ** 3), [1.0], "degenerate", 0),
        (lambda t: t[0] ** 4, [1.0], "degenerate", 0),
        (lambda t: t[0] ** 7, [1.0], "degenerate", 0),
        (lambda t: t[0] ** 3 + t[1] ** 2, [1.0, 0.5], "degenerate minimum", 0),
        (lambda t: t[0] ** 4 - t[1] ** 2, [1.0, 0.5], "degenerate maximum", 1),
        (lambda t: t[0] ** 3 + t[1] ** 2 - t[2] ** 2, [1.0, 0.5, 0.5], "degenerate saddle", 1),
    ],
)
def test_an_eigenvalue_that_vanishes_with_the_gradient_counts_as_zero(f, start, kind, index, exact):
    """At the point reached, x near 0 and not 0, the eigenvalue of x³ is 6x: all of it, and none one step on."""
    found = critical_point(formula(f, start), exact=exact)
    assert found.converged
    assert (found.kind, found.index, found.nullity) == (kind, index, 1)
    assert found.index_exact


def test_a_small_eigenvalue_that_stays_is_no_zero():
    """x²/20000 + x⁴ + y²: 1e-4 is small, and the same one step on."""
    found = critical_point(formula(lambda t: 5e-5 * t[0] ** 2 + t[0] ** 4 + t[1] ** 2, [0.5, 0.5]))
    assert (found.kind, found.nullity) == ("minimum", 0)
    assert found.smallest == pytest.approx(1e-4, rel=1e-6)


def test_beyond_the_step_the_model_may_end():
    """x³ + y² for x above 1.5e-6, where the search ends a step before it: signs are not known to be right."""
    edge = 1.5e-6
    found = critical_point(formula(lambda t: t[0] ** 3 + t[1] ** 2 + 0 * (t[0] - edge).sqrt(), [1.0, 0.5]))
    assert found.converged
    assert not found.index_exact
    assert not found.nullity_exact


@pytest.mark.parametrize("start", [0.5, 0.7, -1.0])
def test_a_flat_point_where_all_of_the_hessian_vanishes(start):
    """x³/3 + x: the slope x² + 1 is least at 0, where H = 0."""
    found = critical_point(formula(lambda t: t[0] ** 3 / 3 + t[0], [start]))
    assert found.kind == "gradient-flat"
    assert found.gradient_norm == pytest.approx(1)
    assert found.flatness < 1e-4


def test_a_gradient_that_no_step_lowers():
    """x + ½y²: the gradient (1, y) has norm 1 along all of y = 0, where H∇L = 0."""
    found = critical_point(formula(lambda t: t[0] + 0.5 * t[1] ** 2, [0.5, 2.0]))
    assert (found.kind, found.ending) == ("gradient-flat", "flat")
    assert found.gradient_norm == pytest.approx(1)
    assert not found.converged
    assert found.flatness == pytest.approx(0, abs=1e-12)


def test_a_flat_point_that_is_isolated():
    """x³/3 + x + ½y²: the slope x² + 1 is least at x = 0, and not zero."""
    found = critical_point(formula(lambda t: t[0] ** 3 / 3 + t[0] + 0.5 * t[1] ** 2, [0.7, 1.0]))
    assert found.kind == "gradient-flat"
    assert found.ending in ("flat", "stalled")
    assert found.theta.tolist() == pytest.approx([0.0, 0.0], abs=1e-3)
    assert found.gradient_norm == pytest.approx(1)


def test_a_straight_line_is_flat_everywhere():
    found = critical_point(formula(lambda t: t.sum(), [0.5, 2.0]))
    assert (found.kind, found.flatness, found.largest) == ("gradient-flat", None, 0.0)


def test_no_steps_classify_the_point_itself():
    there = critical_point(formula(double_well, [0.0, 1.0]), steps=0)
    assert (there.kind, there.gradient_norm, there.distance) == ("saddle", 0.0, 0.0)
    assert there.flatness is None
    beside = critical_point(formula(double_well, [0.5, 0.5]), steps=0)
    assert (beside.kind, beside.ending) == ("not critical", "steps")
    assert len(beside.gradient_norms) == 1


def test_the_distance_is_that_of_the_newton_step():
    matrix, centre = torch.diag(torch.tensor([4.0, -2.0], dtype=DOUBLE)), torch.tensor([1.0, 2.0], dtype=DOUBLE)
    landscape = quadratic(matrix, -matrix @ centre, [0.0, 0.0])
    assert critical_point(landscape, steps=0).distance == pytest.approx(5**0.5)
    assert critical_point(landscape, steps=0, exact=0, pairs=2).distance == pytest.approx(5**0.5)


def test_loss_that_is_infinite_beyond_a_wall_is_searched_before_it():
    """x − ln x has its minimum at 1 and no value below 0, where the first step leads."""
    found = critical_point(formula(lambda t: (t - t.log()).sum(), [2.5]))
    assert found.theta.tolist() == pytest.approx([1.0])
    assert found.kind == "minimum"


def test_costs_are_counted():
    found = critical_point(formula(double_well, [0.9, 0.1]))
    assert found.cost.gradients >= len(found.gradient_norms)
    assert found.cost.matvecs >= 2 * (len(found.gradient_norms) - 1) + 2


def test_bad_input():
    landscape = formula(double_well, [0.9, 0.1])
    with unchecked():
        with pytest.raises(ArgumentError, match="landscape: expected a Landscape, got int"):
            critical_point(3)
        with pytest.raises(ArgumentError, match="tol: expected a finite number of at least 0, got -1"):
            critical_point(landscape, tol=-1.0)
        with pytest.raises(ArgumentError, match="steps: expected at least 0, got -1"):
            critical_point(landscape, steps=-1)
        with pytest.raises(ArgumentError, match="steps: expected a whole number"):
            critical_point(landscape, steps=1.5)
        with pytest.raises(ArgumentError, match="inner: expected at least 1, got 0"):
            critical_point(landscape, inner=0)
        with pytest.raises(ArgumentError, match="pairs: expected at least 1"):
            critical_point(landscape, pairs=0)
        with pytest.raises(ArgumentError, match="flat: expected a number from 0 to below 1, got 2"):
            critical_point(landscape, flat=2.0)
        with pytest.raises(ArgumentError, match="degenerate: expected a number"):
            critical_point(landscape, degenerate=-0.1)


def test_print():
    found = critical_point(formula(double_well, [0.1, 0.9]))
    assert str(found).startswith("saddle: L = 1, ")
    assert "eigenvalues from -4 to 10, 1 negative" in str(found)
