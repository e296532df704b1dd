"""``thalweg surface`` and ``thalweg path``: scans, pictures in a folder, one line for an error."""

import json
import sys

import pytest
import torch

import thalweg as tw
from tests.cli.test_cli import call
from thalweg.cli._target import load_target, load_targets

TARGET = """
import torch
import thalweg as tw

torch.manual_seed(0)
runs = torch.get_rng_state()


class Wells(torch.nn.Module):
    # V = (x² − 1)² + 5 (y − 1 + x²)², O44 of theory.md, as half a squared error.
    def __init__(self, x, y):
        super().__init__()
        self.at = torch.nn.Parameter(torch.tensor([[x, y]], dtype=torch.float64))

    def forward(self, ones):
        x, y = self.at[0]
        return ones * (2 * ((x**2 - 1) ** 2 + 5 * (y - 1 + x**2) ** 2)).sqrt()


# Another file, and another run of this one, would have other data.
one = torch.rand(1, 1, dtype=torch.float64) * 0 + 1
data = [(one, 0 * one)]


def at(x, y):
    return tw.Landscape(Wells(x, y), tw.objectives.squared_error(), data)


left = at(-1.0, 0.0)
right = at(1.0, 0.0)
saddle = at(0.0, 1.0)


noisy_data = [(torch.randn(8, 3), torch.randn(8, 2))]
first = tw.Landscape(torch.nn.Linear(3, 2), tw.objectives.mse(), noisy_data)
second = tw.Landscape(torch.nn.Linear(3, 2), tw.objectives.mse(), noisy_data)
other = tw.Landscape(torch.nn.Linear(3, 1), tw.objectives.mse(), [(torch.ones(8, 3), torch.ones(8, 1))])


class Breaks(torch.nn.Linear):
    calls = 0

    def forward(self, x):
        Breaks.calls += 1
        if Breaks.calls > 9:
            raise LookupError("lost on the way")
        return super().forward(x)


def fails():
    return tw.Landscape(Breaks(2, 1), tw.objectives.mse(), [(torch.eye(2), torch.zeros(2, 1))])
"""


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "wells.py"
    path.write_text(TARGET)
    yield path
    sys.modules.pop("wells", None)


def test_a_surface_is_scanned_and_drawn(monkeypatch, capsys, target, tmp_path):
    pytest.importorskip("gudhi")
    out = tmp_path / "pictures"
    asked = ("--directions", "plain", "--points", "9", "--span", "1.5", "--seed", "3", "--out", str(out))
    asked += ("--threshold", "0.25")
    code, shown, said = call(monkeypatch, capsys, "surface", f"{target}:saddle", *asked)
    assert code == 0, said
    names = {"surface-3d", "surface-contour", "merge-tree", "persistence", "barcode"}
    expected = {f"{name}.{kind}" for name in names for kind in ("html", "png", "pdf")} | {"results.json"}
    assert {path.name for path in out.iterdir()} >= expected
    assert all(path.stat().st_size > 1_000 for path in out.iterdir())
    assert "plotly.min.js" in {path.name for path in out.iterdir()}
    assert f"figures written to {out}" in said
    assert "surface of saddle" in shown
    assert "reaches no deeper one" in shown
    assert "H0: " in shown
    stored = json.loads((out / "results.json").read_text())
    surface = tw.Surface.from_dict(stored["surface"])
    landscape = load_target(f"{target}:saddle")
    plane = tw.random_directions(landscape, normalization=None, generator=torch.Generator().manual_seed(3))
    again = tw.plane_scan(landscape, plane, points=9, span=(-1.5, 1.5))
    assert torch.equal(surface.loss, again.loss)
    tree = tw.MergeTree.from_dict(stored["merge_tree"])
    assert tree.count() == tw.Persistence.from_dict(stored["persistence"]).count(0)
    assert tree.threshold == 0.25
    assert "minima deeper than 0.25" in shown


@pytest.mark.parametrize(
    ("directions", "label"),
    [
        ("eigen", "eigenvector 1 (λ = "),
        ("ggn", "eigenvector 1 (λ = "),
        ("layer", "layer-normalised direction 1"),
        ("random", "filter-normalised direction 1"),
    ],
)
def test_directions_are_those_asked_for(monkeypatch, capsys, target, tmp_path, directions, label):
    monkeypatch.setattr("thalweg.cli._surface.write_pictures", lambda *_: None)
    arguments = ("--directions", directions, "--points", "3", "--out", str(tmp_path / "p"), "--json")
    code, shown, said = call(monkeypatch, capsys, "surface", f"{target}:first", *arguments)
    assert code == 0, said
    found = tw.Surface.from_dict(json.loads(shown)["surface"])
    assert found.labels[0].startswith(label)
    assert found.x.tolist() == [-1, 0, 1]


