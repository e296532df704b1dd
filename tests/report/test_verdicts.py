"""Verdicts on constructed cases: each threshold from both sides, and nothing claimed that was not measured."""

import math
from dataclasses import replace

import pytest
import torch

from tests.report.synthetic import connection, eigenpairs, findings, measurement
from thalweg.estimate import Cost
from thalweg.measures._results import StepPrediction
from thalweg.report._connectivity import accuracy_drop, batch_norm, connected, connectivity
from thalweg.report._stationarity import converged, convex, negative_count, relative_gain, stationarity
from thalweg.report._verdict import joint
from thalweg.report._verdicts import directions, sharpness, trust, verdicts


def minimum(**changes):
    """A point with no negative curvature, and a gradient that nearly vanishes."""
    return replace(measurement(smallest=1e-5, **changes))


def with_bottom(item, *values, residual=1e-6, done=True):
    bottom = eigenpairs(torch.tensor(values, dtype=torch.float64), "SA")
    residuals = torch.full((len(values),), residual, dtype=torch.float64)
    return replace(item, bottom=replace(bottom, residuals=residuals, converged=torch.full((len(values),), done)))


def with_gain(item, gain, quadratic=None):
    loss = item.train.loss.value
    return replace(
        item,
        step=StepPrediction(0.1, 0.0, -loss * (gain if quadratic is None else quadratic), -loss * gain, 1.0, Cost()),
    )


def with_top(item, value, *, done=True, residual=1e-6):
    top = eigenpairs(torch.tensor([value, value - 1], dtype=torch.float64), "LA")
    top = replace(top, residuals=torch.full((2,), residual, dtype=torch.float64), converged=torch.tensor([done, True]))
    return replace(item, top=top, step=item.step if value > 0 else None)


# Has training converged, and is this a minimum?


def test_a_minimum_is_called_no_more_than_was_computed():
    verdict = stationarity([minimum()])
    assert verdict.tone == "yes"
    assert verdict.answer == (
        "Converged along the gradient; no negative curvature among the 5 smallest eigenvalues computed."
    )


def test_weight_decay_is_said_to_be_no_part_of_the_loss():
    four = findings()
    said = "Weight decay (0.0005) is no part of this loss, though training had it."
    assert said in verdicts(replace(four, configuration={"weight_decay": 5e-4}))[0].rule
    for configuration in ({}, {"weight_decay": 0.0}, {"weight_decay": None}):
        assert "decay" not in verdicts(replace(four, configuration=configuration))[0].rule


@pytest.mark.parametrize(("gain", "tone"), [(0.0099, "yes"), (0.0101, "no")])
def test_converged_means_that_a_step_gains_at_most_one_percent(gain, tone):
    assert converged(with_gain(minimum(), gain)) == tone


def test_the_larger_of_measured_and_predicted_gain_counts():
    assert relative_gain(with_gain(minimum(), 0.001, quadratic=0.5)) == pytest.approx(0.5)
    assert relative_gain(with_gain(minimum(), 0.5, quadratic=0.001)) == pytest.approx(0.5)
    assert relative_gain(with_gain(minimum(), -0.5, quadratic=-0.1)) == 0


def test_not_converged_is_said_first():
    verdict = stationarity([with_gain(minimum(), 0.2)])
    assert verdict.tone == "no"
    assert verdict.answer.startswith("Not converged; ")
    gain = next(fact for fact in verdict.columns[0].facts if fact.label == "gain")
    assert (gain.value, gain.flag) == ("20.00 %", True)


def test_a_gradient_of_zero_has_converged():
    item = replace(minimum(), gradient_norm=replace(minimum().gradient_norm, value=0.0), step=None)
    assert converged(item) == "yes"


