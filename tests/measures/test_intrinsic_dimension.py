"""Training in random subspaces: problems whose dimension is known, and the bookkeeping around them."""

import itertools
import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.landscape.snapshot import unchanged
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.descent import Minibatches, adam, follow, momentum
from thalweg.errors import ArgumentError, DataError, NonFiniteError
from thalweg.measures import intrinsic_dimension, random_projection
from thalweg.measures._crossing import bracket, crossing, interval_of, isotonic
from thalweg.measures._subspace import Subspace


class Sums(nn.Module):
    """Blocks of one parameter vector, of which only the sums matter."""

    def __init__(self, blocks: int, each: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(blocks * each, dtype=torch.float64))
        self.blocks = blocks

    def forward(self, x):
        return x @ self.theta.view(self.blocks, -1).sum(dim=1, keepdim=True)


def toy(blocks: int = 10, each: int = 100) -> tw.Landscape:
    """Block i must sum to i: as many constraints as blocks (Li et al., 2018, section 2)."""
    targets = torch.arange(1.0, blocks + 1, dtype=torch.float64)[:, None]
    batch = torch.eye(blocks, dtype=torch.float64), targets
    return tw.Landscape(Sums(blocks, each), tw.objectives.squared_error(), [batch])


def steepest(beta: float, d: int):
    """Near the largest stable rate of the toy problem: λ_max is about (√10 + √d)²/100."""
    return momentum(100 / (math.sqrt(10) + math.sqrt(d)) ** 2, beta)


@pytest.mark.parametrize(
    ("projection", "steps", "beta"),
    [
        ("fastfood", 300, 0.95),
        pytest.param("dense", 800, 0.98, marks=pytest.mark.slow),
        pytest.param("sparse", 800, 0.98, marks=pytest.mark.slow),
    ],
)
def test_the_toy_problem_has_dimension_ten(projection, steps, beta):
    """O64: D = 1000, ten equality constraints. The baseline is exact: exp(−0) = 1.

    At 0.9 of it nine random dimensions would do by luck in one of five draws: their residual is the target's part along
    one random direction of ten, and |u| < 0.074 is enough. At 0.99 it is one of seventeen.
    """
    with unchecked():
        found = intrinsic_dimension(
            toy(), projection=projection, rule=partial(steepest, beta), steps=steps, baseline=1.0, seeds=2, share=0.99
        )
    assert found.value == 10
    assert found.crossings == (10, 10)
    assert found.interval == pytest.approx((10, 10))
    assert found.bracket == (9, 10)
    assert found.reached
    # Ten dimensions solve it, nine do not.
    means = dict(zip(found.dimensions, found.means.tolist(), strict=True))
    assert means[10] > 0.99
    assert means[9] < 0.9
    assert str(found) == "d_int = 10 [10, 10] of 1,000 (exp(−loss) ≥ 0.99·1; 2 seeds, " + projection + ")"


@pytest.mark.parametrize("projection", ["dense", "sparse", "fastfood"])
def test_fewer_dimensions_than_constraints_leave_what_projection_leaves(projection):
    """The minimum over z in closed form: the residual of least squares."""
    landscape = toy(4, 6)
    seen = []

    def draw(space, dimension, generator):
        seen.append(random_projection(space, dimension, projection, generator))
        return seen[-1]

    with unchecked():
        found = intrinsic_dimension(
            landscape, [2, 6], projection=draw, rule=lambda d: momentum(0.3, 0.95), steps=400, baseline=1.0, seeds=1,
            schedule="constant",
        )  # fmt: skip
    sums = torch.eye(4, dtype=torch.float64).repeat_interleave(6, dim=1)
    targets = torch.arange(1.0, 5, dtype=torch.float64)
    for performance, drawn in zip(found.performances[:, 0], seen, strict=True):
        columns = torch.stack([drawn.forward(e) for e in torch.eye(drawn.dimension, dtype=torch.float64)], dim=1)
        system = sums @ columns
        rest = targets - system @ torch.linalg.lstsq(system, targets, driver="gelsd").solution
        assert float(performance) == pytest.approx(math.exp(-float(rest.square().sum()) / 8), rel=1e-3)
    assert found.projection == "draw"


