"""Strings and bands against potentials whose saddles are known, and their saddles' certificates."""

import json
import math

import numpy as np
import pytest
import torch
from scipy import optimize

import thalweg as tw
from tests.formula import formula
from tests.landscape.models import classes, cnn, mlp, randn, scrambled
from tests.landscape.snapshot import unchanged
from tests.reporter import Reporter
from tests.unchecked import unchecked
from thalweg.descent import adam, follow
from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.paths import Curve, MinimumEnergyPath, barrier, linear_path

CROSS = tw.objectives.cross_entropy()


def valley(t):
    """V = (x² − 1)² + 5(y − 1 + x²)²: minima (±1, 0), a saddle at (0, 1) with V = 1 and Hessian diag(−4, 10)."""
    return (t[0] ** 2 - 1) ** 2 + 5 * (t[1] - 1 + t[0] ** 2) ** 2


def vector(*entries):
    return torch.tensor(entries, dtype=torch.float64)


def in_the_valley():
    return formula(valley, [-1.0, 0.0]), vector(1.0, 0.0)


MULLER_BROWN = {
    "A": [-200.0, -100.0, -170.0, 15.0],
    "a": [-1.0, -1.0, -6.5, 0.7],
    "b": [0.0, 0.0, 11.0, 0.6],
    "c": [-10.0, -10.0, -6.5, 0.7],
    "x": [1.0, 0.0, -0.5, -1.0],
    "y": [0.0, 0.5, 1.5, 1.0],
}


def muller_brown(t):
    """Four Gaussians (Müller & Brown, 1979): the test of saddle searches."""
    p = {name: torch.tensor(values, dtype=torch.float64) for name, values in MULLER_BROWN.items()}
    x, y = t[0] - p["x"], t[1] - p["y"]
    return (p["A"] * torch.exp(p["a"] * x**2 + p["b"] * x * y + p["c"] * y**2)).sum()


def muller_brown_root(start):
    """Where its gradient vanishes, by scipy, with numpy alone."""
    p = {name: np.array(values) for name, values in MULLER_BROWN.items()}

    def gradient(t):
        x, y = t[0] - p["x"], t[1] - p["y"]
        height = p["A"] * np.exp(p["a"] * x**2 + p["b"] * x * y + p["c"] * y**2)
        return [(height * (2 * p["a"] * x + p["b"] * y)).sum(), (height * (p["b"] * x + 2 * p["c"] * y)).sum()]

    return optimize.root(gradient, start, tol=1e-13).x.tolist()


@pytest.fixture(scope="module")
def string():
    landscape, end = in_the_valley()
    return tw.string_method(landscape, end, images=11)


@pytest.fixture(scope="module")
def band():
    landscape, end = in_the_valley()
    return tw.nudged_elastic_band(landscape, end, images=8)


def test_a_string_finds_the_barrier(string):
    assert string.converged
    assert float(string.loss.max()) == pytest.approx(1, abs=1e-6)
    assert string.highest == 5
    assert float(linear_path(*in_the_valley(), points=11).loss.max()) == 6


def test_images_of_a_string_are_evenly_spread(string):
    apart = string.distance.diff()
    torch.testing.assert_close(apart, apart.mean().expand(10), rtol=2e-2, atol=0)


def test_the_path_is_tangent_to_the_gradient(string, band):
    """Against the exact steepest-descent curve from the saddle, by scipy."""

    def downhill(_, t):
        x, y = t
        rest = 10 * (y - 1 + x**2)
        return [-(4 * x * (x**2 - 1) + 2 * x * rest), -rest]

    from scipy.integrate import solve_ivp

    curve = solve_ivp(downhill, (0, 60), [1e-6, 1.0], rtol=1e-10, atol=1e-12, max_step=0.02).y
    for path in (string, band):
        nodes = path.curve.nodes.numpy()
        for x, y in nodes[nodes[:, 0] > 0.05]:
            assert np.hypot(curve[0] - x, curve[1] - y).min() < 0.02


def test_the_climbing_image_is_on_the_saddle_whatever_the_spacing(band):
    """Eight images have none in the middle: without climbing the saddle would lie between two."""
    assert band.converged
    assert band.climbing == band.highest
    top = band.curve.nodes[band.highest]
    torch.testing.assert_close(top, vector(0.0, 1.0), atol=1e-3, rtol=0)
    assert float(band.loss.max()) == pytest.approx(1, abs=1e-6)
    assert float(band.gradient_norms[band.highest]) <= band.tol


