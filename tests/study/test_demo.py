"""The protocol on little work: what it promises, and that it repeats."""

import pytest
import torch

import thalweg as tw
from thalweg.study import DemoSettings, demo

LITTLE = DemoSettings(samples=60, epochs=1, width=0.02, batch_size=30, path=3)
QUICK = tw.SurveySettings(top=2, bottom=1, tol=1e-2, probes=2, steps=4, max_probes=10, surface=3, line=3)


@pytest.fixture(scope="module")
def findings() -> tw.Findings:
    return demo(LITTLE, QUICK)


def test_two_architectures_two_seeds_and_a_path(findings):
    names = [found.name for found in findings.measurements]
    assert names == [f"{kind}, seed {seed}" for kind in ("vanilla CNN", "SimpleResNet") for seed in (0, 1)]
    (connection,) = findings.connections
    assert connection.path.labels == ("SimpleResNet, seed 0", "SimpleResNet, seed 1")
    assert len(connection.path.position) == 3


def test_the_path_ends_at_the_measured_points(findings):
    path, ends = findings.connections[0].path, findings.measurements[2:]
    assert path.loss[[0, -1]].tolist() == pytest.approx([end.train.loss.value for end in ends], rel=1e-6)
    accuracy = [end.train.metrics["accuracy"].value for end in ends]
    assert path.metrics["accuracy"][[0, -1]].tolist() == pytest.approx(accuracy)


def test_histories_end_where_the_measurements_stand(findings):
    for found in findings.measurements:
        assert float(found.history.train_loss[-1]) == pytest.approx(found.train.loss.value, rel=1e-6)
        assert float(found.history.test_loss[-1]) == pytest.approx(found.test.loss.value, rel=1e-6)
        assert found.history.settings["momentum"] == 0.9
        assert found.history.settings["schedule"] == "cosine"


def test_every_setting_is_recorded(findings):
    for name, value in vars(LITTLE).items():
        assert findings.configuration[name] == value
    assert findings.configuration["measure.top"] == 2
    assert findings.versions["torch"] == torch.__version__


def test_the_findings_travel_and_repeat(findings):
    plain = findings.to_dict()
    assert tw.Findings.from_dict(plain).to_dict() == plain
    again = demo(LITTLE, QUICK)
    for first, second in zip(findings.measurements, again.measurements, strict=True):
        assert torch.equal(first.top.values, second.top.values)
        assert first.train.loss.value == second.train.loss.value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"samples": 0}, "samples: expected at least 1, got 0"), ({"seed": -1}, "seed: expected a number from 0")],
)
def test_settings_are_checked(arguments, message):
    with pytest.raises(tw.errors.ArgumentError, match=message):
        DemoSettings(**arguments)
