"""``thalweg surface`` and ``thalweg path``: scans, pictures in a folder, one line for an error."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file

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


# The same function twice, its hidden units in another order.
net = tw.models.mlp((3, 6, 2), generator=torch.Generator().manual_seed(0))
plain = tw.Landscape(net, tw.objectives.mse(), noisy_data)
order = {"1.0.weight": torch.tensor([3, 0, 4, 1, 2, 5])}
shuffled = tw.paths.permuted(plain, tw.permutations(plain), order)
on_ones = plain.on([(torch.ones(4, 3), torch.ones(4, 2))])


def normalised(seed):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    return tw.Landscape(model, tw.objectives.mse(), noisy_data)


batch_normed, other_normed = normalised(1), normalised(2)


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
    monkeypatch.setattr("thalweg.cli._surface._KINDS", ())
    out = tmp_path / "pictures"
    asked = ("--directions", "plain", "--points", "9", "--span", "1.5", "--seed", "3", "--out", str(out))
    asked += ("--threshold", "0.25")
    code, shown, said = call(monkeypatch, capsys, "surface", f"{target}:saddle", *asked)
    assert code == 0, said
    names = {"merge-tree", "persistence", "barcode"}
    expected = {f"{name}.{kind}" for name in names for kind in ("html", "png", "pdf")}
    assert {path.name for path in out.iterdir()} == expected | {"results.json", "plotly.min.js"}
    assert all(path.stat().st_size > 1_000 for path in out.iterdir())
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


@pytest.mark.slow
def test_every_view_of_a_surface_is_written(monkeypatch, capsys, target, tmp_path):
    out = tmp_path / "pictures"
    asked = ("--directions", "plain", "--points", "9", "--quadratic", "--out", str(out))
    code, _, said = call(monkeypatch, capsys, "surface", f"{target}:saddle", *asked)
    assert code == 0, said
    expected = {f"surface-{view}.{kind}" for view in ("3d", "contour", "heat") for kind in ("html", "png", "pdf")}
    assert {path.name for path in out.iterdir()} >= expected


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures that a command would write, by name."""
    asked = {}
    for module in ("_surface", "_path"):
        monkeypatch.setattr(
            f"thalweg.cli.{module}.write_pictures", lambda out, pictures, _: asked.update(pictures) or out.mkdir()
        )
    return asked


def test_an_adaptive_surface_says_what_it_measured(monkeypatch, capsys, target, tmp_path, undrawn):
    asked = ("--directions", "plain", "--points", "17", "--adaptive", "--tolerance", "0.2", "--seed", "1")
    asked += ("--out", str(tmp_path / "p"))
    code, shown, said = call(monkeypatch, capsys, "surface", f"{target}:saddle", *asked)
    assert code == 0, said
    landscape = load_target(f"{target}:saddle")
    plane = tw.random_directions(landscape, normalization=None, generator=torch.Generator().manual_seed(1))
    source = torch.Generator().manual_seed(1)
    expected = tw.adaptive_scan(landscape, plane, points=17, tolerance=0.2, generator=source)
    found = undrawn["surface-heat"][0]
    assert torch.equal(found.loss, expected.loss)
    assert found.share < 1
    assert f"{found.share:.0%} of it measured, the rest within {found.largest_error:.1%}" in " ".join(shown.split())


@pytest.mark.parametrize("adaptive", [(), ("--adaptive",)])
def test_a_surface_goes_on_from_its_checkpoint(monkeypatch, capsys, target, tmp_path, undrawn, adaptive):
    found = []
    for run in ("first", "second"):
        asked = ("--points", "5", "--checkpoint", str(tmp_path / "kept"), "--out", str(tmp_path / run), *adaptive)
        code, _, said = call(monkeypatch, capsys, "surface", f"{target}:plain", *asked)
        assert code == 0, said
        found.append(undrawn["surface-heat"][0])
    assert torch.equal(found[0].loss, found[1].loss)
    assert found[1].cost.losses < found[0].cost.losses


def test_a_surface_with_its_quadratic_model(monkeypatch, capsys, target, tmp_path, undrawn):
    """The mean squared error of a linear model is its quadratic model."""
    asked = ("--points", "3", "--quadratic", "--out", str(tmp_path / "p"))
    code, _, said = call(monkeypatch, capsys, "surface", f"{target}:first", *asked)
    assert code == 0, said
    found = undrawn["surface-contour"][0]
    torch.testing.assert_close(found.quadratic, found.loss, rtol=1e-5, atol=1e-6)


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


def row(shown, label):
    """Return the cells of the first row of a table that begins with some words."""
    line = next(line for line in shown.splitlines() if line.strip().startswith(label))
    return line.strip().removeprefix(label).split()


