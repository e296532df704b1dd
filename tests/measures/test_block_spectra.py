"""Spectra of diagonal blocks against dense ones."""

import json

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import classes, cnn, mlp, randn, tied, tokens
from tests.unchecked import unchecked
from thalweg.landscape._grouping import grouped

SHORT = {"top": 4, "bottom": 2, "probes": 2, "steps": 8}
LAYERS = {"first": "0.*", "last": ["2.weight", "2.bias"]}


def landscape(model: nn.Module | None = None, **options) -> tw.Landscape:
    data = [(randn(12, 4), classes(12)), (randn(7, 4, seed=3), classes(7))]
    return tw.Landscape(model or mlp(), tw.objectives.cross_entropy(), data, **options)


def blocks(op: tw.Curvature, by) -> dict[str, torch.Tensor]:
    """The diagonal blocks of the dense matrix."""
    matrix, layout = op.dense(), op.landscape.layout
    places = {name: layout.places(m, matrix.device) for name, m in grouped(layout, by, matrix.dtype).items()}
    return {name: matrix[own][:, own] for name, own in places.items()}


@pytest.mark.parametrize("matrix", [tw.hessian, tw.ggn, tw.residual, tw.gradient_covariance])
@pytest.mark.parametrize("by", ["layer", "parameter", LAYERS, lambda name: name.rpartition(".")[2]])
def test_each_group_has_the_spectrum_of_its_dense_block(matrix, by):
    whole = landscape()
    found = tw.block_spectra(whole, by, matrix=matrix, top=4, bottom=2, steps=12, probes=10, tol=1e-8)
    for name, block in blocks(matrix(whole), by).items():
        exact, one = torch.linalg.eigvalsh(block), found[name]
        size = len(block)
        assert one.size == size
        torch.testing.assert_close(one.top.values, exact.flip(0)[: min(4, size)], rtol=0, atol=1e-9)
        torch.testing.assert_close(one.bottom.values, exact[: min(2, size)], rtol=0, atol=1e-9)
        for estimate, truth in ((one.trace, exact.sum()), (one.frobenius, exact.square().sum())):
            assert abs(estimate.value - float(truth)) <= 6 * estimate.standard_error + 1e-12
    assert found.names == tuple(blocks(matrix(whole), by))
    assert sum(found.sizes) == whole.size
    assert found.matrix == matrix(whole).kind


def test_groups_of_one_and_two_parameters():
    model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Tanh(), nn.Linear(1, 1, bias=False)).double()
    whole = tw.Landscape(model, tw.objectives.squared_error(), [(randn(6, 2), randn(6, 1))])
    found = tw.block_spectra(whole)
    assert found.sizes == (2, 1)
    for name, block in blocks(tw.hessian(whole), "layer").items():
        exact = torch.linalg.eigvalsh(block)
        torch.testing.assert_close(found[name].top.values, exact.flip(0))
        assert found[name].trace.value == pytest.approx(float(exact.sum()))
        assert found[name].trace.standard_error == 0


def test_the_traces_add_up():
    whole = landscape(params=["*.weight", "2.bias"])
    found = tw.block_spectra(whole, probes=8, steps=20)
    exact = float(tw.hessian(whole).dense().trace())
    assert abs(found.trace.value - exact) <= 5 * found.trace.standard_error
    assert found.trace.standard_error < sum(one.trace.standard_error for one in found.spectra.values())
    assert found.trace.dof >= 1


def test_tied_and_frozen_parameters():
    model = tied()
    model.mix.bias.requires_grad_(False)
    whole = tw.Landscape(model, tw.objectives.causal_lm(), [tokens(5)])
    found = tw.block_spectra(whole, **SHORT)
    assert found.members == {"embed": ("embed.weight",), "mix": ("mix.weight",)}
    for name, block in blocks(tw.hessian(whole), "layer").items():
        torch.testing.assert_close(found[name].top.values[0], torch.linalg.eigvalsh(block)[-1])


def test_a_group_without_curvature():
    """The bias before a batch norm in train mode has none."""
    model = cnn()
    whole = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(6, 1, 6, 6), classes(6))], mode="train")
    found = tw.block_spectra(whole, {"bias": "0.bias", "rest": ["0.weight", "[15].*"]}, steps=10, probes=2)
    assert found["bias"].frobenius.value == pytest.approx(0, abs=1e-20)


def test_a_matrix_of_ones_own():
    whole = landscape()
    found = tw.block_spectra(whole, matrix=lambda part: tw.shifted(tw.ggn(part), 0.5), **SHORT)
    plain = tw.block_spectra(whole, matrix=tw.ggn, **SHORT)
    for name in found.names:
        torch.testing.assert_close(found[name].top.values, plain[name].top.values + 0.5)


def test_what_has_not_converged_is_named_once():
    whole = landscape()
    with pytest.warns(tw.errors.ConvergenceWarning) as caught:
        found = tw.block_spectra(whole, **{**SHORT, "top": 3}, max_matvecs=6, tol=1e-12)
    assert len(caught) == 1
    for name in ("0", "2"):
        assert not found[name].top.converged.all()
        assert f"'{name}' (" in str(caught[0].message)


def test_the_same_bits_through_json_and_for_the_same_seed():
    first, second = (
        tw.block_spectra(landscape(), **SHORT, generator=torch.Generator().manual_seed(4)) for _ in range(2)
    )
    # All but the seconds.
    assert str(first) == str(second)
    again = tw.BlockSpectra.from_dict(json.loads(json.dumps(first.to_dict(), allow_nan=False)))
    assert str(again) == str(first)
    assert again.members == first.members
    assert "first" in str(tw.block_spectra(landscape(), LAYERS, **SHORT))
    assert first["0"].top.vectors is None
    with pytest.raises(tw.errors.ArgumentError, match=r"^name: expected one of '0', '2', got '1'\.$"):
        first["1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"matrix": "hessian"}, r"^matrix: expected a function that makes an operator .*, got 'hessian'\."),
        ({"matrix": lambda part: 3}, r"^matrix: expected an operator, got int\."),
        ({"by": {"a": "0.*"}}, r"^by: expected a group for every parameter, got none for 2\.weight, 2\.bias\."),
        ({"top": 0}, r"^top: expected at least 1, got 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.block_spectra(landscape(), **arguments)


def test_a_matrix_of_another_landscape_is_refused():
    whole = landscape()
    with pytest.raises(tw.errors.ArgumentError, match=r"^matrix: expected an operator over the 25 parameters .* 43\."):
        tw.block_spectra(whole, matrix=lambda _: tw.hessian(whole))