def test_all_dimensions_by_an_orthogonal_matrix_are_all_parameters():
    """Gradient descent does not see a rotation: z of all P dimensions goes where θ goes, and ends as well."""
    landscape, rule = toy(2, 3), lambda d: momentum(0.1, 0.9)
    found = intrinsic_dimension(landscape, [6], projection="dense", rule=rule, steps=7, seeds=2)
    torch.testing.assert_close(found.performances[0], found.baselines, rtol=1e-10, atol=0)
    assert found.value == 6
    assert float(found.baselines[0]) == pytest.approx(
        math.exp(-landscape.loss(follow(landscape.loss_and_gradient, landscape.theta, rule(6), 7, schedule=_cosine(7))))
    )


def _cosine(steps: int):
    return lambda step: 0.5 * (1 + math.cos(math.pi * step / steps))


def classes(items: int = 60) -> tuple[tw.Landscape, tw.Landscape]:
    """Three clouds, and others like them."""
    source = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(3, 4, generator=source)

    def drawn():
        labels = torch.randint(3, (items,), generator=source)
        return [(centres[labels] + torch.randn(items, 4, generator=source), labels)]

    model = tw.models.mlp((4, 8, 3), activation="tanh", generator=source)
    train, test = drawn(), drawn()
    return tw.Landscape(model, tw.objectives.cross_entropy(), train), tw.Landscape(
        model, tw.objectives.cross_entropy(), test
    )


def test_a_classifier_on_held_out_data():
    train, test = classes()
    with unchanged(train.model):
        found = intrinsic_dimension(
            train, [1, 4, 16, 40], held_out=test, batch_size=20, steps=150, seeds=3, rule=lambda d: adam(0.05)
        )
    assert found.metric == "accuracy"
    assert found.start == test.evaluate().metrics["accuracy"].value
    assert found.baseline == pytest.approx(float(found.baselines.mean()))
    assert found.baseline > 0.9
    assert found.target == pytest.approx(0.9 * found.baseline)
    assert found.performances.shape == (4, 3)
    assert found.reached
    assert found.bracket[0] < found.value <= found.bracket[1]
    # Five trainings a seed, of 150 steps with a third of the data each; a pass to begin with and one after each.
    assert found.cost.gradients == 15 * 150 // 3
    assert found.cost.losses == 16
    # The performances are those of a hand-made loop.
    assert torch.equal(found.standard_errors, found.performances.std(dim=1) / math.sqrt(3))


def test_everything_follows_from_the_generator():
    train, test = classes()

    def run(seed: int | None):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return intrinsic_dimension(
            train, [3], held_out=test, batch_size=20, steps=20, metric="loss", seeds=2, generator=generator
        )

    assert torch.equal(run(None).performances, run(0).performances)
    assert not torch.equal(run(1).performances, run(0).performances)
    assert not torch.equal(run(0).performances[:, 0], run(0).performances[:, 1])


def test_progress_is_reported():
    reporter = Reporter()
    intrinsic_dimension(toy(2, 2), [1, 3], steps=5, seeds=2, progress=reporter)
    words = ["intrinsic dimension", *["all parameters"] * 2, *["1 dimension"] * 2, *["3 dimensions"] * 2]
    assert [stage for stage, _ in reporter.stages] == words
    assert reporter.done == 6 * 5


def test_metrics():
    train, _ = classes()
    settings = {"steps": 1, "seeds": 1, "baseline": 1.0, "rule": lambda d: momentum(1e-12)}
    named = {
        "accuracy": train.evaluate().metrics["accuracy"].value,
        "loss": math.exp(-train.loss()),
        lambda landscape: 1 / landscape.loss(): 1 / train.loss(),
    }
    for metric, expected in named.items():
        found = intrinsic_dimension(train, [1], metric=metric, **settings)
        assert found.start == pytest.approx(expected)
        assert float(found.performances[0, 0]) == pytest.approx(expected, rel=1e-6)
    assert found.metric == "<lambda>"
    assert intrinsic_dimension(toy(2, 2), [1], steps=1, seeds=1, baseline=1.0).metric == "exp(−loss)"


