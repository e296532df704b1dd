"""Norms of blocks against the dense matrix, and how often their intervals cover."""

import json
import math

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import classes, mlp, randn, scrambled, tied, tokens
from tests.unchecked import unchecked
from thalweg.landscape._grouping import grouped
from thalweg.landscape._parameters import Layout
from thalweg.operators._composite import Composite


def landscape() -> tw.Landscape:
    layers = [nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3)]
    model = scrambled(nn.Sequential(*layers).double())
    return tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(20, 4), classes(20))])


def squares(op, by="layer") -> torch.Tensor:
    """‖A_gh‖² of the dense matrix."""
    matrix, layout = op.dense(), op.landscape.layout
    places = [layout.places(names, matrix.device) for names in grouped(layout, by, matrix.dtype).values()]
    return torch.tensor([[float(matrix[g][:, h].square().sum()) for h in places] for g in places])


def structured(matrix: torch.Tensor, sizes: list[int]) -> Composite:
    """A matrix whose vectors run over parameters of these sizes."""
    layout = Layout(tuple(f"l{i}.weight" for i in range(len(sizes))), tuple(torch.Size((size,)) for size in sizes))
    plain = tw.FunctionOperator(lambda v: matrix @ v, len(matrix), dtype=matrix.dtype)
    return Composite(plain.space, (plain,), lambda block: plain @ block, layout, "structured")


@pytest.mark.parametrize("matrix", [tw.hessian, tw.ggn, tw.gradient_covariance])
@pytest.mark.parametrize("by", ["layer", "parameter"])
def test_as_many_products_as_entries_are_exact(matrix, by):
    op = matrix(landscape())
    found = tw.block_structure(op, by, probes=200)
    truth = squares(op, by)
    torch.testing.assert_close(found.squares.float(), truth, rtol=1e-6, atol=1e-12)
    assert torch.equal(found.squares, found.squares.mT)
    assert not found.standard_error.any()
    assert not found.samples.any()
    assert found.cost.matvecs == op.matvecs - op.shape[0] == op.shape[0]
    assert found.share.value == pytest.approx(float(truth.diagonal().sum() / truth.sum()), rel=1e-6)
    assert found.share.standard_error == 0
    assert found.frobenius.value == pytest.approx(float(op.dense().square().sum()), rel=1e-9)


def test_small_groups_are_exact_in_rows_and_columns():
    op = tw.hessian(landscape())
    found = tw.block_structure(op, "parameter", probes=7)
    truth = squares(op, "parameter")
    small = torch.tensor([size <= 7 for size in found.sizes])
    exact = small | small[:, None]
    torch.testing.assert_close(found.squares[exact].float(), truth[exact], rtol=1e-6, atol=1e-12)
    assert not found.standard_error[exact].any()
    assert (found.standard_error[~exact] > 0).all()
    assert (found.samples.diagonal()[~small] == 7).all()
    assert int(found.samples[0, 2]) == 14
    assert found.block("0.weight", "0.weight").dof == 6
    assert found.block("0.bias", "0.weight").dof is None


def test_standard_errors_cover():
    """In 90 to 99 % of 400 runs, each block, the sum and the diagonal's share."""
    generator = torch.Generator().manual_seed(3)
    matrix = torch.randn(40, 40, dtype=torch.float64, generator=generator)
    matrix = (matrix + matrix.mT) * torch.linspace(0.3, 1.5, 40, dtype=torch.float64)
    matrix = (matrix + matrix.mT) / 2
    sizes = [18, 3, 12, 7]
    op = structured(matrix, sizes)
    parts = [part.split(sizes, dim=1) for part in matrix.split(sizes)]
    truth = torch.tensor([[float(block.square().sum()) for block in row] for row in parts])
    share = float(truth.diagonal().sum() / truth.sum())
    hits, whole, of_diagonal = torch.zeros(4, 4), 0, 0
    for seed in range(400):
        found = tw.block_structure(op, probes=6, generator=torch.Generator().manual_seed(seed))
        for g in range(4):
            for h in range(4):
                low, high = found.block(found.names[g], found.names[h]).interval()
                hits[g, h] += low - 1e-9 <= truth[g, h] <= high + 1e-9 * high
        low, high = found.frobenius.interval()
        whole += low <= float(truth.sum()) <= high
        low, high = found.share.interval()
        of_diagonal += low <= share <= high
    drawn = torch.tensor([0, 2, 3])
    rates = torch.cat([hits[drawn][:, drawn].flatten() / 400, torch.tensor([whole, of_diagonal]) / 400])
    assert ((rates >= 0.90) & (rates <= 0.99)).all(), rates
    assert (hits[1] == 400).all()


@pytest.mark.slow
def test_standard_errors_cover_on_a_network():
    """In 90 to 99 % of 400 runs of 20 probes a group; blocks of Hessians are near rank one, which skews the samples."""
    op = tw.hessian(landscape())
    matrix = op.dense()
    fixed = Composite(op.space, (op,), lambda block: matrix @ block, op.landscape.layout, "dense")
    truth = squares(op)
    hits = torch.zeros(3, 3)
    shares = 0
    for seed in range(400):
        found = tw.block_structure(fixed, probes=20, generator=torch.Generator().manual_seed(seed))
        low, high = found.share.interval()
        shares += low <= float(truth.diagonal().sum() / truth.sum()) <= high
        for g in range(3):
            for h in range(3):
                low, high = found.block(found.names[g], found.names[h]).interval()
                hits[g, h] += low <= truth[g, h] * (1 + 1e-6) and truth[g, h] * (1 - 1e-6) <= high
    assert ((hits / 400 >= 0.90) & (hits / 400 <= 0.99)).all(), hits / 400
    assert 0.90 <= shares / 400 <= 0.99


