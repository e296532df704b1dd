"""The command line as a user meets it: files on disk, one line for an error, exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import thalweg as tw
from thalweg.cli import main
from thalweg.cli._target import load_target

TARGET = """
import torch
import thalweg as tw

model = torch.nn.Linear(2, 1)
torch.nn.init.ones_(model.weight)
data = [(torch.eye(2), torch.zeros(2, 1))]
landscape = tw.Landscape(model, tw.objectives.mse(), data)
number = 3


def build():
    return landscape


def broken():
    return 1 / 0


def asks(for_more):
    return landscape


def misshapen():
    return tw.Landscape(torch.nn.Linear(3, 1), tw.objectives.mse(), data)


class Fails(torch.nn.Linear):
    calls = 0

    def forward(self, x):
        Fails.calls += 1
        if Fails.calls > 9:
            raise LookupError("lost on the way")
        return super().forward(x)


def fails_later():
    return tw.Landscape(Fails(2, 1), tw.objectives.mse(), data)


def one_parameter():
    return tw.Landscape(torch.nn.Linear(2, 1), tw.objectives.mse(), data, params="bias")


rounded = tw.Landscape(model, tw.objectives.mse(), data, autocast=torch.bfloat16)
"""


@pytest.fixture
def target(tmp_path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(TARGET)
    return path


@pytest.fixture(autouse=True)
def _modules():
    """A target file becomes a module; the next test writes another one under the same name."""
    yield
    sys.modules.pop("mine", None)


def call(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Run the command and return its exit code and what it printed."""
    monkeypatch.setattr(sys, "argv", ["thalweg", *arguments])
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("name", ["landscape", "build"])
def test_measure_writes_a_report(monkeypatch, capsys, target, tmp_path, name):
    out = tmp_path / "report"
    code, printed, said = call(monkeypatch, capsys, "measure", f"{target}:{name}", "--out", str(out), "--top", "2")
    assert code == 0, said
    assert "largest eigenvalue" in printed
    assert said.strip().endswith(f"report written to {out / 'index.html'}")
    findings = tw.read_results(out / "results.json")
    (found,) = findings.measurements
    assert found.size == 3
    assert len(found.top.values) == 2
    assert findings.configuration["target"].endswith(f"mine.py:{name}")


def test_json_is_what_the_report_holds(monkeypatch, capsys, target, tmp_path):
    out = tmp_path / "r"
    code, printed, _ = call(monkeypatch, capsys, "measure", f"{target}:landscape", "--out", str(out), "--json")
    assert code == 0
    assert printed == (out / "results.json").read_text(encoding="utf-8")


def test_json_is_the_findings_and_nothing_else(monkeypatch, capsys, target, tmp_path):
    code, printed, _ = call(
        monkeypatch,
        capsys,
        "measure",
        f"{target}:landscape",
        "--out",
        str(tmp_path / "r"),
        "--json",
        "--seed",
        "4",
        "--top",
        "1",
        "--probes",
        "2",
    )
    assert code == 0
    findings = tw.Findings.from_dict(json.loads(printed)["findings"])
    assert findings.configuration["measure.seed"] == 4
    assert findings.configuration["measure.probes"] == 2


def test_the_device_is_used(monkeypatch, capsys, target, tmp_path):
    arguments = ["measure", f"{target}:landscape", "--out", str(tmp_path / "r"), "--json", "--device", "cpu"]
    code, printed, _ = call(monkeypatch, capsys, *arguments)
    assert code == 0
    assert json.loads(printed)["findings"]["measurements"][0]["top"]["provenance"]["device"] == "cpu"


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        ("nowhere.py:landscape", "target: expected an existing file, got 'nowhere.py'"),
        ("nowhere.py", "target: expected FILE.py:NAME, got 'nowhere.py'"),
        ("{}:missing", "expected a name in {}, got 'missing'. It defines torch, tw, model, data, landscape, number"),
        ("{}:asks", "expected asks to be a Landscape or a function without arguments that returns one, got function"),
        ("{}:number", "expected number to be a Landscape or a function without arguments that returns one, got int"),
    ],
)
def test_a_wrong_target_is_one_line(monkeypatch, capsys, target, tmp_path, spoiled, message):
    code, printed, said = call(
        monkeypatch, capsys, "measure", spoiled.format(target), "--out", str(tmp_path / "report")
    )
    assert code == 2
    assert printed == ""
    assert said.startswith("thalweg: error: ")
    assert len(said.strip().splitlines()) == 1
    assert message.format(target) in said
    assert not (tmp_path / "report").exists()


