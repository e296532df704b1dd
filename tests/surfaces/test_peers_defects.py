"""What other libraries get wrong about grids, each beside what is right here."""

import copy

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import classes, randn, scrambled
from tests.landscape.snapshot import unchanged
from thalweg.surfaces import plane_scan, random_directions

STEPS = 4
INPUTS, TARGETS = randn(12, 4, dtype=torch.float32), classes(12)
CRITERION = nn.CrossEntropyLoss()


def network() -> nn.Module:
    return scrambled(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)))


def landscape_of(model: nn.Module) -> tw.Landscape:
    return tw.Landscape(model, tw.objectives.cross_entropy(), [(INPUTS, TARGETS)])


def walked(model: nn.Module, steps: int = STEPS, **options: bool) -> list[torch.Tensor]:
    """Where loss-landscapes evaluates each entry of its table, in the table's own order."""
    peer = pytest.importorskip("loss_landscapes")
    places: list[torch.Tensor] = []

    def metric(wrapper):
        places.append(torch.cat([part.detach().flatten() for part in wrapper.get_module_parameters().parameters]))
        return float(len(places) - 1)

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        table = peer.random_plane(model, metric, distance=1, steps=steps, **options)
    return [places[int(index)] for index in table.reshape(-1)]


def ours(landscape: tw.Landscape, points: int) -> tuple[tw.Surface, list[list[torch.Tensor]]]:
    """A plane, and where each of its entries was evaluated."""
    places: list[torch.Tensor] = []

    def look(model, batch):
        places.append(torch.cat([part.detach().flatten() for part in model.parameters()]))
        return 0.0

    found = plane_scan(landscape, random_directions(landscape), points=points, functions={"look": look})
    return found, [places[row * points : (row + 1) * points] for row in range(points)]


def test_rows_are_not_sheared():
    """Theirs walk back in every other row, one step short: the same column is at another place."""
    theirs = walked(network(), deepcopy_model=True)
    first, second, third = (theirs[row * STEPS] for row in range(3))
    shift = theirs[1] - first
    down = (third - first) / 2
    torch.testing.assert_close(second - first, down - shift, rtol=0, atol=1e-4)

    places = ours(landscape_of(network()), STEPS)[1]
    for row in range(1, STEPS):
        steps = [places[row][column] - places[0][column] for column in range(STEPS)]
        for step in steps[1:]:
            torch.testing.assert_close(step, steps[0], rtol=0, atol=1e-5)


def test_the_point_itself_is_evaluated_in_the_middle():
    """Theirs is not at the start point where the grid has a middle: half a step beside it."""
    model = network()
    start = torch.cat([part.detach().flatten() for part in model.parameters()])
    assert min(float((place - start).norm()) for place in walked(model, 5, deepcopy_model=True)) > 0.1

    found, places = ours(landscape_of(model), 5)
    assert torch.equal(places[2][2], start)
    assert float(found.loss[2, 2]) == landscape_of(model).loss()
    # And the corners lie about it symmetrically.
    torch.testing.assert_close(places[0][0] + places[4][4], 2 * start)


def test_coordinates_are_true_distances():
    """Landscaper's axes say ±distance, and its walk ends at (steps − 1)/steps of it, here 80 %, by steps of ‖θ‖."""
    peer = pytest.importorskip("landscaper.compute")
    model, places = network(), []
    start = torch.cat([part.detach().flatten() for part in model.parameters()])

    def loss(moved, batch):
        places.append(torch.cat([part.detach().flatten() for part in moved.parameters()]))
        return float(places[-1].norm())

    direction = [torch.randn(part.shape, generator=torch.Generator().manual_seed(0)) for part in model.parameters()]
    _, axes = peer.compute_loss_landscape(model, None, [direction], loss, steps=5, distance=0.5, dim=1, device="cpu")
    reached = float((places[-1] - start).norm())
    assert axes[0][-1] == 0.5
    assert reached == pytest.approx(0.8 * 0.5 * float(start.norm()), rel=1e-4)

    found, own = ours(landscape_of(model), 5)
    for column, x in enumerate(found.x.tolist()):
        assert float((own[2][column] - start).norm()) == pytest.approx(abs(x) * found.norms[0], rel=1e-5, abs=1e-7)


def test_the_model_is_not_walked_away():
    model = network()
    before = copy.deepcopy(model.state_dict())
    walked(model)
    moved = sum(float((after - before[name]).norm()) for name, after in model.state_dict().items())
    assert moved > 0.1
    assert not any(parameter.requires_grad for parameter in model.parameters())

    model = network()
    with unchanged(model):
        plane_scan(landscape_of(model), random_directions(landscape_of(model)), points=3)


def test_cells_that_are_not_finite_are_not_made_up():
    """Landscaper fills them with the mean, and adds random numbers to its highest cells."""
    peer = pytest.importorskip("landscaper.compute")
    model = network()
    direction = [torch.randn(part.shape, generator=torch.Generator().manual_seed(0)) for part in model.parameters()]
    values = iter([1.0, float("nan"), 3.0])
    table, _ = peer.compute_loss_landscape(
        model, None, [direction], lambda m, b: next(values), steps=3, distance=0.5, dim=1, device="cpu"
    )
    assert table[1] == 2.0

    functions = {"gap": lambda m, b: float("nan")}
    found = plane_scan(landscape_of(model), random_directions(landscape_of(model)), points=2, functions=functions)
    assert found.metrics["gap"].isnan().all()