def test_without_the_extra_there_is_the_tree_and_a_note(monkeypatch, capsys, target, tmp_path):
    monkeypatch.setitem(sys.modules, "gudhi", None)
    monkeypatch.setattr("thalweg.cli._surface._KINDS", ())
    out = tmp_path / "p"
    code, shown, said = call(
        monkeypatch, capsys, "surface", f"{target}:first", "--points", "3", "--json", "--out", str(out)
    )
    assert code == 0, said
    found = json.loads(shown)
    assert found["persistence"] is None
    assert found["merge_tree"]["shape"] == [3, 3]
    assert 'note: gudhi is not installed; persistence comes with the extra "tda"' in said
    assert (out / "merge-tree.png").exists()
    assert not (out / "persistence.png").exists()


def test_a_path_has_its_barrier_by_all_references(monkeypatch, capsys, target, tmp_path):
    """O44: the straight line between the wells rises by 6."""
    out = tmp_path / "way"
    ends = (f"{target}:left", f"{target}:right")
    code, shown, said = call(monkeypatch, capsys, "path", *ends, "--points", "11", "--out", str(out))
    assert code == 0, said
    assert "path from left to right" in shown
    for label, value in (
        ("barrier above the chord", "6 at α = 0.5"),
        ("above the higher end", "6"),
        ("above the mean of the ends", "6"),
        ("above the lower end", "6"),
        ("largest loss on the way", "6 at α = 0.5"),
    ):
        assert next(line for line in shown.splitlines() if label in line).strip().endswith(value)
    assert {path.name for path in out.iterdir()} == {
        "path.html",
        "path.png",
        "path.pdf",
        "plotly.min.js",
        "results.json",
    }
    stored = json.loads((out / "results.json").read_text())
    assert tw.Barrier.from_dict(stored["barrier"]).linear == pytest.approx(6)


def test_a_path_as_json(monkeypatch, capsys, target, tmp_path):
    monkeypatch.setattr("thalweg.cli._path.write_pictures", lambda *_: None)
    ends = (f"{target}:left", f"{target}:left")
    code, shown, _ = call(monkeypatch, capsys, "path", *ends, "--points", "3", "--json", "--out", str(tmp_path / "p"))
    assert code == 0
    scan = tw.PathScan.from_dict(json.loads(shown)["path"])
    assert scan.labels == ("wells:left", "wells:left")
    assert scan.loss.tolist() == pytest.approx([0, 0, 0])


def test_ends_from_one_file_share_its_data(monkeypatch, capsys, target, tmp_path):
    """The file draws its data each time that it runs; the two ends come from one run."""
    monkeypatch.setattr("thalweg.cli._path.write_pictures", lambda *_: None)
    ends = (f"{target}:first", f"{target}:second")
    target.write_text(TARGET.replace("torch.manual_seed(0)", "torch.seed()"))
    one, other = load_targets(ends)
    assert one.data is other.data
    assert call(monkeypatch, capsys, "path", *ends, "--points", "3", "--out", str(tmp_path / "p"))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("surface", "{}:first", "--span", "-1"), "span: expected a positive finite number, got -1"),
        (("surface", "{}:first", "--points", "1"), "Invalid value for '--points'"),
        (("surface", "{}:first", "--threshold", "inf"), "threshold: expected a finite number of at least 0, got inf"),
        (("surface", "{}:first", "--directions", "up"), "up"),
        (("surface", "{}:first", "--out", "{}"), "out: expected a folder, got the file"),
        (
            ("surface", "{}:first", "--out", "/proc/nowhere/p"),
            "out: expected a place that can be written to, got /proc",
        ),
        (("surface", "{}:nothing"), "expected a name in"),
        (
            ("surface", "{}:saddle", "--directions", "plain", "--points", "2", "--span", "1e200"),
            "span: expected a plane with at least one finite loss, got none",
        ),
        (("path", "{}:first"), "Missing argument 'TARGET_B'"),
        (("path", "{}:first", "{}:other"), "end: expected the parameters of start, got others at bias"),
        (("path", "{}:first", "{}:left", "--points", "2"), "Invalid value for '--points'"),
        (("path", "{}:first", "nowhere.py:x"), "target: expected an existing file, got 'nowhere.py'"),
    ],
)
def test_what_cannot_be_done_is_one_line(monkeypatch, capsys, target, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, shown, said = call(monkeypatch, capsys, *(argument.format(target) for argument in arguments))
    assert (code, shown) == (2, "")
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert not any(path.is_dir() and path.name.startswith("thalweg") for path in tmp_path.iterdir())


def test_a_model_that_raises_on_the_plane_keeps_its_traceback(monkeypatch, capsys, target, tmp_path):
    code, _, said = call(monkeypatch, capsys, "surface", f"{target}:fails", "--out", str(tmp_path / "p"))
    assert code == 2
    assert 'raise LookupError("lost on the way")' in said
    assert said.strip().splitlines()[-1].startswith("thalweg: error: target: its surface raised LookupError")
    assert not (tmp_path / "p").exists()


def test_a_disk_that_is_full_is_one_line(monkeypatch, capsys, target, tmp_path):
    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr("thalweg.cli._pictures.save", full)
    ends = (f"{target}:left", f"{target}:right")
    code, _, said = call(monkeypatch, capsys, "path", *ends, "--points", "3", "--out", str(tmp_path / "p"))
    assert code == 2
    assert said.strip().splitlines()[-1].endswith("(No space left on device).")
