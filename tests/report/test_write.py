"""A report appears whole or not at all, and only where nothing else is."""

import json
import re
from pathlib import Path

import pytest

from tests.report import synthetic
from thalweg.errors import ArgumentError, MissingExtraError
from thalweg.report import _write, read_results, write_report


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_report_has_its_parts(written, four):
    assert {p.name for p in written.iterdir()} == {"index.html", "results.json", "figures"}
    assert read_results(written).to_dict() == four.to_dict()
    names = [p.name for p in (written / "figures").iterdir()]
    assert sorted(n[:-4] for n in names if n.endswith(".svg")) == sorted(n[:-4] for n in names if n.endswith(".png"))
    assert all(re.fullmatch(r"[a-z0-9-]+\.(png|svg)", name) for name in names)
    kinds = {name.split("-")[0] for name in names}
    assert kinds == {"measures", "training", "spectrum", "density", "path", "relief", "contours", "line"}
    assert (written / "index.html").stat().st_size < 8e6
    assert all((written / "figures" / name).stat().st_size > 2000 for name in names)


def test_the_same_findings_give_the_same_report(tmp_path, one):
    first, second = (write_report(one, tmp_path / name).parent for name in "ab")
    assert tree(first) == tree(second)


def test_missing_parents_are_made_and_nothing_is_left_beside(tmp_path, one):
    page = write_report(one, tmp_path / "deep" / "er" / "report")
    assert page == tmp_path / "deep" / "er" / "report" / "index.html"
    assert [p.name for p in page.parent.parent.iterdir()] == ["report"]


def test_a_relative_folder_is_the_current_one(tmp_path, one, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_report(one, "report") == tmp_path / "report" / "index.html"


def test_an_empty_folder_and_an_earlier_report_are_replaced(tmp_path, one):
    target = tmp_path / "report"
    target.mkdir()
    write_report(one, target)
    (target / "figures" / "old-picture.png").write_bytes(b"of an earlier run")
    write_report(synthetic.single("another"), target)
    assert read_results(target).title == "another"
    assert not (target / "figures" / "old-picture.png").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_the_place_that_a_link_names_is_replaced_not_the_link(tmp_path, one):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to("real")
    write_report(one, link)
    assert link.is_symlink()
    assert (tmp_path / "real" / "index.html").exists()


@pytest.mark.parametrize(
    "stranger", ["notes.txt", "figures/data.csv", "figures/deep/a.png", ".hidden", "results.json.bak"]
)
def test_a_folder_that_holds_more_is_not_touched(tmp_path, one, stranger):
    target = tmp_path / "report"
    write_report(one, target)
    (target / stranger).parent.mkdir(exist_ok=True)
    (target / stranger).write_text("precious")
    before = tree(target)
    with pytest.raises(
        ArgumentError, match=r"folder: expected a new or empty folder .* holds '.*'; nothing was changed"
    ):
        write_report(one, target)
    assert tree(target) == before
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"schema": "another/1"}', '{"schema": 3}'])
def test_a_results_file_of_somebody_else_is_not_ours(tmp_path, one, content):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "results.json").write_text(content)
    with pytest.raises(ArgumentError, match=r"holds 'results\.json'"):
        write_report(one, tmp_path / "report")
    assert (tmp_path / "report" / "results.json").read_text() == content


def test_a_file_in_the_place_is_named(tmp_path, one):
    (tmp_path / "report").write_text("precious")
    with pytest.raises(ArgumentError, match=r"folder: expected a folder, got the file .*; name another place"):
        write_report(one, tmp_path / "report")
    assert (tmp_path / "report").read_text() == "precious"


def test_a_failure_half_way_leaves_the_earlier_report(tmp_path, one, monkeypatch):
    target = tmp_path / "report"
    write_report(one, target)
    before = tree(target)

    def fail(*_):
        raise RuntimeError("half-way")

    monkeypatch.setattr(_write, "render", fail)
    with pytest.raises(RuntimeError, match="half-way"):
        write_report(synthetic.single("another"), target)
    with pytest.raises(RuntimeError, match="half-way"):
        write_report(one, tmp_path / "fresh")
    assert tree(target) == before
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_a_move_that_fails_brings_the_earlier_report_back(tmp_path, one, monkeypatch):
    target = tmp_path / "report"
    write_report(one, target)
    before, rename = tree(target), Path.rename

    def fail(self, new):
        if self.name == "fresh":
            raise OSError("disk full")
        return rename(self, new)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(synthetic.single("another"), target)
    assert tree(target) == before
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_something_that_appears_meanwhile_is_not_overwritten(tmp_path, one, monkeypatch):
    target, fill = tmp_path / "report", _write._fill

    def slow(fresh, findings):
        fill(fresh, findings)
        target.mkdir()
        (target / "precious.txt").write_text("precious")

    monkeypatch.setattr(_write, "_fill", slow)
    with pytest.raises(ArgumentError, match=r"holds 'precious\.txt'"):
        write_report(one, target)
    assert tree(target) == {"precious.txt": b"precious"}


def test_findings_without_a_measurement_are_refused(tmp_path, one):
    from dataclasses import replace

    with pytest.raises(ArgumentError, match=r"findings: expected at least one measurement, got none\."):
        write_report(replace(one, measurements=()), tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_missing_package_names_the_extra_and_leaves_nothing(tmp_path, one, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r'jinja2 is not installed; it comes with the extra "report"'):
        write_report(one, tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_names_of_equal_spelling_keep_their_own_files(tmp_path):
    from dataclasses import replace

    found = synthetic.single("same")
    found = replace(found, measurements=found.measurements * 2)
    folder = write_report(found, tmp_path / "report").parent
    assert len(list((folder / "figures").glob("density-*.svg"))) == 2


def test_results_are_json_without_constants(written):
    json.loads((written / "results.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