def test_forces_of_a_band_without_climbing_vanish_across_it():
    landscape, end = in_the_valley()
    found = tw.nudged_elastic_band(landscape, end, images=8, climb=False, tol=1e-2)
    assert found.converged
    assert found.climbing is None
    assert float(found.perpendicular_norms[1:-1].max()) <= found.tol
    apart = found.distance.diff()
    torch.testing.assert_close(apart, apart.mean().expand(7), rtol=5e-2, atol=0)
    assert 0.8 < float(found.loss.max()) < 1


def test_the_exchange_of_the_ends_turns_the_path_round():
    _, end = in_the_valley()
    back = formula(valley, end.tolist())
    first = vector(-1.0, 0.0)
    for method, options in ((tw.string_method, {}), (tw.nudged_elastic_band, {"climb": False})):
        there, again = (method(*ends, images=6, steps=12, **options) for ends in (in_the_valley(), (back, first)))
        torch.testing.assert_close(again.curve.nodes.flip(0), there.curve.nodes, atol=1e-9, rtol=0)


def test_the_saddle_of_the_valley_has_its_certificate(string, band):
    landscape, _ = in_the_valley()
    for path in (string, band):
        found = tw.path_saddle(landscape, path)
        assert (found.reached, found.index_one, found.on_path) == (True, True, True)
        torch.testing.assert_close(found.critical.theta, vector(0.0, 1.0), atol=1e-9, rtol=0)
        assert found.rise == pytest.approx(1, abs=1e-12)
        assert (found.critical.smallest, found.critical.largest) == pytest.approx((-4, 10), abs=1e-6)
        assert found.along == pytest.approx(float(path.distance[-1]) / 2, rel=1e-2)
        assert str(found).startswith("index 1, 1 above the higher end: saddle")


def test_the_potential_of_muller_and_brown():
    """From the straight line, which climbs to 12, to the saddle at −40.66 by way of the third minimum."""
    first, last = muller_brown_root([-0.55, 1.44]), muller_brown_root([0.62, 0.03])
    saddle = muller_brown_root([-0.82, 0.62])
    assert saddle == pytest.approx([-0.822001559, 0.624312803], abs=1e-8)
    landscape = formula(muller_brown, first)
    path = tw.nudged_elastic_band(landscape, vector(*last), images=8, tol=5.0)
    assert path.converged
    found = tw.path_saddle(landscape, path)
    assert found.index_one
    torch.testing.assert_close(found.critical.theta, vector(*saddle), atol=1e-7, rtol=0)
    assert found.critical.loss == pytest.approx(-40.664843509, abs=1e-7)
    assert path.loss[0] == pytest.approx(-146.699517209, abs=1e-7)


def test_a_double_well_has_its_barrier():
    """V = (x² − 1)² in one dimension: nothing lies across the path, and the string is done at once."""
    landscape = formula(lambda t: (t[0] ** 2 - 1) ** 2, [-1.0])
    path = tw.string_method(landscape, vector(1.0), images=7)
    assert path.converged
    assert barrier(path.scan).linear == pytest.approx(1)
    found = tw.path_saddle(landscape, path)
    assert (found.index_one, found.critical.kind, found.rise) == (True, "maximum", pytest.approx(1))


def test_a_path_that_only_falls_has_no_saddle():
    landscape = formula(lambda t: (t**2).sum(), [1.0, 1.0])
    path = tw.string_method(landscape, vector(0.1, 0.1), images=5, steps=5, step=0.1)
    found = tw.path_saddle(landscape, path)
    assert (found.critical, found.index_one, found.reached, found.on_path) == (None, None, False, False)
    assert str(found) == "no saddle: the highest image of the path is one of its ends"


def test_a_saddle_that_is_not_reached_says_so(string):
    landscape, end = in_the_valley()
    rough = tw.string_method(landscape, end, images=6, steps=1)
    assert not rough.converged
    assert "not converged" in str(rough)
    found = tw.path_saddle(landscape, rough, steps=0)
    assert (found.reached, found.index_one, found.rise, found.on_path) == (False, None, None, False)
    assert str(found).startswith("no saddle reached from image 2: not critical")


