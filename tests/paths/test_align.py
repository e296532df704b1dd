"""Planted orders are found exactly; the best order of small networks is that of all that there are."""

import itertools
import json

import pytest
import torch
from torch import Tensor, nn

import thalweg as tw
from tests.landscape import models
from tests.landscape.models import randn, scrambled
from tests.landscape.snapshot import unchanged
from tests.paths.networks import CLASSES, CROSS, NETWORKS, ROWS, SEQUENCES, Heads, landscape, perceptron, residual
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.landscape import Landscape
from thalweg.paths import NetworkAlignment, align, align_many, permutations, permuted
from thalweg.paths._assignment import Gains, best_order
from thalweg.paths._layout import identity, shuffled
from thalweg.paths._permutation_results import HiddenUnits
from thalweg.paths._weight_matching import Matcher, match_weights


def planted(name: str, seed: int = 1):
    there = NETWORKS[name]()
    symmetry = permutations(there, check=False)
    return there, permuted(there, symmetry, shuffled(symmetry, torch.Generator().manual_seed(seed))), symmetry


# Grouped convolutions read their channels by group, which one level of nesting does not tell apart.
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "separable"])
def test_weights_recover_planted_orders(name):
    there, other, symmetry = planted(name)
    found = align(there, other, symmetry=symmetry)
    assert torch.equal(found.apply(other).theta, there.theta)
    for key, buffer in found.apply(other).buffers.items():
        assert torch.equal(buffer, there.buffers[key])
    assert found.after == 0
    assert found.before > 0
    assert found.deviation < 1e-12


@pytest.mark.parametrize(
    "name", ["perceptron", "convolutions with batch norm", "identity shortcuts", "heads", "recurrent"]
)
def test_activations_recover_planted_orders(name):
    there, other, symmetry = planted(name, seed=2)
    found = align(there, other, symmetry=symmetry, method="activations")
    assert torch.equal(found.apply(other).theta, there.theta)
    assert found.cost.losses == 2


def test_planted_orders_are_recovered_under_noise():
    there, other, symmetry = planted("projected shortcuts")
    noisy = other.at(other.theta + 0.02 * other.space.randn(torch.Generator().manual_seed(4)))
    back = align(there, noisy, symmetry=symmetry).apply(noisy)
    assert float((back.theta - there.theta).abs().max()) < 0.15


def test_one_layer_is_matched_as_well_as_can_be():
    there, other = (landscape(tw.models.mlp((4, 5, 3)), seed=seed) for seed in (1, 2))
    found = align(there, other)
    every = (
        permuted(other, found.symmetry, {"1.0.weight": torch.tensor(order)})
        for order in itertools.permutations(range(5))
    )
    best = min(float((there.theta - one.theta).norm()) for one in every)
    assert found.after == pytest.approx(best, rel=1e-12)


def test_heads_and_their_units_are_assigned_together():
    generator = torch.Generator().manual_seed(0)
    group, inner = HiddenUnits("h", 3), HiddenUnits("u", 3, "h", 3)
    table = torch.randn(3, 3, 3, 3, generator=generator, dtype=torch.float64)
    direct = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    found = best_order(Gains(group, (inner,), direct, {"u": table}))

    def gain(heads, units):
        own = sum(direct[i, heads[i]] for i in range(3))
        return float(own + sum(table[i, heads[i], k, units[i][k]] for i in range(3) for k in range(3)))

    orders = list(itertools.permutations(range(3)))
    best = max(gain(heads, units) for heads in orders for units in itertools.product(orders, repeat=3))
    assert gain(found["h"].tolist(), found["u"].tolist()) == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("name", ["perceptron", "perceptron with shortcuts", "heads", "recurrent"])
def test_the_distance_never_rises_and_is_that_of_the_weights(name):
    build = NETWORKS[name]
    there = build()
    symmetry = permutations(there, check=False)
    other = there.at(there.space.randn(torch.Generator().manual_seed(8)))
    matcher = Matcher(there.split(there.theta), other.split(other.theta), symmetry)
    for seed in range(3):
        source = torch.Generator().manual_seed(seed)
        found = matcher.descend(shuffled(symmetry, source), 50, source)
        assert all(after < before for before, after in itertools.pairwise(found.history))
        apart = float((there.theta - permuted(other, symmetry, found.order).theta).square().sum())
        assert found.history[-1] == pytest.approx(apart, rel=1e-12)


