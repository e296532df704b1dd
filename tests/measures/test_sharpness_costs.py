"""What the measures say that they took, against the forward passes that the model saw."""

import pytest

import thalweg as tw
from tests.landscape.models import Counting, classes, mlp, randn
from tests.reporter import Reporter


@pytest.mark.parametrize(
    "measure",
    [
        lambda each: tw.sharpness(each, 0.1),
        lambda each: tw.sharpness(each, 0.1, "ascent", steps=3),
        lambda each: tw.adaptive_sharpness(each, 0.1),
        lambda each: tw.adaptive_sharpness(each, 0.1, "ascent", steps=3),
        lambda each: tw.average_sharpness(each, 0.1, samples=3),
        lambda each: tw.keskar_sharpness(each, 0.1, steps=3),
        lambda each: tw.keskar_sharpness(each, 0.1, subspace=2, steps=3),
    ],
)
def test_passes_over_the_data(measure):
    model = Counting(mlp())
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(6, 4), classes(6))])
    before = model.seen[0]
    cost = measure(landscape).cost
    assert cost.gradients + cost.losses == model.seen[0] - before
    assert cost.matvecs == 0


def test_passes_over_groups():
    """Six groups: each is counted, has a gradient, and a loss at the end of its step."""
    model = Counting(mlp())
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(12, 4), classes(12))])
    before = model.seen[0]
    cost = tw.m_sharpness(landscape, 0.1, 2).cost
    assert (cost.gradients, cost.losses) == (1, 2)
    assert model.seen[0] - before == 6 * 3


def test_products_of_the_perturbation_law():
    landscape = tw.Landscape(mlp(), tw.objectives.cross_entropy(), [(randn(6, 4), classes(6))])
    operator = tw.hessian(landscape)
    cost = tw.perturbation_law(landscape, [0.1, 0.2], 3, operator=operator).cost
    assert (cost.matvecs, cost.gradients, cost.losses) == (operator.matvecs, 1, 12)
    assert tw.perturbation_law(landscape, [0.1, 0.2], 3, largest=1.0).cost.matvecs == 3


def test_progress_is_told_of_every_step():
    landscape = tw.Landscape(mlp(), tw.objectives.cross_entropy(), [(randn(6, 4), classes(6))])

    def told(measure):
        reporter = Reporter()
        result = measure(reporter)
        return reporter, result

    reporter, found = told(lambda bar: tw.quadratic_sharpness(landscape, 0.1, progress=bar))
    assert reporter.stages[0] == ("quadratic sharpness", None)
    # All products but the last one, which says how good the answer is.
    assert reporter.done == found.cost.matvecs - 1
    reporter, _ = told(lambda bar: tw.average_sharpness(landscape, 0.1, samples=3, progress=bar))
    assert (reporter.stages, reporter.done) == ([("average sharpness", 7)], 7)
    reporter, _ = told(lambda bar: tw.m_sharpness(landscape, 0.1, 2, progress=bar))
    assert (reporter.stages, reporter.done) == ([("2-sharpness", 3)], 3)
    reporter, _ = told(lambda bar: tw.relative_flatness(landscape, "2.weight", progress=bar))
    assert (reporter.stages, reporter.done) == ([("relative flatness", 15)], 15)
    reporter, _ = told(lambda bar: tw.perturbation_law(landscape, [0.1, 0.2], 3, largest=1.0, progress=bar))
    assert (reporter.stages, reporter.done) == ([("perturbation law", 12)], 12)
