"""What K-FAC cannot do, it says."""

import ast
import dataclasses
import math
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

import thalweg as tw
from tests.landscape.models import (
    Attention,
    MultiHead,
    Residual,
    Tied,
    classes,
    cnn,
    mlp,
    randn,
    scrambled,
    tied,
    tokens,
)
from tests.landscape.snapshot import unchanged
from tests.operators.kronecker_twin import BOTH, CONVOLUTIONAL, CROSS, HALF, MSE, Mixing, cut, positions, ragged
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, MemoryBudgetError, MissingExtraError, NonFiniteError, ObjectiveError
from thalweg.operators import _kfac
from thalweg.operators._kfac import kfac

pytest.importorskip("curvlinops")


@BOTH
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "exact"}, r"kind: expected 'ggn', 'monte-carlo' or 'empirical', got 'exact'\."),
        ({"sharing": "sum"}, r"sharing: expected 'expand' or 'reduce', got 'sum'\."),
        ({"kind": "monte-carlo", "draws": 0}, r"draws: expected a whole number of at least 1, got 0\."),
        ({"kind": "monte-carlo", "draws": 1.5}, r"draws: expected a whole number of at least 1, got 1\.5\."),
        ({"kind": "monte-carlo", "draws": True}, r"draws: expected a whole number of at least 1, got True\."),
        ({"draws": 2}, r"draws, generator: expected none with kind='ggn', which draws nothing\."),
        (
            {"kind": "empirical", "generator": torch.Generator()},
            r"draws, generator: expected none with kind='empirical'",
        ),
    ],
)
def test_bad_options(make, options, message):
    landscape = tw.Landscape(mlp(), CROSS, ragged(CROSS, 4))
    with unchecked(), pytest.raises(ArgumentError, match=message):
        make(landscape, **options)


@pytest.mark.parametrize("damping", [0.0, -1.0, 1e-18, math.inf, math.nan])
def test_bad_damping(damping):
    op = kfac(tw.Landscape(mlp(), CROSS, ragged(CROSS, 4)))
    message = r"damping: expected a finite number above \S+, the rounding error of this matrix, got"
    for method in (op.inverse, op.logdet):
        with pytest.raises(ArgumentError, match=message):
            method(damping)


@BOTH
def test_objectives_that_are_not_supported(make):
    landscape = tw.Landscape(tied(), tw.objectives.causal_lm(), [tokens()])
    message = (
        r"objective: expected cross_entropy, binary_cross_entropy, mse, squared_error, whose curvature "
        rf"{make.__name__} can factor, got causal_lm\."
    )
    with pytest.raises(ObjectiveError, match=message):
        make(landscape)
    box = tw.objectives.from_function(lambda model, batch: model(batch).mean(), len)
    with pytest.raises(ObjectiveError, match="got <lambda>"):
        make(tw.Landscape(scrambled(nn.Linear(4, 1).double()), box, [randn(3, 4)]))


WEIGHTED = r"weights: expected ones, got others from cross_entropy: masks and class weights cannot be factored\."
NOT_PLAIN = (
    r"objective: expected the terms of {}, which sum to \S+, got others that sum to \S+: "
    r"label smoothing and terms of one's own cannot be factored\."
)


@pytest.mark.parametrize(
    ("objective", "targets", "message"),
    [
        (CROSS, torch.tensor([0, -100, 2]), WEIGHTED),
        (tw.objectives.cross_entropy(weight=torch.tensor([1.0, 2.0, 3.0]).double()), classes(3), WEIGHTED),
        (tw.objectives.cross_entropy(label_smoothing=0.1), classes(3), NOT_PLAIN.format("cross_entropy")),
        (CROSS, torch.full((3, 3), 1 / 3).double(), r"expected targets that are class indices, got probabilities\."),
        (
            dataclasses.replace(HALF, terms=lambda outputs, batch: (outputs - batch[1]).abs().sum(dim=1)),
            randn(3, 3),
            NOT_PLAIN.format("squared_error"),
        ),
    ],
    ids=["masked", "class weights", "smoothing", "probabilities", "other terms"],
)
@pytest.mark.parametrize("kind", ["ggn", "monte-carlo", "empirical"])
def test_terms_that_are_not_supported(objective, targets, message, kind):
    landscape = tw.Landscape(mlp(), objective, [(randn(3, 4), targets)])
    with pytest.raises(ObjectiveError, match=message):
        kfac(landscape, kind=kind)