def test_a_start_that_is_good_enough_has_dimension_zero():
    found = intrinsic_dimension(toy(2, 2), steps=1, seeds=2, baseline=1e-3)
    assert found.value == 0
    assert found.dimensions == ()
    assert found.crossings == (0, 0)
    assert found.performances.shape == (0, 2)


def test_a_target_that_is_not_reached():
    """One dimension does not solve four constraints."""
    found = intrinsic_dimension(toy(4, 6), [1], steps=10, seeds=2, baseline=1.0)
    assert (found.value, found.interval, found.crossings, found.bracket) == (None, None, (None, None), (1, None))
    assert not found.reached
    assert str(found) == "d_int > 1 of 24 (exp(−loss) ≥ 0.9·1; 2 seeds, fastfood)"
    searched = intrinsic_dimension(toy(1, 4), steps=1, seeds=1, baseline=1.0, rule=lambda d: momentum(1e-9))
    assert searched.bracket == (3, None)


def test_a_subspace_has_the_gradient_of_the_loss_along_it():
    train, _ = classes()
    projection = random_projection(train, 5)
    subspace = Subspace(train, projection)
    z = torch.randn(5, generator=torch.Generator().manual_seed(1), dtype=train.space.dtype)
    with train.reading():
        with subspace.walking() as evaluate:
            value, slope = evaluate(z)
        with Subspace(train, projection, Minibatches(train, 60)).walking() as evaluate:
            evaluate(2 * z)
            by_parts = evaluate(z)
    theta = train.theta + projection.forward(z)
    torch.testing.assert_close(subspace.point(z), theta)
    assert value == pytest.approx(train.loss(theta), rel=1e-6)
    torch.testing.assert_close(slope, projection.adjoint(train.gradient(theta)))
    torch.testing.assert_close(by_parts[1], slope, rtol=1e-4, atol=1e-6)
    assert not subspace.start.any()


def test_parameters_of_several_types():
    """Leaves cannot be views of one vector then."""
    model = nn.Sequential(nn.Linear(2, 3).double(), _Narrow(), nn.Linear(3, 1))
    batch = torch.ones(4, 2, dtype=torch.float64), torch.ones(4, 1)
    landscape = tw.Landscape(model, tw.objectives.squared_error(), [batch])
    found = intrinsic_dimension(landscape, [4], batch_size=2, steps=30, seeds=1, rule=lambda d: momentum(0.05))
    assert float(found.performances[0, 0]) > found.start


class _Narrow(nn.Module):
    def forward(self, x):
        return x.float()