def test_a_critical_point_of_another_index_is_no_saddle_of_the_path():
    """V = cos x + cos y: the line from (0, 0) … over (π, π) is symmetric, and meets a maximum, index 2."""
    landscape = formula(lambda t: -torch.cos(t[0]) - torch.cos(t[1]), [0.0, 0.0])
    path = tw.string_method(landscape, vector(2 * math.pi, 2 * math.pi), images=5)
    found = tw.path_saddle(landscape, path)
    assert (found.reached, found.index_one, found.critical.index) == (True, False, 2)
    assert str(found).startswith("not of index 1, 4 above the higher end")


def test_insertions_put_images_where_the_loss_rises_between_them():
    landscape, end = in_the_valley()
    coarse = tw.string_method(landscape, end, images=4, tol=0.05)
    fine = tw.string_method(landscape, end, images=4, tol=0.05, insertions=2)
    assert coarse.inserted == 0
    assert fine.inserted > 0
    assert len(fine.loss) == 4 + fine.inserted
    assert abs(float(fine.loss.max()) - 1) < abs(float(coarse.loss.max()) - 1)


def test_a_path_may_begin_on_a_curve():
    """The Bezier curve with the bend (0, 2) is the valley itself."""
    landscape, end = in_the_valley()
    bent = Curve(torch.stack([vector(-1.0, 0.0), vector(0.0, 2.0), end]))
    path = tw.string_method(landscape, end, images=11, initial=bent, tol=1e-2)
    assert path.converged
    assert float(path.loss.max()) == pytest.approx(1, abs=1e-4)


def trained(seed):
    """A small network after a hundred and fifty steps."""
    model = scrambled(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)).double(), seed)
    landscape = tw.Landscape(model, CROSS, [(randn(12, 2, seed=5), classes(12, 2))], check=False)
    return landscape.at(follow(landscape.loss_and_gradient, landscape.theta, adam(0.05), 150))


@pytest.fixture(scope="module")
def pair():
    return trained(1), trained(2)


def test_the_path_between_two_networks_is_lower_than_the_line(pair):
    line = barrier(linear_path(*pair, points=9))
    model = pair[0].model
    with unchecked(), unchanged(model):
        path = tw.nudged_elastic_band(*pair, images=6, steps=60, labels=("one", "two"))
    found = barrier(path.scan)
    assert line.max > 0.05
    assert found.max < 0.5 * line.max
    assert (path.loss[0], path.loss[-1]) == (pair[0].loss(), pair[1].loss())
    assert torch.equal(path.curve.nodes[[0, -1]], torch.stack([pair[0].theta, pair[1].theta]))
    assert (path.curve.labels, path.scan.labels) == (("one", "two"), ("one", "two"))
    assert path.cost.gradients == 4 * path.steps + 6
    assert path.cost.losses == 3


def test_minibatches_go_the_same_way(pair):
    path = tw.nudged_elastic_band(*pair, images=6, steps=40, batch_size=6, step=0.05)
    again = tw.nudged_elastic_band(*pair, images=6, steps=40, batch_size=6, step=0.05)
    assert torch.equal(path.curve.nodes, again.curve.nodes)
    assert path.steps == 40
    assert path.cost.gradients == 4 * 40 // 2 + 6
    assert barrier(path.scan).max < barrier(linear_path(*pair, points=9)).max
    # All data, not minibatches, are behind what is reported.
    assert float(path.loss[3]) == pair[0].loss(path.curve.nodes[3])
    assert float(path.gradient_norms[3]) == pytest.approx(float(pair[0].gradient(path.curve.nodes[3]).norm()))


def test_single_precision_stays_single():
    landscape = tw.Landscape(mlp(), CROSS, [(randn(6, 4), classes(6))], dtype=torch.float32)
    path = tw.string_method(landscape, landscape.theta + 1, images=4, steps=3)
    assert path.curve.nodes.dtype == torch.float32
    assert path.loss.dtype == torch.float64


