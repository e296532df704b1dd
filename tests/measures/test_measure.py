"""Quantities measured together: the same numbers as one by one, with less work, and a plan beforehand."""

import math

import pytest
import torch

import thalweg as tw
from tests.golden import g1, g2
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, ObjectiveError
from thalweg.measures._quantities import QUANTITIES

SMALL = tw.MeasureSettings(top=3, bottom=2, probes=4, steps=9, noise=2)


def test_golden_numbers():
    found = tw.measure(g1(), settings=SMALL)
    assert found["loss"].value == pytest.approx(0.195783175766876, rel=1e-10)
    assert found["gradient norm"].value == pytest.approx(0.2740314130480007, rel=1e-10)
    assert found["largest eigenvalue"].value == pytest.approx(2.69247713777789, rel=1e-6)
    assert found["smallest eigenvalue"].value == pytest.approx(-0.248545330009527, rel=1e-6)
    assert found["LAS_1"].value == pytest.approx(0.053219722662857, rel=1e-4)
    assert found["LAS_3"].value == pytest.approx(0.335259318827456, rel=1e-4)
    assert found["sharpness at 0.05"].value == pytest.approx(0.0143180843083978, rel=1e-9)
    assert found["trace of Σ"].value == pytest.approx(1.29064319046283, rel=1e-10)
    assert found["gradient noise scale"].value == pytest.approx(1.29064319046283 / 0.2740314130480007**2, rel=1e-9)
    assert found["largest eigenvalue of Σ"].value == pytest.approx(1.002478793701, rel=1e-9)
    assert found["cosine of Σ and H"].value == pytest.approx(0.946927145834954, rel=1e-9)
    assert found["Zhu's ratio"].value == pytest.approx(5.13018745842257, rel=1e-9)
    assert found["difficulty"].value == pytest.approx(1.77297246445953, rel=1e-9)
    assert found["difficulty"].standard_error == 0
    for name, truth in {"trace": 3.8718508986352, "squared Frobenius norm": 8.39983556040}.items():
        row = found[name]
        assert row.low <= truth <= row.high


def test_any_subset_is_what_it_is_alone_and_takes_no_more():
    whole = tw.measure(g2(), settings=SMALL)
    for name in QUANTITIES:
        alone = tw.measure(g2(), name, settings=SMALL)
        assert set(alone.names) <= set(whole.names)
        assert alone.cost.matvecs <= whole.cost.matvecs
        for row in alone.rows:
            assert row.kind == whole[row.name].kind


def test_golden_difficulty_of_a_classifier():
    settings = tw.MeasureSettings(**{**vars(SMALL), "alignment": 21})
    row = tw.measure(g2(), "difficulty", settings=settings)["difficulty"]
    assert row.value == pytest.approx(0.376996458901440, rel=1e-9)
    assert row.standard_error == 0
    # Nothing but the residual of λ_max is left.
    assert 0 <= row.high - row.low < 1e-3
    assert row.low <= row.value <= row.high


def test_difficulty_and_alignment_have_the_same_products():
    both = tw.measure(g2(), ["alignment", "difficulty"], settings=SMALL)
    alone = tw.measure(g2(), "alignment", settings=SMALL)
    assert both.cost.matvecs == alone.cost.matvecs
    assert both["cosine of Σ and H"] == alone["cosine of Σ and H"]