def test_masks_in_a_later_batch_are_seen():
    model = mlp()
    landscape = tw.Landscape(model, CROSS, cut(randn(5, 4), torch.tensor([0, 1, 2, 0, -100]), 3, 2))
    with unchanged(model), pytest.raises(ObjectiveError, match=WEIGHTED):
        kfac(landscape)


def test_a_single_class():
    landscape = tw.Landscape(scrambled(nn.Linear(4, 1).double()), CROSS, [(randn(3, 4), torch.zeros(3).long())])
    with pytest.raises(ObjectiveError, match=r"cross_entropy: expected logits of at least 2 classes, got 1\."):
        kfac(landscape)


@BOTH
def test_many_terms_an_item(make):
    several = tw.Landscape(mlp(), MSE, ragged(MSE, 4))
    message = r"kind: expected 'ggn' or 'monte-carlo' where a data item has 3 terms of mse, got 'empirical'"
    with pytest.raises(ObjectiveError, match=message):
        make(several, kind="empirical")
    sequences = tw.Landscape(*positions(Mixing()))
    message = r"kind: expected 'monte-carlo' where a data item has 3 terms of cross_entropy, got 'ggn'"
    with pytest.raises(ObjectiveError, match=message):
        make(sequences)
    message = r"where a data item has 3 terms of cross_entropy, got 'empirical'"
    with pytest.raises(ObjectiveError, match=message):
        make(sequences, kind="empirical")


@BOTH
def test_layers_that_are_not_supported(make):
    model = scrambled(Residual().double())
    landscape = tw.Landscape(model, CROSS, ragged(CROSS, 4))
    message = (
        r"params: expected weights and biases of torch\.nn\.Linear and torch\.nn\.Conv2d layers alone, got "
        r"blocks\.0\.0\.weight \(LayerNorm\), blocks\.0\.0\.bias \(LayerNorm\), blocks\.1\.0\.weight \(LayerNorm\), "
        r"blocks\.1\.0\.bias \(LayerNorm\)\. Choose others with params=, here \['stem\.weight', 'stem\.bias', "
    )
    with unchanged(model), pytest.raises(ArgumentError, match=message) as caught:
        make(landscape)
    # The advice works.
    advised = ast.literal_eval(str(caught.value).partition("here ")[2].rstrip("."))
    assert len(advised) == 8
    assert make(tw.Landscape(model, CROSS, ragged(CROSS, 4), params=advised)).trace() > 0
    norm = tw.Landscape(model, CROSS, ragged(CROSS, 4), params="blocks.0.0.*")
    with pytest.raises(ArgumentError, match=r"There are no others here\."):
        make(norm)


class Scaled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (lambda: nn.Conv2d(2, 4, 2, groups=2), (2, 3, 3), r"0\.weight \(Conv2d with groups=2\)"),
        (
            lambda: nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"),
            (1, 3, 3),
            r"0\.weight \(Conv2d with padding_mode='circular'\)",
        ),
        (
            lambda: nn.Conv2d(1, 2, 2, padding="same"),
            (1, 3, 3),
            r"0\.weight \(Conv2d with padding='same' and a kernel of even size\)",
        ),
        (lambda: nn.Conv1d(2, 4, 2), (2, 3), r"0\.weight \(Conv1d\)"),
        (lambda: Scaled(4, 3), (4,), r"0\.weight \(Scaled\)"),
        (
            lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)),
            (4,),
            r"original0 \(ParametrizationList\)",
        ),
    ],
    ids=["groups", "circular", "uneven", "one axis", "subclass", "parametrised"],
)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_layers_that_look_supported(layer, shape, message):
    model = nn.Sequential(layer(), nn.Flatten()).double()
    with pytest.raises(ArgumentError, match=message):
        kfac(tw.Landscape(model, CROSS, [(randn(3, *shape), classes(3))]))