def test_a_target_that_raises_keeps_its_traceback(monkeypatch, capsys, target, tmp_path):
    code, _, said = call(monkeypatch, capsys, "measure", f"{target}:broken", "--out", str(tmp_path / "report"))
    assert code == 2
    assert "return 1 / 0" in said
    assert "_guarded" not in said
    last = said.strip().splitlines()[-1]
    assert last.startswith("thalweg: error: target: broken() raised ZeroDivisionError: division by zero")
    assert f"({target}, line 17)" in last
    assert list(tmp_path.iterdir()) == [target] or {p.name for p in tmp_path.iterdir()} <= {"mine.py", "__pycache__"}


def test_the_line_is_the_users_own_though_torch_raises(monkeypatch, capsys, target, tmp_path):
    # Where frames without a file would lie, too.
    monkeypatch.chdir(tmp_path)
    code, _, said = call(monkeypatch, capsys, "measure", f"{target}:misshapen", "--out", str(tmp_path / "report"))
    assert code == 2
    assert "frozen" not in said
    number = 1 + TARGET.splitlines().index("    return tw.Landscape(torch.nn.Linear(3, 1), tw.objectives.mse(), data)")
    assert f"({target}, line {number})" in said.strip().splitlines()[-1]
    assert "site-packages" not in said


def test_a_model_that_raises_while_it_is_measured_is_one_line_too(monkeypatch, capsys, target, tmp_path):
    code, _, said = call(monkeypatch, capsys, "measure", f"{target}:fails_later", "--out", str(tmp_path / "report"))
    assert code == 2
    assert 'raise LookupError("lost on the way")' in said
    last = said.strip().splitlines()[-1]
    assert last.startswith("thalweg: error: target: measuring fails_later raised LookupError: lost on the way")
    assert not (tmp_path / "report").exists()


def test_an_error_of_ours_is_not_blamed_on_the_user(monkeypatch, capsys, target, tmp_path):
    def wrong(*_, **__):
        raise RuntimeError("ours")

    monkeypatch.setattr("thalweg.cli._app.survey", wrong)
    with pytest.raises(RuntimeError, match="ours"):
        call(monkeypatch, capsys, "measure", f"{target}:landscape", "--out", str(tmp_path / "report"))


def test_a_checkpoint_of_another_target_is_one_line(monkeypatch, capsys, target, tmp_path):
    kept = ("--checkpoint", str(tmp_path / "kept"), "--out", str(tmp_path / "out"))
    first, _, _ = call(monkeypatch, capsys, "measure", f"{target}:landscape", *kept)
    assert first == 0
    assert any((tmp_path / "kept").iterdir())
    code, _, said = call(monkeypatch, capsys, "measure", f"{target}:one_parameter", *kept)
    assert code == 2
    assert "with size 1, but those in" in said