def test_a_path_has_its_barrier_by_all_references(monkeypatch, capsys, target, tmp_path):
    """O44: the straight line between the wells rises by 6."""
    out = tmp_path / "way"
    ends = (f"{target}:left", f"{target}:right")
    code, shown, said = call(monkeypatch, capsys, "path", *ends, "--points", "11", "--out", str(out))
    assert code == 0, said
    assert "path from left to right" in shown
    for label in (
        "largest loss on the way",
        "barrier above the chord",
        "above the higher end",
        "above the mean of the ends",
        "above the lower end",
    ):
        lowest, *_, highest = row(shown, label)
        assert lowest == "6"
        assert 6 <= float(highest) < 6.12
    assert row(shown, "at α") == ["0.5"]
    assert row(shown, "points")[1:] == ["refined"]
    assert {path.name for path in out.iterdir()} == {
        "path.html",
        "path.png",
        "path.pdf",
        "plotly.min.js",
        "results.json",
    }
    stored = json.loads((out / "results.json").read_text())
    found = tw.Barrier.from_dict(stored["barrier"])
    assert found.linear == pytest.approx(6)
    assert found.interval[1] - found.interval[0] <= 0.01 * 6
    assert len(tw.PathScan.from_dict(stored["path"]).loss) > 11


def test_a_curve_finds_the_valley_that_the_line_does_not(monkeypatch, capsys, target, tmp_path, undrawn):
    """The Bezier curve with its bend at (0, 2) is the valley y = 1 − x², whose barrier of 1 no path can undercut."""
    ends = (f"{target}:left", f"{target}:right")
    asked = ("--curve", "bezier", "--steps", "150", "--lr", "0.02", "--points", "9", "--out", str(tmp_path / "p"))
    code, shown, said = call(monkeypatch, capsys, "path", *ends, *asked)
    assert code == 0, said
    line, curve = undrawn["path"][0], undrawn["path"][1]["beside"][0]
    assert undrawn["path"][1]["names"] == ["line", "bezier"]
    assert (line.kind, curve.kind) == ("linear", "bezier")
    lowest, _, highest = row(shown, "barrier above the chord")[-3:]
    assert float(highest) >= 1
    assert float(lowest) < 1.1
    assert "in 150 steps" in shown
    assert undrawn["training"][0].curve.bends == 1
    nodes = load_file(tmp_path / "p" / "curve.safetensors")["nodes"]
    assert torch.equal(nodes, undrawn["training"][0].curve.nodes)


def test_aligned_networks_have_no_barrier(monkeypatch, capsys, target, tmp_path, undrawn):
    ends = (f"{target}:plain", f"{target}:shuffled")
    asked = ("--align", "weights", "--repair", "--points", "3", "--out", str(tmp_path / "p"))
    code, shown, said = call(monkeypatch, capsys, "path", *ends, *asked)
    assert code == 0, said
    assert undrawn["path"][1]["names"] == ["line", "aligned line", "aligned, repaired"]
    raw, aligned, repaired = undrawn["path"][0], *undrawn["path"][1]["beside"]
    assert raw.distance[-1] > 0.1
    assert float(aligned.distance[-1]) == 0
    assert repaired.statistics == "repaired"
    assert "83 % of 6 hidden units moved" in " ".join(shown.split())


def test_statistics_of_batch_norm_are_compared(monkeypatch, capsys, target, tmp_path, undrawn):
    ends = (f"{target}:batch_normed", f"{target}:other_normed")
    asked = ("--statistics", "both", "--points", "3", "--out", str(tmp_path / "p"))
    assert call(monkeypatch, capsys, "path", *ends, *asked)[0] == 0
    first, second = undrawn["path"][0], undrawn["path"][1]["beside"][0]
    assert (first.statistics, second.statistics) == ("interpolated", "re-estimated")
    assert not torch.equal(first.loss[:1], second.loss[:1])
    asked = ("--curve", "chain", "--steps", "1", "--points", "3", "--out", str(tmp_path / "q"))
    code, _, said = call(monkeypatch, capsys, "path", *ends, *asked)
    assert code == 0
    assert "note: a curve leaves the line that interpolated statistics of batch norm belong to" in said


def test_a_path_on_other_data(monkeypatch, capsys, target, tmp_path, undrawn):
    ends = (f"{target}:plain", f"{target}:shuffled")
    asked = ("--test", f"{target}:on_ones", "--points", "3", "--out", str(tmp_path / "p"))
    assert call(monkeypatch, capsys, "path", *ends, *asked)[0] == 0
    expected = load_target(f"{target}:on_ones").loss()
    assert undrawn["path"][0].loss[[0, -1]].tolist() == pytest.approx([expected, expected], rel=1e-5)


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
        (("surface", "{}:first", "--adaptive", "--quadratic"), "quadratic: expected no --adaptive with it"),
        (("surface", "{}:first", "--tolerance", "0.1"), "tolerance: expected --adaptive with it"),
        (("surface", "{}:first", "--adaptive", "--points", "3"), "points: expected"),
        (("path", "{}:first", "{}:second", "--bends", "2"), "curve: expected bezier or chain with --bends"),
        (("path", "{}:first", "{}:second", "--steps", "2"), "curve: expected bezier or chain with --steps"),
        (("path", "{}:first", "{}:second", "--repair", "--test", "{}:first"), "repair: expected none with --test"),
        (("path", "{}:first", "{}:second", "--tolerance", "0"), "tolerance: expected a positive finite number, got 0"),
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
