"""The whole of a measurement against a dense Hessian, on networks small enough to have one."""

import math

import pytest
import torch

import thalweg as tw
from tests.golden import g1, g2
from tests.landscape.snapshot import unchanged

SMALL = tw.SurveySettings(top=3, bottom=9, tol=1e-9, rtol=0.1, max_probes=2000, surface=3, line=5)


@pytest.fixture(scope="module")
def found() -> tw.Measurement:
    return tw.survey(g1(), SMALL, name="golden")


def test_golden_numbers(found):
    assert found.size == 9
    assert found.train.loss.value == pytest.approx(0.195783175766876, rel=1e-12)
    assert found.gradient_norm.value == pytest.approx(0.2740314130480007, rel=1e-10)
    assert found.top.values.tolist() == pytest.approx([2.69247713777789, 0.974092196238280, 0.267686107248948])
    assert found.bottom.values[0] == pytest.approx(-0.248545330009527)
    assert found.negative.count == 3
    assert found.negative.exhaustive
    assert found.conditioning.raw == pytest.approx(-10.8329419735)
    assert found.anisotropy.shares.tolist() == pytest.approx([0.053219722662857, 0.328863119051945, 0.335259318827456])
    assert found.one_step.value == pytest.approx(0.0143180843083978)
    assert found.ascent.value == pytest.approx(0.0144463011140, rel=1e-6)
    assert found.stable_learning_rate == pytest.approx(2 / 2.69247713777789)
    # Of nine eigenvalues twelve are asked for: all sums are exact.
    assert found.trace.value == pytest.approx(3.8718508986352)
    assert found.trace.standard_error == 0
    assert found.effective_rank.value == pytest.approx(3.8718508986352**2 / 8.39983556039988)
    further = {row.name: row.value for row in found.further}
    assert further["trace of Σ"] == pytest.approx(1.29064319046283)
    assert further["cosine of Σ and H"] == pytest.approx(0.946927145834954)
    assert further["difficulty"] == pytest.approx(1.77297246445953)
    assert further["index"] == 3


def test_step_line_and_surface(found):
    assert found.step.eta == pytest.approx(1 / 2.69247713777789)
    assert found.line.label == "leading eigenvector"
    assert found.line.loss[2] == pytest.approx(found.train.loss.value)
    assert found.surface.loss.shape == (3, 3)
    assert found.surface.loss[1, 1] == pytest.approx(found.train.loss.value)


def test_the_cost_is_the_sum_of_what_was_done(found):
    # The two ends share their products; Σ takes some, and so do the step and the line.
    assert found.bottom.matvecs == found.top.matvecs
    assert found.cost.matvecs > found.top.matvecs + found.density.cost.matvecs
    assert found.cost.gradients >= 2
    assert found.cost.losses >= 9 + 5
    assert found.cost.seconds > 0


def test_the_result_travels(found):
    back = tw.Measurement.from_dict(found.to_dict())
    assert back.to_dict() == found.to_dict()
    assert back.top.vectors is None


def test_the_model_is_untouched():
    landscape = g2()
    with unchanged(landscape.model):
        tw.survey(landscape, SMALL)


def test_same_seed_same_numbers():
    first, again = (tw.survey(g2(), SMALL) for _ in range(2))
    other = tw.survey(g2(), tw.SurveySettings(**{**vars(SMALL), "seed": 1}))
    assert first.trace.value == again.trace.value
    assert torch.equal(first.density.nodes, again.density.nodes)
    assert torch.equal(first.surface.loss, again.surface.loss)
    assert not torch.equal(first.density.nodes, other.density.nodes)


def test_parts_can_be_left_out_and_test_data_added():
    landscape = g2()
    found = tw.survey(landscape, tw.SurveySettings(top=2, bottom=2, surface=0, line=0), test=landscape)
    assert found.surface is None
    assert found.line is None
    assert found.test.loss.value == found.train.loss.value
    assert "accuracy" in found.test.metrics