def test_parameters_that_are_tied():
    model = scrambled(Tied().double())
    data = [(tokens(4, 6), tokens(4, 6, seed=1))]
    objective = dataclasses.replace(CROSS, outputs=lambda model, batch: model(batch[0]).mT)
    message = (
        r"params: expected parameters of one layer each, got embed\.weight, which is tied "
        r"\(embed\.weight and head\.weight\)\. Leave it out with params=\."
    )
    with pytest.raises(ArgumentError, match=message):
        kfac(tw.Landscape(model, objective, data), kind="monte-carlo")
    # The layer that is not tied may be measured.
    assert kfac(tw.Landscape(model, objective, data, params="mix.*"), kind="monte-carlo").trace() > 0


class Twice(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.inner, self.head = how, nn.Linear(4, 4), nn.Linear(4, 3)
        scrambled(self.double())

    def forward(self, x):
        match self.how:
            case "run twice":
                return self.head(self.inner(torch.tanh(self.inner(x))))
            case "weight used outside":
                return self.head(self.inner(x) + x @ self.inner.weight)
            case "never run":
                return self.head(functional.linear(x, self.inner.weight, self.inner.bias))
            case "without effect":
                self.inner(x)
                return self.head(x)
            case "flattened items":
                return self.head(self.inner(x.view(-1, 4)).view(len(x), -1, 4).mean(dim=1))
            case "keyword":
                return self.head(self.inner(input=x))
            case "autocast":
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    x = self.inner(x).to(x.dtype)
                return self.head(x)
        return self.head(torch.utils.checkpoint.checkpoint(self.inner, x, use_reentrant=False))


PLACES = (
    r"model: expected inner to run once a batch, and its weight to be used nowhere else, but it runs {} times and the "
    r"outputs depend on its weight in {} places\. Leave its parameters out with params=\."
)


@BOTH
@pytest.mark.parametrize(
    ("how", "shape", "message"),
    [
        ("run twice", (4,), PLACES.format(2, 2)),
        ("weight used outside", (4,), PLACES.format(1, 2)),
        ("never run", (4,), PLACES.format(0, 1)),
        ("without effect", (4,), PLACES.format(1, 0)),
        (
            "flattened items",
            (2, 4),
            r"model: expected inner to get one positional input of at least 2 axes, .* got shape \(6, 4\)\. Leave",
        ),
        ("keyword", (4,), r"of them over the 3 data items, got 0 positional inputs\."),
        (
            "checkpointing",
            (4,),
            r"expected inner to run in the forward pass alone, but .* again in the backward pass\. Turn gradient check",
        ),
        ("autocast", (4,), r"model: expected full precision, but inner runs under autocast\. Turn it off\."),
    ],
)
@pytest.mark.filterwarnings("ignore::thalweg.errors.UnreachedParameterWarning")
def test_layers_that_run_otherwise(make, how, shape, message):
    model = Twice(how)
    landscape = tw.Landscape(model, CROSS, [(randn(3, *shape), classes(3))])
    with unchanged(model), pytest.raises(ArgumentError, match=message):
        make(landscape)
    # Those parameters may stay in the model.
    assert make(tw.Landscape(model, CROSS, landscape.data, params="head.bias")).trace() > 0


def test_attention():
    """Projections that are layers of their own are factored; those inside of torch's own attention are not run."""
    data = [(randn(3, 5, 4), classes(3))]
    assert kfac(tw.Landscape(scrambled(Attention().double()), CROSS, data)).trace() > 0
    model = scrambled(MultiHead().double())
    with pytest.raises(ArgumentError, match=r"attention\.in_proj_weight \(MultiheadAttention\)"):
        kfac(tw.Landscape(model, CROSS, data))
    with pytest.raises(ArgumentError, match=r"expected attention\.out_proj to run once a batch"):
        kfac(tw.Landscape(model, CROSS, data, params="attention.out_proj.*"))
    assert kfac(tw.Landscape(model, CROSS, data, params="head.*")).trace() > 0


@BOTH
def test_items_that_influence_each_other(make):
    landscape = tw.Landscape(cnn(), CROSS, ragged(CROSS, 1, 6, 6), mode="train", params=CONVOLUTIONAL)
    message = r"model: expected data items that do not influence each other, but 1 \(BatchNorm2d\) normalises over the"
    with pytest.raises(ArgumentError, match=message):
        make(landscape)
    without = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False)).double()
    with pytest.raises(ArgumentError, match=r"but 1 \(BatchNorm1d\) normalises"):
        make(tw.Landscape(without, CROSS, ragged(CROSS, 4), mode="train", params="0.*"))


