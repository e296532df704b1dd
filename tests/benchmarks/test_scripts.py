"""The scripts load, explain themselves, and draw the right conclusions; what they measure is no test's business."""

import itertools
import json
import math
import sys

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.benchmarks.conftest import FOLDER

SCRIPTS = sorted(path.stem for folder in (FOLDER, FOLDER / "laws") for path in folder.glob("[a-z]*.py"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_help(load, name, monkeypatch, capsys):
    script = load(name)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    run = script.main if (FOLDER / f"{name}.py").exists() else lambda: script.main(script.__doc__, script.measured)
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "--quick" in said
    assert "--json" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_accelerator(load, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["accelerator.py", "--json", str(tmp_path / "records.json")])
    load("accelerator").main()
    assert capsys.readouterr().out == "no CUDA device\n"
    content = json.loads((tmp_path / "records.json").read_text())
    assert content["records"] == []
    assert content["environment"]["device"] is None


def test_the_processor_runs_the_quick_form_alone(load, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["accelerator.py", "--device", "cpu"])
    with pytest.raises(SystemExit):
        load("accelerator").main()
    assert "--device cpu: expected --quick too" in capsys.readouterr().err


def test_laws_judge_what_they_say(load):
    law, outliers = load("_law"), load("outliers")
    ratios = dict.fromkeys(range(4, 21), 1.1) | {9: 2.0}
    judged = outliers._judged("case", 1, ratios, 9)
    assert [(one.metric, one.holds) for one in judged] == [("index of the largest ratio", True), ("λ9/λ10", True)]
    assert [one.holds for one in outliers._judged("case", 1, ratios | {8: 3.0}, 8)] == [False, True]
    assert outliers._judged("case", 0, ratios, 9)[0].holds is False
    assert law.found("case", "metric", 1.0).holds is None
    states = law.trained(torch.nn.Linear(2, 2), (torch.eye(2), torch.tensor([0, 1])), 1, 0.1, (0, 2), seed=0)
    assert list(states) == [0, 2]
    assert not torch.equal(states[0]["weight"], states[2]["weight"])


def figure(load, name, units, error=1e-6, *, role="peer", width=1, blocks=True, forced=False, matrix="H"):
    contestant = load("_contestants").Contestant(name, role, matrix, print, blocks, forced)
    return load("products").Figure(contestant, width, units, error)


def ratios(load, figures):
    return {(r.case, r.metric): (r.value, r.unit) for r in load("products").compared("net", figures)}


def test_a_wrong_answer_does_not_compete(load):
    auto = load("_contestants").AUTO
    figures = [
        figure(load, auto, 2.0, role="ours"),
        figure(load, "wrong", 1.0, error=1e-2),
        figure(load, "right", 4.0),
        figure(load, "slow", 5.0),
        figure(load, "double", 1.6, role="ours", forced=True),
        figure(load, "wrong engine", 0.1, error=1.0, role="ours", forced=True),
    ]
    assert ratios(load, figures) == {
        ("net, H, single", "time over best peer"): (0.5, "of right"),
        ("net, H, single", "time over best engine"): (1.25, "of double"),
    }
    assert ratios(load, [figure(load, auto, 2.0, 1.0, role="ours"), figure(load, "right", 4.0)]) == {}


def test_peers_without_blocks_compete_vector_by_vector(load):
    auto = load("_contestants").AUTO
    figures = [
        figure(load, auto, 1.0, role="ours", width=8),
        figure(load, "one by one", 2.0, blocks=False),
        figure(load, "in blocks", 1.0),
        figure(load, "in blocks", 2.5, width=8),
        figure(load, "other matrix", 0.1, matrix="G", width=8),
    ]
    assert ratios(load, figures) == {("net, H, block of 8", "time over best peer"): (0.5, "of one by one")}


def test_covariance_is_held_against_gauss_newton(load):
    auto = load("_contestants").AUTO
    figures = [figure(load, auto, units, role="ours", matrix=matrix) for matrix, units in (("G", 2.0), ("Σ", 3.0))]
    assert ratios(load, figures) == {("net, Σ, single", "time over G's"): (1.5, f"of G by {auto}")}


def test_summary(load):
    record = load("_records").Record
    compared = [
        record(case, "thalweg", "ours", metric, value, "", error)
        for case, metric, value, error in (
            ("a, H, single", "time over best peer", 0.5, 1e-7),
            ("b, H, single", "time over best peer", 0.7, 1e-6),
            ("b, H, block of 8", "time over best peer", 1.5, 1e-5),
            ("b, H, single", "time over best engine", 9.0, 1.0),
        )
    ]
    found = {(r.case, r.metric): (r.value, r.error) for r in load("products").summary(compared)}
    assert found[("all single vectors", "median ratio")] == (pytest.approx(0.6), 1e-6)
    assert found[("all single vectors", "maximum ratio")] == (0.7, 1e-6)
    assert found[("all blocks", "maximum ratio")] == (1.5, 1e-5)
    assert found[("all", "median ratio")] == (0.7, 1e-5)
    assert len(found) == 6


def test_table(load):
    figures = [figure(load, "peer", 2.345), figure(load, "peer", 1.0, error=0.5, width=8)]
    text = load("products").table(["net"], {"net": figures}, {"net": {"Hv": 1.5}})
    assert text.splitlines() == [
        "| in gradients, a vector | net |",
        "| --- | --- |",
        "| Hv, single: peer | 2.35 |",
        "| Hv, block of 8: peer | 1.00 ✗ 5e-01 |",
        "| Hv: arithmetic | 1.50 |",
    ]


def test_networks_grow_at_a_fixed_ratio(load):
    sweep = load("scale").sweeps(quick=True)[-1]
    parameters = [sum((a + 1) * b for a, b in itertools.pairwise(sizes)) for sizes in map(sweep.sizes, sweep.knobs)]
    assert parameters == pytest.approx([1e4, 1e5, 1e6, 1e7], rel=0.15)


@pytest.mark.slow
def test_a_measurement_in_its_own_process(load):
    measure = load("_memory").measure
    found = measure([64, 256, 10], batch=2048, engine="double-backward")
    assert found["parameters"] == 65 * 256 + 257 * 10
    # The kept graph has the hidden units before and after the activation, and their gradient.
    assert found["memory"] > 2048 * 256 * 4
    assert found["product"] > 0
    assert "engine: expected one of" in measure([4, 3], batch=2, engine="none")


def answers(load, seconds, products, error):
    spectra = load("spectra")
    found = [load("_eigensolvers").Found(None, products, inside=0.75 * took) for took in seconds]
    return spectra.Runs(list(seconds), found, error)


def test_only_right_eigenvalues_compete(load):
    spectra = load("spectra")
    runs = {
        spectra.OURS: answers(load, [1.0, 2.0, 3.0], 50, 1e-7),
        spectra.ARPACK: answers(load, [4.0, 4.0, 4.0], 60, 1e-6),
        "right and faster": answers(load, [2.5], 70, 1e-5),
        "wrong and fastest": answers(load, [0.1], 0, 1e-2),
    }
    found = {(r.contestant, r.metric): (r.value, r.unit) for r in spectra.figures("net", runs)}
    assert found[("thalweg", "median time ratio")] == (0.5, f"of {spectra.ARPACK}")
    assert found[("thalweg", "time over best peer")] == (0.8, "of right and faster")
    assert found[("thalweg", "outside products")][0] == pytest.approx(0.25)
    assert found[("wrong and fastest", "median time")] == (0.1, "s")
    assert ("wrong and fastest", "median products") not in found


def test_a_truth_in_parts(load):
    """Rayleigh–Ritz in the whole space is a dense decomposition, whatever the parts."""
    source = torch.Generator().manual_seed(0)
    model = torch.nn.Linear(3, 2, dtype=torch.float64)
    inputs, targets = torch.randn(6, 3, generator=source, dtype=torch.float64), torch.tensor([0, 1, 0, 0, 1, 1])
    case = load("_networks").Case("toy", model, torch.nn.CrossEntropyLoss(), inputs, targets, None, None)
    with torch.no_grad():
        x = torch.cat([inputs, torch.ones(6, 1, dtype=torch.float64)], dim=1)
        p = model(inputs).softmax(dim=1)[:, 0]
        # Softmax with two classes: ± the logistic Hessian, doubled by the difference of the two rows.
        expected = torch.linalg.eigvalsh(2 / 6 * (x * (p * (1 - p))[:, None]).mT @ x).flip(0)
    for chunk in (2, 6, 60):
        values, residual = load("_eigensolvers").refined(case, torch.eye(8), chunk)
        assert values[:4] == pytest.approx(expected.numpy(), abs=1e-12)
        assert residual < 1e-12


def test_the_trace_of_a_rectified_network(load):
    """In closed form against the diagonal of a dense Hessian."""
    source = torch.Generator().manual_seed(0)
    model = tw.models.mlp((5, 6, 4, 3), generator=source).double().eval()
    inputs = torch.randn(7, 5, generator=source, dtype=torch.float64)
    targets = torch.randint(3, (7,), generator=source)
    objective = tw.objectives.cross_entropy()
    case = load("_networks").Case("toy", model, torch.nn.CrossEntropyLoss(), inputs, targets, objective, None)
    expected = float(tw.hessian(tw.Landscape(model, objective, [(inputs, targets)])).dense().trace())
    for chunk in (2, 16):
        assert load("protocol").exact_trace(case, chunk) == pytest.approx(expected, rel=1e-9)


def test_the_protocol_counts_right_answers_alone(load):
    protocol = load("protocol")
    right = {"top": [10.0, 5.0], "bottom": [-1.0], "trace": 50.0, "logdet": -1000.0}
    assert protocol.misses({"top": [10.0, 5.0005], "trace": 51.0}, right) == pytest.approx({"top": 0.5, "trace": 1.0})
    assert not protocol.wrong({"top": [10.0, 5.0009], "trace": 51.4, "logdet": -1025.0}, right)
    assert protocol.wrong({"bottom": [-1.002]}, right)
    assert protocol.wrong({"trace": 51.6}, right)


def test_the_products_that_an_accuracy_takes(load):
    """Eigenvalues 3 and 1: a probe of the trace has variance 2 (9 + 1)."""
    peers = load("_assembly")
    sums = peers.Sums(np.array([[3.0, 1.0]]), np.array([[1.0, 1.0]]))
    assert sums.of(lambda x: x) == 4
    assert sums.probes(lambda x: x, 0.1) == math.ceil(20 * (1.96 / 0.4) ** 2)
    joined = peers.Sums(*peers._with_known(peers.Sums(np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]])), np.array([3.0])))
    assert joined.of(lambda x: x) == 4
    assert joined.of(np.ones_like) == 2
