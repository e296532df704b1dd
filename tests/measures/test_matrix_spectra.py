"""Several matrices of one landscape, against dense ones."""

import json

import pytest
import torch

import thalweg as tw
from tests.landscape.models import classes, mlp, randn
from tests.unchecked import unchecked

SHORT = {"top": 3, "bottom": 1, "probes": 2, "steps": 8}
OPERATORS = {
    "hessian": tw.hessian,
    "ggn": tw.ggn,
    "residual": tw.residual,
    "fisher": tw.fisher,
    "monte_carlo_fisher": lambda landscape: tw.fisher(landscape, "monte-carlo"),
    "empirical_fisher": lambda landscape: tw.fisher(landscape, "empirical"),
    "gradient_covariance": tw.gradient_covariance,
}


def landscape() -> tw.Landscape:
    return tw.Landscape(mlp(), tw.objectives.cross_entropy(), [(randn(14, 4), classes(14))])


def test_each_matrix_has_its_own_spectrum():
    whole = landscape()
    found = tw.matrix_spectra(whole, tuple(OPERATORS), top=5, bottom=3, steps=12, tol=1e-8)
    for name, make in OPERATORS.items():
        exact, one = torch.linalg.eigvalsh(make(whole).dense()), found[name]
        torch.testing.assert_close(one.top.values, exact.flip(0)[:5], rtol=0, atol=1e-9)
        torch.testing.assert_close(one.bottom.values, exact[:3], rtol=0, atol=1e-9)
        assert abs(one.trace.value - float(exact.sum())) <= 6 * one.trace.standard_error + 1e-9
    assert found.names == tuple(OPERATORS)


def test_the_exact_fisher_takes_the_spectrum_of_the_ggn():
    whole = landscape()
    both = tw.matrix_spectra(whole, ("ggn", "fisher"), **SHORT)
    assert both.same_as == {"fisher": "ggn"}
    assert both["fisher"] is both["ggn"]
    alone = tw.matrix_spectra(whole, ("fisher",), **SHORT)
    assert alone.same_as == {}
    assert both.cost.matvecs == alone.cost.matvecs
    assert torch.equal(alone["fisher"].top.values, both["ggn"].top.values)
    assert str(both).endswith("fisher equals ggn here")
    assert tw.matrix_spectra(whole, ("fisher", "ggn"), **SHORT).same_as == {"ggn": "fisher"}


def test_matrices_of_ones_own():
    whole = landscape()
    found = tw.matrix_spectra(whole, {"G": tw.ggn, "damped": lambda at: tw.shifted(tw.ggn(at), 2.0)}, **SHORT)
    torch.testing.assert_close(found["damped"].top.values, found["G"].top.values + 2)


def test_what_cannot_be_had_is_said_before_anything_is_computed():
    calls = []

    def loss(model, batch):
        calls.append(1)
        return (model(batch) ** 2).mean()

    whole = tw.Landscape(mlp(), tw.objectives.from_function(loss, len), [randn(4, 4)])
    before = len(calls)
    with pytest.raises(tw.errors.ObjectiveError):
        tw.matrix_spectra(whole)
    assert len(calls) == before
    assert tw.matrix_spectra(whole, "hessian", **SHORT).names == ("hessian",)


def test_through_json_with_a_table():
    found = tw.matrix_spectra(landscape(), **SHORT)
    again = tw.MatrixSpectra.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert str(again) == str(found)
    head, *rows = str(found).splitlines()[:6]
    assert head.split() == ["size", "λ", "max", "λ", "min", "trace", "‖A‖²", "outliers"]
    assert [row.split()[0] for row in rows] == list(found.names)
    # Rounding is no eigenvalue.
    assert rows[1].split()[3] == "0"


def test_what_has_not_converged_is_named():
    with pytest.warns(tw.errors.ConvergenceWarning, match=r"in matrix 'hessian' \(\d of 5 converged\), 'residual'"):
        tw.matrix_spectra(landscape(), ("hessian", "residual"), **{**SHORT, "bottom": 2}, max_matvecs=6, tol=1e-12)


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        (("hessian", "kfac"), r"^matrices: expected names of 'hessian', .*, got 'kfac'\."),
        ((), r"^matrices: expected at least one, got none\."),
        ({"a": 3}, r"^matrix: expected a function that makes an operator .*, got 3\."),
    ],
)
def test_bad_matrices_are_named(matrices, message):
    with unchecked(), pytest.raises(tw.errors.ArgumentError, match=message):
        tw.matrix_spectra(landscape(), matrices)