def test_landscapes_that_cast():
    landscape = tw.Landscape(mlp().float(), CROSS, [(randn(3, 4).float(), classes(3))], autocast=torch.bfloat16)
    message = r"landscape: expected full precision, got one with autocast=\. Build it without\."
    with pytest.raises(ArgumentError, match=message):
        kfac(landscape)


@pytest.mark.parametrize("dtypes", [(torch.bfloat16, torch.bfloat16), (torch.float32, torch.float64)])
def test_types_that_are_not_supported(dtypes):
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 5).to(dtypes[0]), nn.Linear(5, 3).to(dtypes[1])

        def forward(self, x):
            return self.last(self.first(x.to(dtypes[0])).to(dtypes[1]))

    message = r"params: expected parameters of torch\.float32 or torch\.float64 and of one type, got torch\."
    with pytest.raises(ArgumentError, match=message):
        kfac(tw.Landscape(Mixed(), CROSS, ragged(CROSS, 4)))


def test_outputs_that_are_not_finite():
    model = mlp()
    landscape = tw.Landscape(model, CROSS, ragged(CROSS, 4))
    nowhere = landscape.at(torch.full_like(landscape.theta, torch.inf))
    with unchanged(model), pytest.raises(NonFiniteError, match="outputs: expected finite numbers, got one that is"):
        kfac(nowhere)


def test_memory_that_is_not_there(monkeypatch):
    landscape = tw.Landscape(mlp(), CROSS, ragged(CROSS, 4))
    monkeypatch.setattr(_kfac, "free_bytes", lambda device: 100)
    message = (
        r"kind: expected 'monte-carlo' for 5 × 3 outputs a pass, got 'ggn', which takes \S+ GB where 1e-07 GB are "
        r"free\. Smaller batches \(microbatch=\) take less\."
    )
    with pytest.raises(MemoryBudgetError, match=message):
        kfac(landscape)
    assert kfac(landscape, kind="monte-carlo").trace() > 0


def test_models_that_cannot_be_copied():
    model = mlp()
    model.scale = model[0].weight.detach().requires_grad_() * 2
    landscape = tw.Landscape(model, CROSS, ragged(CROSS, 4))
    message = (
        r"model: expected one that copy\.deepcopy copies, since a copy is evaluated; it says: Only Tensors created"
    )
    with unchanged(model), pytest.raises(ArgumentError, match=message):
        kfac(landscape)


@pytest.mark.parametrize("missing", ["curvlinops", "einops"])
def test_without_the_extra(monkeypatch, missing):
    for name in [name for name in sys.modules if name.split(".")[0] in ("curvlinops", missing)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    landscape = tw.Landscape(mlp(), CROSS, ragged(CROSS, 4))
    message = rf'{missing} is not installed; K-FAC comes with the extra "kfac": pip install "thalweg\[kfac\]"\.'
    with pytest.raises(MissingExtraError, match=message):
        kfac(landscape)
