"""Fisher matrices: drawn targets are unbiased, drawn once, and need a likelihood."""

import dataclasses
import math

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import classes, mlp, randn, scrambled, tied, tokens
from tests.operators.battery import jacobian
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, ObjectiveError

CROSS = tw.objectives.cross_entropy()


def classified(**options):
    batches = list(zip(randn(6, 4).split(4), classes(6).split(4), strict=True))
    return tw.Landscape(mlp(), options.pop("objective", CROSS), batches, **options)


def two_outputs(objective, targets):
    model = scrambled(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double())
    return tw.Landscape(model, objective, [(randn(5, 4), targets)])


def masked_text():
    batch = {"input_ids": tokens(4), "labels": tokens(4).masked_fill(tokens(4) == 1, -100)}

    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = tied()

        def forward(self, input_ids):
            return self.body(input_ids)

    return tw.Landscape(Text(), tw.objectives.causal_lm(), [batch])


LANDSCAPES = {
    "cross-entropy": classified,
    "class weights": lambda: classified(objective=tw.objectives.cross_entropy(weight=torch.tensor([1.0, 2.0, 0.5]))),
    # Zero is a class here that may be drawn, though no term of that class counts in the data.
    "masks": lambda: classified(objective=tw.objectives.cross_entropy(ignore_index=0)),
    "binary": lambda: two_outputs(tw.objectives.binary_cross_entropy(), (randn(5, 2, seed=1) > 0).double()),
    "mse": lambda: two_outputs(tw.objectives.mse(), randn(5, 2, seed=1)),
    "squared error": lambda: two_outputs(tw.objectives.squared_error(), randn(5, 2, seed=1)),
    "masked text": masked_text,
}


# Every objective draws in a way of its own; these do as others do.
REPEATED = ("class weights", "squared error")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in REPEATED else name for name in LANDSCAPES]
)
def test_drawn_targets_are_unbiased(name):
    """Quadratic forms along fixed directions, over independent draws, against the exact ones."""
    landscape = LANDSCAPES[name]()
    directions = landscape.space.randn(torch.Generator().manual_seed(5), 6)
    exact = (directions * (tw.fisher(landscape) @ directions)).sum(dim=0)
    source, found = torch.Generator().manual_seed(0), []
    for _ in range(150):
        op = tw.fisher(landscape, "monte-carlo", generator=source, engine="double-backward")
        found.append((directions * (op @ directions)).sum(dim=0))
    values = torch.stack(found)
    scores = (values.mean(dim=0) - exact) / (values.std(dim=0) / math.sqrt(len(values)))
    assert scores.abs().max() < 4.5, scores
    assert (values.std(dim=0) > 0.01 * exact).all(), "the draws matter"


def test_more_draws_have_less_noise():
    landscape = classified()
    v = landscape.space.randn()
    exact = float(v @ (tw.fisher(landscape) @ v))

    def spread(draws):
        source = torch.Generator().manual_seed(1)
        errors = [
            float(v @ (tw.fisher(landscape, "monte-carlo", draws=draws, generator=source) @ v)) - exact
            for _ in range(60)
        ]
        return torch.tensor(errors).square().mean().sqrt()

    # Sixteen draws have a quarter of the noise; sixty runs know it to some ten per cent.
    assert float(spread(1) / spread(16)) == pytest.approx(4, rel=0.35)


def test_a_drawn_matrix_stays_the_same():
    landscape = classified()
    kept, rebuilt = (
        tw.fisher(landscape, "monte-carlo", draws=3, engine="double-backward", keep=keep) for keep in (True, False)
    )
    first = kept.dense()
    torch.testing.assert_close(kept.dense(), first, rtol=0, atol=0)
    torch.testing.assert_close(rebuilt.dense(), first, rtol=1e-12, atol=1e-14)
    forward = tw.fisher(landscape, "monte-carlo", draws=3, engine="forward-over-reverse")
    torch.testing.assert_close(forward.dense(), first, rtol=1e-12, atol=1e-14)
    # Seeds are arguments: none is seed 0, and another one is another matrix.
    other = tw.fisher(landscape, "monte-carlo", draws=3, generator=torch.Generator().manual_seed(1)).dense()
    same = tw.fisher(landscape, "monte-carlo", draws=3, generator=torch.Generator().manual_seed(0)).dense()
    torch.testing.assert_close(same, first, rtol=1e-12, atol=1e-14)
    assert not torch.allclose(other, first)


