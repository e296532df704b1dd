"""``thalweg measure --which``: a table of quantities, and what it will take before it starts."""

import json

import pytest
import torch

import thalweg as tw
from tests import golden
from tests.cli.test_cli import call
from thalweg.study import survey_cost

TARGET = """
from tests import golden

g1 = golden.g1()


def late():
    raise LookupError("not yet")
"""


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "golden_networks.py"
    path.write_text(TARGET)
    return path


def test_the_table_is_what_measure_returns(monkeypatch, capsys, target):
    code, shown, said = call(monkeypatch, capsys, "measure", f"{target}:g1", "--which", "loss, trace,noise")
    assert code == 0, said
    lines = {line.strip().partition("  ")[0]: line.split() for line in shown.splitlines()}
    # O1.
    assert lines["loss"][1] == "0.1958"
    assert lines["trace"][1] == "3.872"
    assert lines["trace of Σ"][3] == "1.291"
    assert "± 0.57 on other data of the kind" in shown
    assert "g1: 9 parameters, 4 data items" in shown
    assert "products" in shown.splitlines()[-1]


def test_uncertain_numbers_are_shown_with_their_interval(monkeypatch, capsys, tmp_path):
    path = tmp_path / "wide.py"
    path.write_text(
        "import torch, thalweg as tw\n"
        "torch.manual_seed(0)\n"
        "model = torch.nn.Sequential(torch.nn.Linear(9, 9), torch.nn.Tanh(), torch.nn.Linear(9, 1))\n"
        "data = [(torch.randn(20, 9), torch.randn(20, 1))]\n"
        "landscape = tw.Landscape(model, tw.objectives.mse(), data)\n"
    )
    asked = ("measure", f"{path}:landscape", "--which", "trace,sharpness", "--top", "3", "--probes", "3")
    code, shown, _ = call(monkeypatch, capsys, *asked)
    assert code == 0
    trace = next(line for line in shown.splitlines() if line.strip().startswith("trace"))
    _, value, sign, error, low, high, kind = trace.split()
    assert (sign, kind) == ("±", "estimate")
    assert float(low) < float(value) - float(error) < float(value) + float(error) < float(high)
    sharpness = next(line for line in shown.splitlines() if line.strip().startswith("sharpness"))
    assert "lower bound" in sharpness
    assert sharpness.split()[3] == sharpness.split()[4]


def test_the_cost_is_said_before_it_starts(monkeypatch, capsys, target):
    said_then = []

    def stopped(*_, **__):
        said_then.append(capsys.readouterr().err)
        raise KeyboardInterrupt

    monkeypatch.setattr("thalweg.cli._measure.measure", stopped)
    code, shown, _ = call(monkeypatch, capsys, "measure", f"{target}:g1", "--which", "loss,gradient_norm")
    assert (code, shown) == (130, "")
    (line,) = said_then
    assert line.startswith("thalweg: loss, gradient_norm: about 1 gradient, ")
    assert line.endswith(" s\n")


def test_the_cost_of_a_report_is_said_before_it_starts_too(monkeypatch, capsys, target, tmp_path):
    said_then = []

    def stopped(*_, **__):
        said_then.append(capsys.readouterr().err)
        raise KeyboardInterrupt

    monkeypatch.setattr("thalweg.cli._app.survey", stopped)
    call(monkeypatch, capsys, "measure", f"{target}:g1", "--out", str(tmp_path / "report"))
    assert said_then[0].startswith("thalweg: the report on g1: about ")
    assert "products" in said_then[0]


def test_json_is_the_record(monkeypatch, capsys, target):
    asked = ("measure", f"{target}:g1", "--which", "noise,trace", "--json", "--seed", "3")
    code, shown, said = call(monkeypatch, capsys, *asked)
    assert code == 0
    assert said.startswith("thalweg: noise, trace: about ")
    found = tw.Measures.from_dict(json.loads(shown))
    again = tw.measure(golden.g1(), ["noise", "trace"], settings=tw.MeasureSettings(top=9, seed=3))
    assert found.columns() == again.columns()
    # O1.
    assert found["trace of Σ"].value == pytest.approx(1.29064319046283, rel=1e-9)


def test_all_is_everything(monkeypatch, capsys, target):
    code, shown, said = call(monkeypatch, capsys, "measure", f"{target}:g1", "--which", "all", "--json")
    assert code == 0
    assert said.startswith("thalweg: 10 quantities: about ")
    assert tw.Measures.from_dict(json.loads(shown)).names == tw.measure(golden.g1()).names


def test_products_are_kept_and_taken_up_again(monkeypatch, capsys, target, tmp_path):
    asked = ("measure", f"{target}:g1", "--which", "trace", "--json", "--checkpoint", str(tmp_path / "kept"))
    first, again = (tw.Measures.from_dict(json.loads(call(monkeypatch, capsys, *asked)[1])) for _ in range(2))
    assert first.cost.matvecs > 0
    # The last one that was kept is made again, to see whether it is the same matrix.
    assert again.cost.matvecs == 1
    assert again.columns() == first.columns()
    alone = tw.measure(golden.g1(), "trace", settings=tw.MeasureSettings(top=9))
    assert alone.columns() == first.columns()


@pytest.mark.parametrize("suffix", ["png", "html"])
def test_the_table_is_drawn(monkeypatch, capsys, target, tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    code, _, said = call(monkeypatch, capsys, "measure", f"{target}:g1", "--which", "loss", "--figure", str(path))
    assert code == 0
    assert f"figure written to {path}" in said
    assert path.stat().st_size > 5_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--which", "trace,volume"), "which: expected names of 'loss', 'gradient_norm', 'eigenvalues', 'trace'"),
        (("--which", "trace,volume"), "got 'volume'"),
        (("--which", ""), "got ''"),
        (("--which", "trace", "--out", "somewhere"), "out: expected none with --which"),
        (("--figure", "x.png"), "figure: expected --which beside it"),
        (("--which", "trace", "--figure", "x.gif"), "figure: expected a file ending in .html, .png, .svg or .pdf"),
        (("--which", "trace", "--top", "30"), "top: expected at most the number of parameters 9, got 30"),
        (("--which", "trace", "--probes", "1"), "Invalid value for '--probes'"),
    ],
)
def test_wrong_requests_are_one_line_and_nothing_is_computed(monkeypatch, capsys, target, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("thalweg.cli._measure.measure", None)
    code, shown, said = call(monkeypatch, capsys, "measure", f"{target}:g1", *arguments)
    assert (code, shown) == (2, "")
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {target.name, "__pycache__"}


def test_names_are_looked_at_before_the_users_file_runs(monkeypatch, capsys, target):
    code, _, said = call(monkeypatch, capsys, "measure", f"{target}:late", "--which", "volume")
    assert code == 2
    assert "got 'volume'" in said
    assert "LookupError" not in said


def test_help_names_the_quantities(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    code, shown, _ = call(monkeypatch, capsys, "measure", "--help")
    assert code == 0
    for name in ("gradient_norm", "anisotropy", "difficulty"):
        assert name in shown


def test_the_cost_of_a_survey_is_near_what_it_takes():
    model = tw.models.mlp((4, 8, 2), generator=torch.Generator().manual_seed(0))
    data = tw.data.gaussian(4, 64, 2, noise=0.0, separation=3.0)
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), data.batches("train"))
    settings = tw.SurveySettings(top=3, bottom=2, steps=20, surface=5, line=5)
    planned, took = survey_cost(landscape, settings), tw.survey(landscape, settings).cost
    for name in ("matvecs", "losses", "gradients"):
        assert 1 / 3 <= getattr(planned, name) / getattr(took, name) <= 3