class Bowl(torch.nn.Module):
    """f(x) = ½ x ‖θ‖²."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = torch.nn.Parameter(torch.tensor([1.0, 0.0], dtype=torch.float64))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return 0.5 * inputs * self.theta.square().sum()


def test_difficulty_needs_a_positive_trace():
    """Residuals of −1.75 and 0.25 at x = 1: H = θθᵀ − ¾ I = diag(¼, −¾), of trace −½."""
    data = [(torch.ones(2, 1).double(), torch.tensor([[2.25], [0.25]]).double())]
    landscape = tw.Landscape(Bowl(), tw.objectives.squared_error(), data)
    found = tw.measure(landscape, ["difficulty", "trace", "eigenvalues"], settings=SMALL)
    assert found["trace"].value == pytest.approx(-0.5)
    assert found["largest eigenvalue"].value == pytest.approx(0.25)
    row = found["difficulty"]
    assert (row.value, row.low, row.high) == (None, None, None)
    assert str(row) == "difficulty: – (tr H may not be positive; tw.difficulty takes another trace)"
    assert tw.difficulty(landscape).denominator == "Tr G"


def test_one_gradient_serves_all():
    found = tw.measure(g1(), ["loss", "gradient_norm", "anisotropy", "sharpness"], settings=SMALL)
    assert (found.cost.gradients, found.cost.losses) == (1, 1)


def test_what_is_not_asked_for_is_not_computed():
    found = tw.measure(g1(), "gradient_norm")
    assert found.spectrum is None
    assert (found.cost.matvecs, found.cost.gradients) == (0, 1)
    assert found.planned.matvecs == 0


def test_the_plan_says_what_it_takes():
    planned = tw.measure_cost(g2(), settings=SMALL)
    found = tw.measure(g2(), settings=SMALL)
    assert found.planned.matvecs == planned.matvecs
    assert planned.gradients == found.cost.gradients
    assert found.cost.matvecs / 3 <= planned.matvecs <= 3 * found.cost.matvecs


def test_the_plan_counts_no_more_products_than_there_are_parameters():
    """Both ends are all 21 eigenvalues: no probe is left, and products beyond 21 of one space say nothing new."""
    planned = tw.measure_cost(g2(), ("eigenvalues", "trace", "sums"))
    assert planned.matvecs == 21
    whole, found = tw.measure_cost(g2()), tw.measure(g2())
    assert found.cost.matvecs - 5 <= whole.matvecs <= found.cost.matvecs


def still(curvatures: list[float]) -> tw.Landscape:
    """½ Σ λᵢ θᵢ² at 0."""
    model = torch.nn.Linear(len(curvatures), 1, bias=False).double()
    torch.nn.init.zeros_(model.weight)
    count = len(curvatures)
    inputs = (count * torch.tensor(curvatures, dtype=torch.float64)).sqrt().diag()
    return tw.Landscape(model, tw.objectives.squared_error(), [(inputs, torch.zeros(count, 1).double())])


def test_a_critical_point_has_no_direction_and_says_so():
    found = tw.measure(still([1.0, 1.0]), ["anisotropy"])
    assert found["LAS_1"].value is None
    assert "undefined at a critical point" in str(found["LAS_1"])
    row = tw.measure(still([1.0, 1.0]), ["sharpness"])["sharpness at 0.05"]
    assert (row.value, row.low) == (None, None)
    assert "undefined: the gradient is zero" in row.note


@pytest.mark.parametrize("which", [("sharpness", "trace"), ("trace", "sharpness")])
def test_sharpness_at_a_critical_point_is_that_of_the_leading_eigenvector(which):
    """½(10x² + y²) rises by ½ρ²·10 on the sphere."""
    found = tw.measure(still([10.0, 1.0]), which)
    row = found["sharpness at 0.05"]
    assert row.value == pytest.approx(0.0125, rel=1e-9)
    assert (row.kind, row.low, row.high) == ("lower bound", row.value, None)
    assert "leading eigenvector" in row.note
    assert found.cost.losses == 2


@pytest.mark.parametrize("case", ["black box", "train mode", "one item"])
def test_what_a_landscape_does_not_allow_is_a_row_that_says_why(case):
    inputs, targets = torch.eye(4).double(), torch.arange(4).double()[:, None]
    data = [(inputs[:1], targets[:1])] if case == "one item" else [(inputs, targets)]
    objective = tw.objectives.squared_error()
    if case == "black box":
        objective = tw.objectives.from_function(lambda m, b: (m(b[0]) - b[1]).square().mean(), lambda b: len(b[0]))
    mode = "train" if case == "train mode" else "eval"
    landscape = tw.Landscape(torch.nn.Linear(4, 1).double(), objective, data, mode=mode)
    found = tw.measure(landscape, settings=SMALL)
    assert found["trace"].value is not None
    reason = {"black box": "is a black box", "train mode": "mode='eval'", "one item": "at least 2 data items"}[case]
    for name in ("noise", "alignment", "difficulty"):
        assert found[name].value is None
        assert reason in found[name].note
        with pytest.raises((ArgumentError, ObjectiveError), match=reason):
            tw.measure(landscape, name, settings=SMALL)
    assert tw.measure_cost(landscape, settings=SMALL).matvecs > 0


@pytest.mark.parametrize("tol", [1e-4, 3e-2])
def test_shares_of_the_gradient_lie_between_bounds(tol):
    landscape, settings = g2(), tw.MeasureSettings(**{**vars(SMALL), "tol": tol})
    values, vectors = torch.linalg.eigh(tw.hessian(landscape).dense())
    gradient = landscape.gradient()
    exact = (vectors.mT @ gradient).square().flip(0).cumsum(0) / gradient.square().sum()
    found = tw.measure(landscape, "anisotropy", settings=settings)
    for k in (1, 3):
        row = found[f"LAS_{k}"]
        assert (row.kind, row.standard_error) == ("bounds", None)
        assert row.low <= float(exact[k - 1]) <= row.high
        assert row.low <= row.value <= row.high
    # The next eigenvalue of the last one is not known: it has what lies in the smaller spaces.
    assert found["LAS_1"].high - found["LAS_1"].low < 2.5 * tol * float(values[-1] / (values[-1] - values[-2]))
    assert found["LAS_3"].low > 0.9 * float(exact[1])


def test_shares_of_all_eigenvectors_are_bounded_from_the_other_end():
    found = tw.measure(g2(), "anisotropy", settings=tw.MeasureSettings(top=20))
    assert found["LAS_20"].high - found["LAS_20"].low < 1e-6
    whole = tw.measure(g2(), "anisotropy", settings=tw.MeasureSettings(top=21))["LAS_21"]
    assert (whole.low, whole.high) == (pytest.approx(1.0), 1.0)


def test_without_a_gap_a_share_is_an_estimate():
    landscape = still([1.0, 1.0, 1.0])
    landscape = landscape.at(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    row = tw.measure(landscape, "anisotropy", settings=tw.MeasureSettings(top=1, bottom=1))["LAS_1"]
    assert (row.kind, row.low, row.high, row.standard_error) == ("estimate", None, None, None)
    assert "no gap beyond the residuals" in row.note


def test_what_comes_of_iterations_is_not_called_exact():
    rough = tw.MeasureSettings(**{**vars(SMALL), "tol": 3e-2})
    found = tw.measure(g2(), ["eigenvalues"], settings=rough)
    row = found["condition number"]
    values = torch.linalg.eigvalsh(tw.hessian(g2()).dense())
    assert row.kind == "bounds"
    assert row.low <= float(values[-1] / values[0].abs()) <= row.high


def test_a_tidy_table_and_through_json():
    found = tw.measure(g1(), ["trace", "eigenvalues"], settings=SMALL)
    columns = found.columns()
    assert columns["name"] == list(found.names)
    assert {len(column) for column in columns.values()} == {len(found.rows)}
    again = tw.measures.Measures.from_dict(found.to_dict())
    assert again.rows == found.rows
    assert str(again) == str(found)
    assert "trace" in str(found)
    assert not any(row.value is not None and math.isnan(row.value) for row in found.rows)


def test_the_same_bits_for_the_same_seed():
    first, again = (tw.measure(g2(), settings=SMALL) for _ in range(2))
    other = tw.measure(g2(), settings=tw.MeasureSettings(**{**vars(SMALL), "seed": 1}))
    assert first.rows == again.rows
    assert first["trace"].value != other["trace"].value


def test_bad_arguments_are_named():
    with unchecked(), pytest.raises(ArgumentError, match=r"which: expected names of 'loss', .*, got 'sharp'\."):
        tw.measure(g1(), ["sharp"])
    with unchecked(), pytest.raises(ArgumentError, match="which: expected a name, several of them or None, got int"):
        tw.measure(g1(), 3)
    with unchecked(), pytest.raises(ArgumentError, match="settings: expected MeasureSettings or None, got str"):
        tw.measure(g1(), ["loss"], settings="x")
    with pytest.raises(ArgumentError, match="which: expected at least one name, got none"):
        tw.measure(g1(), [])
    with pytest.raises(ArgumentError, match="probes: expected at least 2, got 1"):
        tw.MeasureSettings(probes=1)
    with pytest.raises(ArgumentError, match="name: expected one of 'loss', got 'trace'"):
        tw.measure(g1(), "loss")["trace"]