def test_progress_is_reported_and_the_result_is_written(string):
    landscape, end = in_the_valley()
    reporter = Reporter()
    path = tw.string_method(landscape, end, images=4, steps=3, labels=("here", "there"), progress=reporter)
    assert reporter.stages == [("string here → there", None)]
    assert reporter.done == path.steps == 3
    back = MinimumEnergyPath.from_dict(json.loads(json.dumps(string.to_dict())))
    assert str(back) == str(string)
    assert str(string).startswith("minimum-energy path A → B by string, 11 images: highest loss 1, converged")


def test_steps_that_are_too_long_are_told_of():
    landscape, end = in_the_valley()
    with pytest.raises(NonFiniteError, match=r"Take smaller steps\."):
        tw.nudged_elastic_band(landscape, end, images=5, step=5.0)


def normalised(seed):
    return tw.Landscape(scrambled(cnn(), seed), CROSS, [(randn(5, 1, 6, 6), classes(5))])


VALLEY, END = in_the_valley()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tw.string_method(VALLEY, END, images=2), r"images: expected at least 3, got 2"),
        (lambda: tw.string_method(VALLEY, END, steps=0), r"steps: expected at least 1, got 0"),
        (lambda: tw.string_method(VALLEY, END, insertions=-1), r"insertions: expected at least 0, got -1"),
        (lambda: tw.string_method(VALLEY, END, step=0.0), r"step: expected a number above 0, got 0\.0"),
        (lambda: tw.string_method(VALLEY, END, tol=-1.0), r"tol: expected a number above 0, got -1\.0"),
        (
            lambda: tw.string_method(VALLEY, END[:1]),
            r"end: expected a tensor of shape \(2,\)|end: expected shape \(2,\)",
        ),
        (lambda: tw.string_method(VALLEY, VALLEY.theta), r"end: expected another point than start, got the same one"),
        (lambda: tw.string_method(VALLEY, END, batch_size=2), r"batch_size: expected a whole number from 1 to the 1"),
        (lambda: tw.string_method(3, END), r"start: expected a Landscape, got int"),
        (lambda: tw.nudged_elastic_band(VALLEY, END, beta=1.0), r"beta: expected a number from 0 to below 1, got 1\.0"),
        (lambda: tw.nudged_elastic_band(VALLEY, END, spring=0.0), r"spring: expected a number above 0, got 0\.0"),
        (
            lambda: tw.string_method(VALLEY, END, initial=Curve(torch.zeros(2, 3).double())),
            r"initial: expected nodes of shape \(k \+ 1, 2\) and type torch\.float64, got \(2, 3\)",
        ),
        (
            lambda: tw.string_method(VALLEY, END, initial=Curve(torch.zeros(2, 2).double())),
            r"initial: expected a curve from start to end, got one that does not meet start",
        ),
        (
            lambda: tw.string_method(normalised(0), normalised(1)),
            r"end: expected the buffers of start, since the path is one of a single function, got others at 1\.r",
        ),
        (
            lambda: tw.string_method(VALLEY, formula(lambda t: (t**2).sum() + 1, [1.0, 0.0])),
            r"end: expected the loss of start's model and data at α = 1",
        ),
        (
            lambda: tw.path_saddle(
                formula(lambda t: t[0] ** 2, [1.0]), tw.string_method(VALLEY, END, images=3, steps=1)
            ),
            r"path: expected images of 1 parameters, as the landscape has, got \(3, 2\)",
        ),
        (
            lambda: tw.path_saddle(VALLEY, Curve(torch.zeros(2, 2).double())),
            r"path: expected a MinimumEnergyPath, got Curve\. Give a curve to string_method",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        call()


def test_a_string_between_slopes_does_not_run_away():
    """Ends that are no minima: images slide off, their spacing gets uneven, and a cubic spline would overshoot."""
    landscape = formula(lambda t: (t[0] ** 2 + 20 * t[1] ** 2) / 2, [-1.0, 0.0])
    path = tw.string_method(landscape, torch.tensor([0.4, 0.8], dtype=torch.float64), images=5)
    assert path.converged
    assert float(path.loss.max()) == pytest.approx(6.48)


def test_images_that_run_away_are_told_of():
    landscape = formula(lambda t: t[0] ** 2 + 3 * t[1] ** 2, [-1.0, 0.1])
    end = torch.tensor([1.0, 0.1], dtype=torch.float64)
    with pytest.raises(NonFiniteError, match=r"the highest loss of the chain has run away to .* smaller steps"):
        tw.string_method(landscape, end, images=5, step=3.0)