@pytest.mark.parametrize("matrix", ["hessian", "ggn", "fisher", "residual", "gradient-covariance"])
def test_spectrum_answers_every_question(monkeypatch, capsys, target, matrix):
    made = {"hessian": tw.hessian, "ggn": tw.ggn, "fisher": tw.fisher, "residual": tw.residual}
    # The file draws a bias each time that it runs.
    torch.manual_seed(0)
    code, shown, said = call(monkeypatch, capsys, "spectrum", f"{target}:landscape", "--matrix", matrix)
    assert (code, said) == (0, "")
    assert f"{matrix} of landscape" in shown
    torch.manual_seed(0)
    exact = made.get(matrix, tw.gradient_covariance)(load_target(f"{target}:landscape")).dense()
    largest = next(line for line in shown.splitlines() if "largest eigenvalues" in line)
    first = float(largest.split("eigenvalues")[1].split(",")[0])
    assert first == pytest.approx(float(torch.linalg.eigvalsh(exact)[-1]), rel=1e-3)
    assert "squared Frobenius norm" in shown


def test_spectrum_as_json_is_the_record(monkeypatch, capsys, target):
    code, shown, _ = call(monkeypatch, capsys, "spectrum", f"{target}:landscape", "--json", "--seed", "3")
    assert code == 0
    found = tw.Spectrum.from_dict(json.loads(shown))
    assert found.size == 3
    assert found.top.vectors is None