def test_micro_batches_draw_for_themselves_and_stay_a_fisher():
    """The draws follow the passes that were made; whatever they are, the matrix is made of the drawn terms."""
    landscape = classified(microbatch=2)
    op = tw.fisher(landscape, "monte-carlo", draws=2)
    matrix = torch.zeros(())
    for (inputs, _), drawn in op.landscape.data:
        for column in drawn.unbind(1):
            rows = jacobian(
                landscape.model,
                lambda model, x, y=column: nn.functional.cross_entropy(model(x), y, reduction="none"),
                inputs,
            )
            matrix = matrix + rows.mT @ rows / 2 / 6
    torch.testing.assert_close(op.dense(), matrix, rtol=1e-10, atol=1e-12)


def test_the_empirical_one_is_the_covariance_and_the_mean():
    landscape = classified()
    gradient = landscape.gradient()
    expected = tw.gradient_covariance(landscape).dense() + gradient.outer(gradient)
    torch.testing.assert_close(tw.fisher(landscape, "empirical").dense(), expected, rtol=1e-12, atol=1e-14)


def test_what_is_missing_is_named():
    smoothed = classified(objective=tw.objectives.cross_entropy(label_smoothing=0.1))
    for kind in ("exact", "monte-carlo"):
        message = rf"objective: expected a likelihood for the {kind} Fisher, and cross_entropy declares no draw\."
        with pytest.raises(ObjectiveError, match=message):
            tw.fisher(smoothed, kind)
    box = tw.objectives.from_function(lambda model, batch: model(batch[0]).square().mean(), lambda batch: len(batch[0]))
    boxed = classified(objective=box)
    with pytest.raises(
        ObjectiveError, match="objective: expected one whose terms can be seen for the empirical Fisher"
    ):
        tw.fisher(boxed, "empirical")
    for make, name in ((tw.ggn, "generalized Gauss–Newton matrix"), (tw.residual, "residual part H − G")):
        with pytest.raises(
            ObjectiveError, match=f"objective: expected terms that are convex in the outputs for the {name}"
        ):
            make(boxed)
    for make, name in ((tw.gradient_covariance, "gradient covariance"), (tw.gradient_gram, "Gram matrix of gradients")):
        with pytest.raises(
            ObjectiveError, match=f"objective: expected one whose data items can be seen for the {name}"
        ):
            make(boxed)
    silent = classified(objective=dataclasses.replace(CROSS, score=None))
    with pytest.raises(
        ObjectiveError, match="expected one that can score drawn targets, and cross_entropy declares draw"
    ):
        tw.fisher(silent, "monte-carlo")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "true"}, r"kind: expected 'exact', 'monte-carlo' or 'empirical', got 'true'\."),
        ({"draws": 0}, r"draws: expected a whole number of at least 1, got 0\."),
        ({"draws": True}, r"draws: expected a whole number of at least 1, got True\."),
        ({"draws": 1.5}, r"draws: expected a whole number of at least 1, got 1\.5\."),
        ({"draws": 2}, r"draws, generator: expected neither with kind='exact', which draws nothing\."),
        ({"engine": "finite-differences"}, r"engine: expected an exact one for the fisher, got 'finite-differences'"),
    ],
)
def test_bad_arguments(options, message):
    with unchecked(), pytest.raises(ArgumentError, match=message):
        tw.fisher(classified(), **options)