def test_more_starts_are_never_worse():
    there, other = (landscape(Heads(), (SEQUENCES, CLASSES), seed=seed) for seed in (1, 2))
    symmetry = permutations(there, check=False)
    ours, theirs = there.split(there.theta), other.split(other.theta)

    def after(restarts):
        source = torch.Generator().manual_seed(0)
        return match_weights(ours, theirs, symmetry, restarts=restarts, sweeps=50, generator=source).history[-1]

    assert after(3) <= after(1)


def test_an_aligned_network_computes_the_same():
    there, other = residual("pad", "batch", 1), residual("pad", "batch", 2)
    symmetry = permutations(there)
    for method in ("weights", "activations"):
        found = align(there, other, method=method, symmetry=symmetry, restarts=1)
        assert found.apply(other).loss() == pytest.approx(other.loss(), rel=1e-12)
        assert found.deviation < 1e-12
        assert found.after == pytest.approx(float((there.theta - found.apply(other).theta).norm()), rel=1e-12)
        assert found.after < found.before


def test_the_same_seed_gives_the_same_bits():
    there, other = perceptron(1), perceptron(2)
    one, again = (align(there, other, restarts=3, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(one.permutations[name], again.permutations[name]) for name in one.permutations)


def test_the_model_stays_as_it_is():
    there, other = perceptron(1), perceptron(2)
    with unchanged(there.model), unchanged(other.model):
        align(there, other, method="activations")


def test_an_alignment_survives_json():
    found = align(perceptron(1), perceptron(2))
    back = NetworkAlignment.from_dict(json.loads(json.dumps(found.to_dict())))
    assert torch.equal(back.apply(perceptron(2)).theta, found.apply(perceptron(2)).theta)
    assert str(found).startswith("aligned by weights: distance ")


def test_units_that_never_vary_are_no_trouble():
    there, other = perceptron(1), perceptron(2)
    theta = other.theta
    theta[: 4 * 3] = 0
    found = align(there, other.at(theta), method="activations")
    assert found.deviation < 1e-12


def test_layers_that_differ_are_named():
    other = landscape(tw.models.mlp((4, 7, 5, 3)))
    expected = r"they differ in 2\.0\.weight \(6×7, 5×7\), 2\.0\.bias \(6, 5\), 3\.weight \(3×6, 3×5\)\."
    with pytest.raises(ArgumentError, match=expected):
        align(perceptron(), other)


def test_layers_that_only_one_has_are_named():
    other = landscape(tw.models.mlp((4, 7, 6, 3), bias=False))
    with pytest.raises(ArgumentError, match=r"1\.0\.bias \(7, none\)"):
        align(perceptron(), other)


def test_layers_that_are_connected_differently_are_named():
    class Stacked(torch.nn.Module):
        def __init__(self, skip: bool) -> None:
            super().__init__()
            self.skip = skip
            self.a, self.b, self.c = torch.nn.Linear(4, 6), torch.nn.Linear(6, 6), torch.nn.Linear(6, 3)

        def forward(self, x):
            x = torch.relu(self.a(x))
            return self.c(torch.relu(self.b(x)) + x * self.skip if self.skip else torch.relu(self.b(x)))

    with pytest.raises(ArgumentError, match=r"connected as those of reference, got others around b\.weight"):
        align(landscape(Stacked(False)), landscape(Stacked(True)))


def test_types_must_agree():
    x = randn(5, 4, dtype=torch.float32)
    other = Landscape(tw.models.mlp((4, 7, 6, 3)), CROSS, [(x, CLASSES)])
    with pytest.raises(ArgumentError, match=r"expected torch\.float64 on cpu, got torch\.float32"):
        align(perceptron(), other)


def test_the_symmetry_of_another_model_is_refused():
    there = landscape(models.mlp())
    wrong = permutations(there)
    scaled = wrong.axes[:1]
    broken = type(wrong)(wrong.groups, scaled)
    with pytest.raises(ArgumentError, match="expected the same function"):
        align(there, landscape(models.mlp(), seed=1), symmetry=broken)


@pytest.mark.parametrize(("name", "value"), [("method", "straight"), ("restarts", 0), ("sweeps", True)])
def test_wrong_arguments(name, value):
    with unchecked(), pytest.raises(ArgumentError, match=f"{name}: expected"):
        align(perceptron(1), perceptron(2), **{name: value})


def test_what_is_no_network_is_named():
    network = perceptron(1)
    with unchecked(), pytest.raises(ArgumentError, match="other: expected a Landscape, got Tensor"):
        align(network, network.theta)
    with unchecked(), pytest.raises(ArgumentError, match="reference: expected a Landscape, got Tensor"):
        align(network.theta, network)


def test_many_permuted_copies_become_one():
    there = NETWORKS["convolutions with batch norm"]()
    symmetry = permutations(there)
    sources = [torch.Generator().manual_seed(seed) for seed in range(4)]
    copies = [permuted(there, symmetry, shuffled(symmetry, source)) for source in sources]
    found = align_many(copies)
    first, *others = found.apply(copies)
    assert all(torch.equal(one.theta, first.theta) for one in others)
    assert found.history[-1] == pytest.approx(0, abs=1e-12)
    assert found.converged


def test_many_networks_come_nearer_in_every_sweep():
    networks = [landscape(tw.models.mlp((4, 12, 12, 3)), seed=seed) for seed in range(4)]
    found = align_many(networks)
    assert found.converged
    assert all(after < before for before, after in itertools.pairwise(found.history))
    aligned = found.apply(networks)
    for one, other in zip(networks, aligned, strict=True):
        assert other.loss() == pytest.approx(one.loss(), rel=1e-12)
    thetas = torch.stack([one.theta for one in aligned])
    spread = float((thetas - thetas.mean(0)).square().sum().div(4).sqrt())
    assert found.history[-1] == pytest.approx(spread, rel=1e-12)
    raw = torch.stack([one.theta for one in networks])
    assert spread < float((raw - raw.mean(0)).square().sum().div(4).sqrt())
    assert str(found).startswith("4 networks aligned")


def test_one_network_is_not_many():
    with pytest.raises(ArgumentError, match="landscapes: expected at least 2, got 1"):
        align_many([perceptron()])


def test_a_network_is_its_own_alignment():
    there = perceptron()
    found = align(there, there)
    still = identity(found.symmetry)
    assert all(torch.equal(found.permutations[name], order) for name, order in still.items())
    assert (found.moved, found.before, found.after) == (0, 0, 0)


class Outer(nn.Module):
    """Every unit of one layer times every unit of another: an axis of two independent groups."""

    def __init__(self, other: int) -> None:
        super().__init__()
        self.a, self.c, self.o = nn.Linear(4, 5), nn.Linear(4, other), nn.Linear(5 * other, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(torch.einsum("bi,bj->bij", self.a(x).tanh(), self.c(x).tanh()).flatten(1))


def disordered(model: nn.Module, data: Tensor = ROWS) -> tuple[Landscape, Landscape]:
    start = Landscape(model.double(), CROSS, [(data, CLASSES)])
    symmetry = permutations(start)
    return start, permuted(start, symmetry, shuffled(symmetry, torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("other", [5, 6])
def test_activations_of_two_independent_groups_on_one_axis(other):
    assert align(*disordered(scrambled(Outer(other), 0)), method="activations").after == 0


def dead() -> nn.Module:
    """Units of the second layer that are always 0."""
    model = scrambled(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)), 0)
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    return model


def twins() -> nn.Module:
    """Two units that do the same and are read differently."""
    model = scrambled(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), 0)
    with torch.no_grad():
        model[0].weight[1], model[0].bias[1] = model[0].weight[4], model[0].bias[4]
    return model


@pytest.mark.parametrize("model", [dead, twins])
def test_weights_decide_where_activations_do_not(model):
    assert align(*disordered(model()), method="activations").after == 0


@pytest.mark.parametrize("method", ["weights", "activations"])
def test_weight_normalisation_is_followed(method):
    norm = nn.utils.parametrizations.weight_norm
    model = scrambled(nn.Sequential(norm(nn.Linear(4, 6)), nn.ReLU(), norm(nn.Linear(6, 3))), 0)
    start, other = disordered(model)
    assert [group.size for group in permutations(start).groups] == [6]
    assert align(start, other, method=method).after == 0


def test_another_number_of_heads_is_another_architecture():
    class Attending(nn.Module):
        def __init__(self, heads: int) -> None:
            super().__init__()
            self.a, self.o = nn.MultiheadAttention(8, heads, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.o(self.a(x, x, x, need_weights=False)[0].mean(1))

    four, two = (Landscape(scrambled(Attending(h), 0).double(), CROSS, [(randn(5, 3, 8), CLASSES)]) for h in (4, 2))
    with pytest.raises(ArgumentError, match=r"connected as those of reference, got others around a\.in_proj_weight"):
        align(four, two)


def test_many_by_their_activations():
    start, other = disordered(dead())
    found = align_many([start, other, start], method="activations")
    assert found.history == (0.0,)
    assert found.converged
    assert torch.equal(found.apply([start, other, start])[1].theta, start.theta)
    assert found.cost.losses == 4