def test_without_bias():
    """The mean over 400 runs is the truth, to its own error."""
    op = tw.hessian(landscape())
    matrix = op.dense()
    fixed = Composite(op.space, (op,), lambda block: matrix @ block, op.landscape.layout, "dense")
    runs = torch.stack(
        [
            tw.block_structure(fixed, probes=4, generator=torch.Generator().manual_seed(seed)).squares
            for seed in range(400)
        ]
    )
    error = runs.std(dim=0) / math.sqrt(400)
    assert ((runs.mean(dim=0) - squares(op)).abs() <= 4 * error).all()


def test_both_sides_of_a_block_are_pooled():
    """A product in each group: pooling halves the variance of what either side says alone."""
    op = tw.ggn(landscape())
    matrix = op.dense()
    fixed = Composite(op.space, (op,), lambda block: matrix @ block, op.landscape.layout, "dense")
    runs = [tw.block_structure(fixed, probes=8, generator=torch.Generator().manual_seed(s)) for s in range(200)]
    spread = torch.stack([run.squares[0, 1] for run in runs]).std()
    own = torch.randn(matrix.shape[0], 1600, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    own[30:] = 0
    own *= math.sqrt(30) / own.norm(dim=0)
    alone = (matrix @ own)[30:72].square().sum(dim=0).reshape(200, 8).mean(dim=1).std()
    assert 0.55 <= float(spread / alone) <= 0.9


def test_normalisations():
    op = tw.ggn(landscape())
    found = tw.block_structure(op, probes=200)
    sizes = torch.tensor(found.sizes, dtype=torch.float64)
    torch.testing.assert_close(found.norms**2, found.squares)
    torch.testing.assert_close(found.rms**2 * sizes * sizes[:, None], found.squares)
    torch.testing.assert_close(found.coupling.diagonal(), torch.ones(3, dtype=torch.float64))
    # Cauchy and Schwarz, for a positive semi-definite matrix.
    assert (found.coupling <= 1 + 1e-12).all()
    first, second = found.squares[0, 0], found.squares[1, 1]
    assert float(found.coupling[0, 1]) == pytest.approx(float(found.norms[0, 1] / (first * second) ** 0.25))


def test_a_zero_block_and_a_zero_matrix():
    matrix = torch.zeros(12, 12, dtype=torch.float64)
    empty = tw.block_structure(structured(matrix, [7, 5]), probes=3)
    assert empty.share is None
    assert empty.frobenius.value == 0
    assert empty.coupling.isnan().all()
    assert str(empty) == "2 groups, ‖A‖² 0"
    matrix[:7, :7] = 1
    one = tw.block_structure(structured(matrix, [7, 5]), probes=3)
    assert one.share.value == pytest.approx(1)
    assert one.share.standard_error == pytest.approx(0, abs=1e-12)
    assert one.coupling.isnan().tolist() == [[False, True], [True, True]]


def test_tied_parameters_wrappers_and_single_precision():
    whole = tw.Landscape(tied(), tw.objectives.causal_lm(), [tokens(5)])
    op = tw.hessian(whole)
    found = tw.block_structure(tw.scaled(op, -2.0), probes=30)
    torch.testing.assert_close(found.squares.float(), 4 * squares(op), rtol=1e-6, atol=0)
    assert found.members["embed"] == ("embed.weight",)
    single = tw.Landscape(mlp().float(), tw.objectives.cross_entropy(), [(randn(9, 4).float(), classes(9))])
    plain = tw.block_structure(tw.hessian(single), probes=30)
    double = tw.Landscape(mlp(), tw.objectives.cross_entropy(), [(randn(9, 4), classes(9))])
    torch.testing.assert_close(plain.squares.float(), squares(tw.hessian(double)), rtol=1e-4, atol=1e-8)


def test_the_same_bits_through_json_and_for_the_same_seed():
    op = tw.hessian(landscape())
    first, second = (tw.block_structure(op, probes=5, generator=torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(first.squares, second.squares)
    again = tw.BlockStructure.from_dict(json.loads(json.dumps(first.to_dict(), allow_nan=False)))
    assert torch.equal(again.squares, first.squares)
    assert torch.equal(again.samples, first.samples)
    assert again.share == first.share
    assert str(again) == str(first)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probes": 1}, r"^probes: expected at least 2, since one has no spread, got 1\."),
        ({"probes": 2.5}, r"^probes: expected a whole number, got 2\.5"),
        ({"by": "block"}, r"^by: expected 'layer', 'parameter', a mapping .*, got 'block'\."),
        ({"generator": 3}, r"^generator: expected a torch\.Generator or None, got 3\."),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.block_structure(tw.hessian(landscape()), **arguments)


def test_what_has_no_parameters_is_refused():
    with pytest.raises(tw.errors.ArgumentError, match=r"^operator: expected one that runs over the parameters"):
        tw.block_structure(tw.FunctionOperator(lambda v: v, 3))
    found = tw.block_structure(tw.hessian(landscape()), probes=2)
    with pytest.raises(tw.errors.ArgumentError, match=r"^name: expected one of '0', '2', '4', got '1'\."):
        found.block("0", "1")