def test_a_divergence_says_where():
    with pytest.raises(NonFiniteError, match=r"rule: expected one that converges in 2 dimensions, but at step \d+ "):
        intrinsic_dimension(toy(2, 2), [2], rule=lambda d: momentum(1e100), steps=20, baseline=1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dimensions": [0]}, r"dimensions: expected from 1 to the 4 parameters, got 0"),
        ({"dimensions": [5]}, r"dimensions: expected from 1 to the 4 parameters, got 5"),
        ({"dimensions": [1.5]}, r"dimensions: expected a whole number, got 1\.5"),
        ({"dimensions": []}, r"dimensions: expected at least one, got none"),
        ({"share": 0.0}, r"share: expected a number in \(0, 1\], got 0\.0"),
        ({"share": 1.1}, r"share: expected a number in \(0, 1\], got 1\.1"),
        ({"baseline": 0.0}, r"baseline: expected a positive finite performance, got 0\.0"),
        ({"baseline": math.nan}, r"baseline: expected a positive finite performance, got nan"),
        ({"seeds": 0}, r"seeds: expected at least 1, got 0"),
        ({"steps": 0}, r"steps: expected at least 1, got 0"),
        ({"resolution": 0.0}, r"resolution: expected a number strictly between 0 and 1, got 0\.0"),
        ({"schedule": "step"}, r"schedule: expected 'cosine' or 'constant', got 'step'"),
        ({"metric": "accuracy"}, r"metric: expected 'loss', .* \(it has none\), got 'accuracy'"),
        ({"metric": lambda landscape: -1.0}, r"metric: expected performances that are finite and at least 0, got -1"),
        ({"batch_size": 3}, r"batch_size: expected a whole number from 1 to the 2 data items, got 3"),
        ({"projection": "normal"}, r"kind: expected 'dense', 'sparse' or 'fastfood', got 'normal'"),
        ({"projection": lambda s, d, g: random_projection(s, 2)}, r"projection: expected one from 1 to 4 dimensions"),
        ({"projection": lambda s, d, g: None}, r"projection: expected one from 1 to 4 dimensions .* got NoneType"),
    ],
)  # fmt: skip
def test_bad_input_is_named(arguments, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        intrinsic_dimension(toy(2, 2), **{"dimensions": [1], "steps": 1, **arguments})


def test_landscapes_that_do_not_fit():
    with pytest.raises(ArgumentError, match=r"held_out: expected a landscape of the same parameters"):
        intrinsic_dimension(toy(2, 2), [1], held_out=toy(2, 3))
    with unchecked(), pytest.raises(ArgumentError, match=r"landscape: expected a Landscape, got int"):
        intrinsic_dimension(3)
    whole = tw.objectives.from_function(lambda model, x: model(x).square().mean(), len)
    landscape = tw.Landscape(Sums(2, 2), whole, [torch.eye(2, dtype=torch.float64)])
    assert intrinsic_dimension(landscape, [1], steps=1).value is not None
    with pytest.raises(DataError, match=r"an objective whose batches can be cut"):
        intrinsic_dimension(landscape, [1], steps=1, batch_size=1)


# ---------------------------------------------------------------------- the crossing


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=12))
def test_isotonic_regression(values):
    fitted = isotonic(values)
    assert all(a <= b for a, b in itertools.pairwise(fitted))
    assert sum(fitted) == pytest.approx(sum(values), abs=1e-9)
    # Blocks are means: the residual is orthogonal to the fit.
    assert sum((v - f) * f for v, f in zip(values, fitted, strict=True)) == pytest.approx(0, abs=1e-7)
    assert isotonic(sorted(values)) == pytest.approx(sorted(values))


@pytest.mark.parametrize(
    ("dimensions", "performances", "expected", "between"),
    [
        ([0, 1, 10, 100], [0.0, 0.0, 0.4, 0.8], 10**1.5, (10, 100)),  # halfway in log d
        ([0, 1, 10, 100], [0.0, 0.1, 0.6, 0.6], 10, (1, 10)),  # at a point, to rounding
        ([0, 9, 10], [0.0, 0.1, 1.0], 10, (9, 10)),
        ([0, 5], [0.0, 1.0], 5, (0, 5)),  # nothing is known between the start and it
        ([0, 5], [0.7, 1.0], 0, (0, 0)),
        ([0, 2, 4], [0.0, 0.1, 0.2], None, (4, None)),
        ([0, 2, 4, 8], [0.0, 0.9, 0.5, 1.0], 2, (0, 2)),  # pooled to 0.7
        ([0, 2, 4, 8], [0.0, 0.7, 0.1, 1.0], 4 * 2 ** (0.2 / 0.6), (4, 8)),  # pooled to 0.4
    ],
)
def test_crossings(dimensions, performances, expected, between):
    found = crossing(dimensions, performances, 0.6)
    assert found == (None if expected is None else math.ceil(expected - 1e-9))
    assert bracket(dimensions, performances, 0.6) == between


def test_intervals_of_crossings():
    low, high = interval_of((10, 20, 40), 20, 1000)
    # The logarithms are ln 20 and ± ln 2 from it; t₂ at 97.5 % is 4.303.
    half = 4.302652729749464 * math.log(2) / math.sqrt(3)
    assert (low, high) == pytest.approx((20 * math.exp(-half), 20 * math.exp(half)))
    assert interval_of((10, 10), 12, 1000) == pytest.approx((10, 12))
    assert interval_of((10, None), 12, 1000) is None
    assert interval_of((10,), 10, 1000) is None
    assert interval_of((10, 10), None, 1000) is None
    # No dimension is below 1, or above that of all parameters.
    assert interval_of((2, 900), 40, 1000) == pytest.approx((1, 1000))