def test_a_loss_that_is_not_positive_leaves_convergence_open():
    item = minimum()
    item = replace(item, train=replace(item.train, loss=replace(item.train.loss, value=-1.0)))
    assert relative_gain(item) is None
    assert stationarity([item]).answer.startswith("Convergence is open; ")
    assert "not determined" in [fact.value for fact in stationarity([item]).columns[0].facts]


def test_no_positive_curvature_and_a_gradient_is_not_converged():
    assert converged(with_top(minimum(), -0.2)) == "no"
    assert converged(with_top(minimum(), -0.2, done=False)) == "open"


def test_a_saddle_names_how_many_negative_eigenvalues_there_are_at_least():
    item = with_bottom(measurement(), -3.0, -2.0, -1.0, 0.0, 0.0)
    verdict = stationarity([item])
    assert verdict.tone == "partly"
    assert verdict.answer == "Converged along the gradient; not a minimum: at least 3 negative eigenvalues."
    whole = replace(item, negative=replace(item.negative, exhaustive=True))
    assert stationarity([whole]).answer.endswith("not a minimum: 3 negative eigenvalues.")
    single = with_bottom(measurement(), -3.0, 0.0)
    assert stationarity([single]).answer.endswith("at least 1 negative eigenvalue.")


@pytest.mark.parametrize(("smallest", "count"), [(-0.0247, 1), (-0.0245, 0)])
def test_negative_is_held_against_the_largest_eigenvalue(smallest, count):
    """λ₁ = 24.6: the threshold is −0.0246."""
    assert negative_count(with_bottom(measurement(), smallest, residual=1e-7)) == count


def test_a_residual_as_large_as_the_eigenvalue_leaves_the_question_open():
    item = with_bottom(measurement(), -0.1, residual=0.2)
    assert negative_count(item) == 0
    assert convex(item) == "open"
    assert "not known well enough" in stationarity([item]).answer
    assert convex(with_bottom(measurement(), 0.001, residual=0.2)) == "open"


def test_a_smallest_eigenvalue_that_has_not_converged_leaves_it_open():
    item = with_bottom(measurement(), 0.5, done=False)
    assert convex(item) == "open"
    assert any("(not converged)" in fact.value for fact in stationarity([item]).columns[0].facts)


def test_negative_curvature_below_no_positive_one_is_held_against_itself():
    assert convex(with_bottom(with_top(measurement(), -0.5), -2.0)) == "no"


def test_several_points_are_counted():
    saddle, cup = measurement(), minimum()
    assert stationarity([saddle, saddle]).answer == (
        "Converged along the gradient in all 2; negative curvature in all 2, so none is a minimum."
    )
    assert stationarity([saddle, cup]).answer == "Converged along the gradient in all 2; negative curvature in 1 of 2."
    hidden = with_bottom(cup, 0.5, done=False)
    answer = stationarity([with_gain(cup, 0.3), hidden]).answer
    assert answer == "Converged along the gradient in 1 of 2; negative curvature in none of 2, open in 1."
    assert stationarity([cup, cup]).tone == "yes"


# How sharp is it?


def test_one_point_has_its_eigenvalue_and_learning_rate():
    verdict = sharpness([with_top(measurement(), 20.0, residual=0.01)])
    assert verdict.answer == (
        "λ₁ = 20.000 ± 0.010: in its direction plain gradient descent is stable below a learning rate of 0.100."
    )
    assert [fact.label for fact in verdict.columns[0].facts] == ["λ₁", "S", "2/λ₁"]
    assert verdict.columns[0].facts[1].value.startswith("≥ ")


def test_an_eigenvalue_that_has_not_converged_says_so():
    verdict = sharpness([with_top(measurement(), 20.0, residual=2.0, done=False)])
    assert "(not converged)" in verdict.answer
    assert "about 0.100" in verdict.answer
    assert verdict.columns[0].facts[0].flag


def test_without_positive_curvature_there_is_no_learning_rate():
    verdict = sharpness([with_top(measurement(), -0.2)])
    assert verdict.answer == "No positive curvature was found, so none bounds the learning rate."
    assert verdict.columns[0].facts[2].value == "none: λ₁ ≤ 0"