@pytest.mark.parametrize("view", ["eigenvalues", "density", "convergence"])
@pytest.mark.parametrize("suffix", ["png", "html"])
def test_spectrum_draws(monkeypatch, capsys, target, tmp_path, view, suffix):
    path = tmp_path / f"picture.{suffix}"
    asked = ("--figure", str(path), "--view", view, "--checkpoint", str(tmp_path / "kept"), "--seconds", "100")
    code, _, said = call(monkeypatch, capsys, "spectrum", f"{target}:landscape", *asked)
    assert code == 0
    assert f"figure written to {path}" in said
    assert path.stat().st_size > 5_000
    assert any((tmp_path / "kept").iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--figure", "x.gif"), "figure: expected a file ending in .html, .png, .svg or .pdf, got x.gif"),
        (("--figure", "no/such/folder/x.png"), "figure: could not write no/such/folder/x.png"),
        (("--products", "3"), "budget: expected at least"),
        (("--seconds", "-1"), "seconds: expected a positive finite number, got -1"),
        (("--device", "moon"), "device: expected"),
        (("--matrix", "other"), "other"),
    ],
)
def test_spectrum_refuses_in_one_line(monkeypatch, capsys, target, arguments, message):
    code, shown, said = call(monkeypatch, capsys, "spectrum", f"{target}:landscape", *arguments)
    assert (code, shown) == (2, "")
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_a_syntax_error_says_where_it_is_once(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.py"
    path.write_text("x = 1\nif x\n")
    code, _, said = call(monkeypatch, capsys, "measure", f"{path}:x", "--out", str(tmp_path / "report"))
    assert code == 2
    last = said.strip().splitlines()[-1]
    assert "SyntaxError" in last
    assert last.count("line ") == 1
    assert "(mine.py, line 2)" in last


def test_one_parameter_has_no_plane(monkeypatch, capsys, target, tmp_path):
    out = tmp_path / "report"
    code, _, said = call(monkeypatch, capsys, "measure", f"{target}:one_parameter", "--out", str(out))
    assert code == 0, said
    (found,) = tw.read_results(out).measurements
    assert (found.size, found.surface) == (1, None)


def test_a_landscape_keeps_its_autocast_on_another_device(target):
    assert load_target(f"{target}:rounded", "cpu").autocast == torch.bfloat16


def test_a_place_that_cannot_be_written_to_is_refused_before_any_work(monkeypatch, capsys, target):
    monkeypatch.setattr("thalweg.cli._app.survey", None)
    code, _, said = call(monkeypatch, capsys, "measure", f"{target}:landscape", "--out", "/proc/nowhere/report")
    assert code == 2
    assert said.startswith("thalweg: error: folder: expected a place that can be written to, got /proc/nowhere/report")


def test_a_disk_that_fails_at_the_end_is_one_line(monkeypatch, capsys, target, tmp_path):
    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr("thalweg.cli._app.write_report", full)
    code, _, said = call(monkeypatch, capsys, "measure", f"{target}:landscape", "--out", str(tmp_path / "report"))
    assert code == 2
    assert said.strip().splitlines()[-1].endswith("(No space left on device).")


def test_without_a_command_there_is_help_and_no_empty_error(monkeypatch, capsys):
    code, printed, said = call(monkeypatch, capsys)
    assert code == 2
    assert "Usage" in printed + said
    assert "error:" not in said


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "thalweg", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == tw.__version__


def test_a_file_that_raises_keeps_its_traceback(monkeypatch, capsys, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import torch\nraise KeyError('lost')\n")
    code, _, said = call(monkeypatch, capsys, "measure", f"{path}:x", "--out", str(tmp_path / "report"))
    assert code == 2
    assert "raise KeyError('lost')" in said
    assert "line 2" in said.strip().splitlines()[-1]


def test_an_error_of_the_library_is_one_line(monkeypatch, capsys, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "import torch, thalweg as tw\n"
        "def build():\n"
        "    return tw.Landscape(torch.nn.Linear(1, 1), tw.objectives.mse(), [])\n"
    )
    code, _, said = call(monkeypatch, capsys, "measure", f"{path}:build", "--out", str(tmp_path / "report"))
    assert code == 2
    assert said == "thalweg: error: data: expected at least one batch, got none.\n"


def test_a_folder_with_other_things_is_refused_before_any_work(monkeypatch, capsys, target, tmp_path):
    code, _, said = call(monkeypatch, capsys, "measure", f"{target}:landscape", "--out", str(tmp_path))
    assert code == 2
    assert "holds 'mine.py'; nothing was changed" in said
    assert target.read_text() == TARGET


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["measure"], "Missing argument '"),
        (["measure", "a.py:b", "--top", "0"], "Invalid value for '--top'"),
        (["demo", "--nonsense"], "No such option: --nonsense"),
        (["fly"], "No such command 'fly'"),
        (["demo", "--device", "abacus"], "device: expected one that torch can use here, got 'abacus'"),
        (["demo", "--data", "imagenet"], "imagenet"),
        (["demo", "--samples", "1000000"], "1000000"),
        (["demo", "--data", "mnist", "--data-root", "/nonexistent"], "--data-root"),
    ],
)
def test_wrong_usage_is_one_line_and_two(monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    code, _, said = call(monkeypatch, capsys, *arguments)
    assert code == 2
    assert len(said.strip().splitlines()) == 1
    assert message in said
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing(monkeypatch, capsys, target, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("thalweg.cli._app.survey", interrupted)
    code, _, said = call(monkeypatch, capsys, "measure", f"{target}:landscape", "--out", str(tmp_path / "report"))
    assert code == 130
    assert "interrupted; nothing was written" in said
    assert not (tmp_path / "report").exists()


def test_demo_writes_a_report(monkeypatch, capsys, tmp_path):
    out = tmp_path / "demo"
    monkeypatch.setattr(
        "thalweg.cli._app.SurveySettings",
        lambda **given: tw.SurveySettings(**given, bottom=1, steps=4, surface=3, line=3, max_probes=10),
    )
    arguments = ["--samples", "60", "--epochs", "1", "--width", "0.02", "--top", "2", "--probes", "2"]
    code, printed, said = call(monkeypatch, capsys, "demo", "--out", str(out), *arguments)
    assert code == 0, said
    assert "SimpleResNet, seed 0 → SimpleResNet, seed 1: barrier" in printed
    assert (out / "index.html").is_file()
    assert tw.read_results(out / "results.json").configuration["samples"] == 60


def test_version_and_help(monkeypatch, capsys):
    assert call(monkeypatch, capsys, "--version")[1].strip() == tw.__version__
    assert "demo" in call(monkeypatch, capsys, "--help")[1]


def test_a_missing_extra_is_named(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, said = call(monkeypatch, capsys, "demo")
    assert code == 2
    assert said == "thalweg: the command line needs typer and rich: pip install 'thalweg[all]'\n"
