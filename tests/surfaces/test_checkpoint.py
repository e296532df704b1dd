"""Scans that are cut off go on where they were, with the same bits."""

import math
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

import thalweg as tw
from tests.formula import formula
from tests.landscape.models import classes, mlp, randn
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, CheckpointError, CheckpointWarning, Interrupted
from thalweg.surfaces import _store, adaptive_scan, grid_scan, line_scan, plane_scan, random_directions

CELLS = 12


class Stop:
    """A function of the model that the user interrupts at the n-th cell."""

    def __init__(self, at: int | None = None, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.at, self.error, self.calls = at, error, 0

    def __call__(self, model, batch):
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        return model(batch[0]).sum(dim=1)


def network(seed: int = 0) -> tw.Landscape:
    data = [(randn(5, 4, seed=seed), classes(5)), (randn(2, 4, seed=4), classes(2, seed=5))]
    return tw.Landscape(mlp(), tw.objectives.cross_entropy(), data)


def scan(landscape, path=None, function=None, **options):
    directions = random_directions(landscape)
    return plane_scan(
        landscape, directions, points=(3, 4), checkpoint=path, functions={"sum": function or Stop()}, **options
    )


def same(found, expected):
    assert torch.equal(found.loss, expected.loss)
    assert found.metrics.keys() == expected.metrics.keys()
    assert all(torch.equal(found.metrics[name], values) for name, values in expected.metrics.items())
    assert found.measured is None


@pytest.mark.parametrize("cell", [1, 2, 7, CELLS])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_scan_that_is_cut_off_at_the_nth_cell_goes_on(tmp_path, cell, error):
    landscape, path = network(), tmp_path / "folder" / "cells.safetensors"
    expected = scan(landscape)
    # Two batches a cell, and one pass at θ before the first.
    stop = Stop(2 * cell + 2, error)
    with unchanged(landscape.model), pytest.raises(error):
        scan(landscape, path, stop)
    rest = Stop()
    same(scan(landscape, path, rest), expected)
    assert rest.calls == 2 * (CELLS - cell + 1) + 2
    assert not list(path.parent.glob("*.part"))


def test_the_interruption_says_where_it_stands_and_keeps_what_there_is(tmp_path):
    landscape, path = network(), tmp_path / "cells"
    message = rf"interrupted: 4 of {CELLS} cells are measured, .* goes on from those in {re.escape(str(path))}"
    with pytest.raises(Interrupted, match=message) as caught:
        scan(landscape, path, Stop(12))
    found, expected = caught.value.result, scan(landscape)
    assert found.measured.flatten().tolist() == [True] * 4 + [False] * 8
    assert torch.equal(found.loss[0], expected.loss[0])
    assert found.loss[1:].isnan().all()
    assert found.nonfinite == 0
    assert str(found).endswith("33% of it measured")
    with pytest.raises(Interrupted, match=rf"interrupted: 1 of {CELLS} cells are measured") as caught:
        scan(landscape, None, Stop(3))
    assert "goes on" not in str(caught.value)


def test_a_finished_scan_is_read(tmp_path):
    landscape, path = network(), tmp_path / "cells"
    first = scan(landscape, path)
    again = Stop()
    found = scan(landscape, path, again)
    same(found, first)
    assert (again.calls, found.cost.losses) == (2, 1)


def test_lines_grids_and_adaptive_scans_go_on_too(tmp_path):
    landscape, directions = network(), random_directions(network())
    cases = {
        "line": lambda **more: line_scan(landscape, directions.only(0), points=9, **more),
        "grid": lambda **more: grid_scan(landscape, directions, points=3, **more),
    }
    for name, call in cases.items():
        expected = call(functions={"sum": Stop()})
        with pytest.raises(Interrupted):
            call(functions={"sum": Stop(9)}, checkpoint=tmp_path / name)
        same(call(functions={"sum": Stop()}, checkpoint=tmp_path / name), expected)
    expected = adaptive_scan(landscape, directions, points=17, functions={"sum": Stop()})
    with pytest.raises(Interrupted, match=r"of 289 cells are measured") as caught:
        adaptive_scan(landscape, directions, points=17, functions={"sum": Stop(150)}, checkpoint=tmp_path / "adaptive")
    assert caught.value.result.share < expected.share
    found = adaptive_scan(landscape, directions, points=17, functions={"sum": Stop()}, checkpoint=tmp_path / "adaptive")
    assert torch.equal(found.loss, expected.loss)
    assert torch.equal(found.measured, expected.measured)
    # The full surface takes what the adaptive scan has measured.
    last = Stop()
    full = plane_scan(landscape, directions, points=17, functions={"sum": last}, checkpoint=tmp_path / "adaptive")
    assert last.calls == 2 * (289 - int(expected.measured.sum())) + 2
    assert torch.equal(full.loss[expected.measured], expected.loss[expected.measured])


def test_shared_products_are_the_same_after_the_interruption(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(70, 3)).double()
    landscape = tw.Landscape(model, tw.objectives.cross_entropy(), [(randn(4, 70), classes(4))])
    directions, path = random_directions(landscape), tmp_path / "cells"
    expected = plane_scan(landscape, directions, points=5, functions={"sum": Stop()})
    with pytest.raises(Interrupted):
        plane_scan(landscape, directions, points=5, functions={"sum": Stop(9)}, checkpoint=path)
    same(plane_scan(landscape, directions, points=5, functions={"sum": Stop()}, checkpoint=path), expected)
    with pytest.raises(CheckpointError, match=r"another way of sharing the first layer"):
        plane_scan(landscape, directions, points=5, functions={"sum": Stop()}, checkpoint=path, share=False)


def test_cells_are_written_as_they_come(tmp_path, monkeypatch):
    """A process that is killed gets to no ``finally``."""
    monkeypatch.setattr(_store, "_EVERY", 0.0)
    path, seen = tmp_path / "cells", []

    def look(model, batch):
        seen.append(int(load_file(path)["done"].sum()) if path.exists() else 0)
        return 0.0

    landscape = formula(lambda t: t @ t, [0.0, 0.0])
    line_scan(
        landscape, torch.tensor([1.0, 0.0], dtype=torch.float64), points=4, functions={"look": look}, checkpoint=path
    )
    assert seen == [0, 0, 1, 2, 3]


def test_cells_that_are_not_finite_are_done(tmp_path):
    landscape, path = formula(lambda t: t[0].log(), [1.0]), tmp_path / "cells"
    direction = torch.ones(1, dtype=torch.float64)
    first = line_scan(landscape, direction, points=5, span=(-2.0, 2.0), checkpoint=path)
    again = line_scan(landscape, direction, points=5, span=(-2.0, 2.0), checkpoint=path)
    assert first.loss.isnan().tolist() == [True, True, False, False, False]
    torch.testing.assert_close(again.loss, first.loss, rtol=0, atol=0, equal_nan=True)
    assert again.cost.losses == 1


# ---------------------------------------------------------------------- what is refused


def test_another_scan_is_refused(tmp_path):
    landscape, path = network(), tmp_path / "cells"
    scan(landscape, path)
    directions = random_directions(landscape)
    moved = landscape.at(landscape.theta + 1e-9)
    other = random_directions(landscape, generator=torch.Generator().manual_seed(1))
    functions = {"sum": Stop()}
    with pytest.raises(CheckpointError, match=r"is of a scan with another point θ\. Take another file"):
        plane_scan(moved, directions, points=(3, 4), functions=functions, checkpoint=path)
    with pytest.raises(CheckpointError, match=r"is of a scan with other directions"):
        plane_scan(landscape, other, points=(3, 4), functions=functions, checkpoint=path)
    for options in ({"points": (4, 3)}, {"points": (3, 4), "span": (-1.0, 1.5)}):
        with pytest.raises(CheckpointError, match=r"is of a scan with another grid"):
            plane_scan(landscape, directions, functions=functions, checkpoint=path, **options)
    for place in (network(seed=7), landscape.on([(randn(5, 4), classes(5))])):
        with pytest.raises(CheckpointError, match=r"at θ, .* has loss .*, and now it is loss .*: the data, the obj"):
            scan(place, path)
    with pytest.raises(CheckpointError, match=r"the functions are others"):
        plane_scan(landscape, directions, points=(3, 4), checkpoint=path)


def test_rounding_is_told_of(tmp_path):
    landscape, path = network(), tmp_path / "cells"
    expected = scan(landscape, path)

    def shifted(model, batch):
        return model(batch[0]).sum(dim=1) * (1 + 1e-14)

    with pytest.warns(CheckpointWarning, match=r"differ by \d\.\de-1\d of them, which is rounding"):
        same(scan(landscape, path, shifted), expected)


def test_a_small_difference_is_not_rounding_in_double_precision(tmp_path):
    """One label among very many moves the loss by as much."""
    landscape, path = network(), tmp_path / "cells"
    scan(landscape, path)

    def shifted(model, batch):
        return model(batch[0]).sum(dim=1) * (1 + 9e-5)

    with pytest.raises(CheckpointError, match=r"9\.0e-05 of them apart, more than rounding"):
        scan(landscape, path, shifted)


def test_where_the_centre_says_nothing_a_cell_is_held_against_what_is_kept(tmp_path):
    centre = torch.zeros(2, dtype=torch.float64)

    def pole(scale):
        return formula(lambda t: torch.where(t.abs().sum() == 0, math.nan * t.sum(), scale * t @ t), [1.0, 1.0]).at(
            centre
        )

    eye, path = torch.eye(2, dtype=torch.float64), tmp_path / "cells"
    first = plane_scan(pole(1.0), eye, points=3, checkpoint=path)
    again = plane_scan(pole(1.0), eye, points=3, checkpoint=path)
    torch.testing.assert_close(again.loss, first.loss, rtol=0, atol=0, equal_nan=True)
    assert again.cost.losses == 2
    with pytest.raises(CheckpointError, match=r"at a cell that is kept, .* has loss 2, and now it is loss 14"):
        plane_scan(pole(7.0), eye, points=3, checkpoint=path)
    nowhere = formula(lambda t: torch.where(t[0] > 2, t.sum(), math.nan), [3.0, 0.0]).at(centre)
    with pytest.raises(CheckpointError, match=r"has loss 2, and now it is no finite loss"):
        plane_scan(nowhere, eye, points=3, checkpoint=path)
    plane_scan(nowhere, eye, points=3, checkpoint=tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"has no finite loss, and now it is loss 14"):
        plane_scan(pole(7.0), eye, points=3, checkpoint=tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "text"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    landscape, path = network(), tmp_path / "cells"
    scan(landscape, path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[-3] ^= 1
        path.write_bytes(content)
    elif damage == "foreign":
        save_file({"loss": torch.zeros(12)}, path)
    else:
        path.write_text("no cells")
    with pytest.raises(CheckpointError, match=r"is damaged, or no checkpoint of a scan\. Remove it to start anew"):
        scan(landscape, path)


def test_what_is_no_path_is_refused(tmp_path):
    with unchecked(), pytest.raises(ArgumentError, match=r"checkpoint: expected the path of a file, got 3"):
        scan(network(), 3)
    with pytest.raises(ArgumentError, match=r"checkpoint: expected a file, but .* is a folder"):
        scan(network(), tmp_path)