def test_several_points_have_a_range_with_names():
    answer = sharpness(findings().measurements).answer
    assert answer == "λ₁ runs from 8.70 (SimpleResNet, seed 0) to 31.9 (vanilla CNN, seed 1)."


def test_an_exact_sharpness_has_no_bound_sign():
    item = measurement()
    exact = replace(item, ascent=replace(item.ascent, lower_bound=False))
    assert not sharpness([exact]).columns[0].facts[1].value.startswith("≥")


# How many directions matter?


def test_outliers_and_rank_are_said_with_the_number_of_parameters():
    verdict = directions([measurement()])
    assert verdict.answer == "9 outliers; an effective rank of 38 among 52,330 parameters."
    assert verdict.columns[0].facts[0].value == "9 in top 20"
    assert directions([measurement(outliers=1)]).answer.startswith("1 outlier;")


def test_what_is_not_known_is_not_said():
    item = replace(measurement(outliers=None), effective_rank=None)
    assert directions([item]).answer == "No gap sets outliers apart; the effective rank was not determined."
    assert directions([measurement(), item]).answer.startswith("9 outliers in 1 of 2, no gap in the rest; ")
    critical = replace(item, anisotropy=replace(item.anisotropy, shares=None, p_values=None))
    assert [fact.label for fact in directions([critical]).columns[0].facts] == ["outliers", "eff. rank"]


def test_outliers_of_an_incomplete_spectrum_are_a_lower_bound():
    item = measurement()
    assert (
        directions([replace(item, top=replace(item.top, complete=False))]).columns[0].facts[0].value == "≥ 9 in top 20"
    )
    assert directions([measurement(unconverged=2)]).columns[0].facts[0].value == "≥ 9 in top 20"


# Are the solutions connected?


def test_no_path_is_no_answer():
    verdict = connectivity(())
    assert (verdict.tone, verdict.columns) == ("open", ())
    assert verdict.answer == "Not measured: this run has no path between two points."


def test_a_barrier_is_given_with_all_four_references():
    verdict = connectivity((connection(),))
    assert verdict.tone == "no"
    assert verdict.answer == (
        "Not along the straight line: the loss rises by 1.62 above the chord, and the accuracy drops by 72.0 points."
    )
    assert {"linear", "max", "mean", "min"} <= {fact.label for fact in verdict.columns[0].facts}
    assert verdict.columns[0].name == "SimpleResNet, seed 0 → SimpleResNet, seed 1"


@pytest.mark.parametrize(("height", "tone"), [(0.00100, "yes"), (0.00104, "no")])
def test_connected_is_held_against_the_larger_end_loss(height, tone):
    """The larger end loss is 0.0102."""
    assert connected(connection(height=height)) == tone


def test_a_barrier_that_the_accuracy_does_not_notice_is_half_an_answer():
    item = connection()
    flat = replace(item.path, metrics={"accuracy": torch.linspace(0.9, 0.99, 15, dtype=torch.float64)})
    assert accuracy_drop(replace(item, path=flat)) == pytest.approx(0, abs=1e-12)
    verdict = connectivity((replace(item, path=flat),))
    assert verdict.tone == "partly"
    assert "the accuracy hardly falls" in verdict.answer


def test_without_an_accuracy_the_loss_alone_speaks():
    item = replace(connection(), path=replace(connection().path, metrics={}))
    assert accuracy_drop(item) is None
    assert connectivity((item,)).answer == "Not along the straight line: the loss rises by 1.62 above the chord."


def test_points_without_a_finite_loss_leave_it_open():
    item = connection()
    loss = item.path.loss.clone()
    loss[7] = math.nan
    hidden = replace(item, path=replace(item.path, loss=loss), barrier=replace(item.barrier, excluded=1))
    verdict = connectivity((hidden,))
    assert verdict.tone == "open"
    assert verdict.answer == "Open: the loss is not finite at some points of the straight line."
    assert verdict.columns[0].facts[-1].value == "1 points"