def test_a_landscape_without_curvature():
    """A loss that is linear in the parameters: no step, no line, nothing that divides by λ₁."""
    model = torch.nn.Linear(2, 1, bias=False).double()
    objective = tw.objectives.from_function(lambda m, x: m(x).mean(), len)
    found = tw.survey(tw.Landscape(model, objective, [torch.ones(3, 2, dtype=torch.float64)]), SMALL)
    assert found.step is None
    assert found.line is None
    assert found.stable_learning_rate is None
    assert found.effective_rank is None
    assert found.negative.count == 0
    assert found.top.values.abs().max() == 0


def test_more_eigenvalues_than_parameters_are_cut_to_what_there_is():
    assert len(tw.survey(g1(), tw.SurveySettings(top=50, bottom=50, surface=0, line=0)).top.values) == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top": 0}, "top: expected at least 1, got 0"),
        ({"probes": 0}, "probes: expected at least 2, got 0"),
        ({"surface": -1}, "surface: expected at least 0, got -1"),
        ({"seed": -1}, "seed: expected a number from 0"),
    ],
)
def test_settings_are_checked(arguments, message):
    with pytest.raises(tw.errors.ArgumentError, match=message):
        tw.SurveySettings(**arguments)


def test_outliers_are_counted_above_the_largest_gap():
    diagonal = torch.tensor([9.0, 8.0, 2.0, 1.9, 1.8, 0.5, 0.0], dtype=torch.float64)
    op = tw.FunctionOperator(lambda v: diagonal * v, 7, dtype=torch.float64)
    pairs = tw.eigenpairs(op, 5)
    assert tw.outlier_count(pairs) == 2
    assert tw.outlier_count(pairs, ratio=5.0) is None
    assert tw.outlier_count(tw.eigenpairs(op, 6)) == 2
    with pytest.raises(tw.errors.ArgumentError, match="which='LA', got 'SA'"):
        tw.outlier_count(tw.eigenpairs(op, 2, "SA"))
    with pytest.raises(tw.errors.ArgumentError, match="ratio: expected a number above 1, got 1"):
        tw.outlier_count(pairs, ratio=1.0)


def test_effective_rank_of_known_spectra():
    """O52: (8)²/(16+4+1+1) = 2.909; P for the identity; signs are exact on diagonal matrices."""
    for diagonal, expected in (([4.0, 2.0, 1.0, 1.0], 2.90909090909), ([1.0] * 6, 6.0), ([3.0, 3.0, 0.0, 0.0], 2.0)):
        values = torch.tensor(diagonal, dtype=torch.float64)
        op = tw.FunctionOperator(lambda v, d=values: d * v, len(diagonal), dtype=torch.float64)
        rank = tw.effective_rank(tw.density(op, probes=3, steps=6, distribution="rademacher"), len(diagonal))
        assert rank.value == pytest.approx(expected)
        assert rank.standard_error == 0
    negative = tw.FunctionOperator(lambda v: -v, 3)
    assert tw.effective_rank(tw.density(negative, probes=2, steps=3), 3) is None


@pytest.mark.slow
def test_effective_rank_error_covers():
    """With 20 probes the truth lies within two standard errors in 85 % of 200 runs or more."""
    generator = torch.Generator().manual_seed(3)
    matrix = torch.randn(30, 60, dtype=torch.float64, generator=generator)
    matrix = matrix @ matrix.mT / 60
    truth, hits = float(matrix.trace() ** 2 / matrix.square().sum()), 0
    op = tw.FunctionOperator(lambda v: matrix @ v, 30, dtype=torch.float64)
    for seed in range(200):
        rank = tw.effective_rank(
            tw.density(op, probes=20, steps=3, generator=torch.Generator().manual_seed(seed), grid=torch.arange(2.0)),
            30,
        )
        hits += abs(rank.value - truth) < 2 * rank.standard_error
    assert math.isfinite(truth)
    assert hits >= 170


def test_a_checkpoint_gives_the_same_measurement(found, tmp_path):
    kept = tw.survey(g1(), SMALL, name="golden", checkpoint=tmp_path)
    products = len(list(tmp_path.iterdir()))
    assert products > 0
    again = tw.survey(g1(), SMALL, name="golden", checkpoint=tmp_path)
    assert len(list(tmp_path.iterdir())) == products
    for one, other in ((kept, found), (again, found)):
        assert torch.equal(one.top.values, other.top.values)
        assert one.trace.value == other.trace.value
        assert torch.equal(one.density.nodes, other.density.nodes)