def test_several_paths_are_counted_and_curves_named():
    low, high = connection(height=0.0), connection()
    assert connectivity((low, high)).answer == "Connected in 1 of 2 paths; barriers in 1 of 2."
    curved = replace(low, path=replace(low.path, kind="Bezier"))
    assert connectivity((curved,)).answer.startswith("Yes, along this Bezier path: ")


def test_what_was_done_about_batch_normalisation_is_quoted():
    four = findings()
    statement = batch_norm(four)
    assert statement == "running statistics are computed anew at every point of the path"
    assert statement in connectivity(four.connections, statement).rule
    assert batch_norm(replace(four, configuration={"BatchNorm": "kept."})) == "kept"
    assert batch_norm(replace(four, configuration={"batch_norm": None, "batch_size": 3})) is None
    assert "Batch" not in connectivity(four.connections).rule
    interpolated = batch_norm(replace(four, configuration={"path.buffers": "interpolated"}))
    assert interpolated.startswith("running statistics are interpolated with the weights; estimated anew")
    assert batch_norm(replace(four, configuration={"path.buffers": "none"})) is None


# How far can this be trusted?


def test_trust_names_what_was_not_determined():
    verdict = trust(findings())
    assert verdict.tone == "partly"
    assert verdict.answer == (
        "All 100 eigenvalues converged; the trace is known to ± 4.2 %; what other data would change in the curvature "
        "was not determined."
    )
    assert "2,848 products" in verdict.rule
    assert "3 min 7 s" in verdict.rule


def test_with_data_errors_trust_is_whole():
    item = measurement()
    sure = replace(item, trace=replace(item.trace, data_error=1.0))
    assert trust(replace(findings(), measurements=(sure,))).tone == "yes"


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (measurement(unconverged=2), "2 of 25 eigenvalues did not converge"),
        (
            replace(measurement(), top=replace(measurement().top, complete=False)),
            "All 25 eigenvalues converged, copies of multiple ones may be missing",
        ),
        (
            replace(measurement(), trace=replace(measurement().trace, standard_error=None)),
            "the trace has no error bar",
        ),
        (
            replace(measurement(), trace=replace(measurement().trace, standard_error=50.0)),
            "the trace is known to ± 27.5 %",
        ),
    ],
)
def test_what_is_unsure_is_said_and_leaves_the_answer_open(item, words):
    verdict = trust(replace(findings(), measurements=(item,)))
    assert words in verdict.answer
    assert verdict.tone == "open"
    assert any(fact.flag for fact in verdict.columns[0].facts) or "copies" in words


def test_a_trace_error_in_some_points_is_counted():
    bare = replace(measurement(), trace=replace(measurement().trace, standard_error=None))
    answer = trust(replace(findings(), measurements=(measurement(), bare))).answer
    assert "the trace is known to ± 4.2 % in 1 of 2, and has no error bar in the rest" in answer


# All of them.


def test_there_are_five_questions_and_every_answer_is_a_sentence():
    found = verdicts(findings())
    assert len(found) == 5
    for verdict in found:
        assert verdict.question.endswith("?")
        assert verdict.answer.endswith(".")
        assert verdict.rule.endswith(".")
        words = [verdict.answer, verdict.rule, *(fact.value for column in verdict.columns for fact in column.facts)]
        assert not any("None" in word or "nan" in word for word in words)


@pytest.mark.parametrize(
    ("tones", "together"),
    [
        (["yes", "yes"], "yes"),
        (["yes", "no"], "partly"),
        (["open", "no"], "open"),
        (["yes", "open"], "partly"),
        (["no", "partly"], "partly"),
        (["open"], "open"),
    ],
)
def test_tones_are_put_together(tones, together):
    assert joint(tones) == together
