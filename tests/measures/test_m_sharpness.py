"""m-sharpness against the groups taken one by one."""

import math

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.formula import formula
from tests.landscape.models import classes, cnn, generator, mlp, randn, scrambled
from tests.landscape.snapshot import unchanged
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, DataError, NonFiniteError
from thalweg.measures._dealt import dealt

CROSS = tw.objectives.cross_entropy()


def landscape(*sizes: int) -> tw.Landscape:
    data = zip(randn(sum(sizes), 4, seed=5).split(list(sizes)), classes(sum(sizes)).split(list(sizes)), strict=True)
    return tw.Landscape(mlp(), CROSS, list(data))


def test_all_items_in_one_group_is_sharpness():
    whole = landscape(7, 5)
    with unchanged(whole.model):
        found = tw.m_sharpness(whole, 0.1, 12)
    assert found.rise.value == pytest.approx(tw.sharpness(whole, 0.1).value, rel=1e-12)
    assert (found.groups, found.rise.standard_error, found.rise.data_error) == (1, 0.0, None)


def test_single_items():
    """Each item's own gradient, one step along it, and the loss there: from the model itself."""
    whole = landscape(6)
    model, (inputs, targets) = mlp(), (randn(6, 4, seed=5), classes(6))
    rises = []
    for x, y in zip(inputs.split(1), targets.split(1), strict=True):
        parameters = dict(model.named_parameters())
        loss = nn.functional.cross_entropy(model(x), y)
        slope = torch.autograd.grad(loss, parameters.values())
        length = math.sqrt(sum(float(part.square().sum()) for part in slope))
        moved = {name: p + 0.1 / length * g for (name, p), g in zip(parameters.items(), slope, strict=True)}
        after = nn.functional.cross_entropy(torch.func.functional_call(model, moved, (x,)), y)
        rises.append(after.item() - loss.item())
    found = tw.m_sharpness(whole, 0.1, 1)
    assert found.rise.value == pytest.approx(sum(rises) / 6, rel=1e-10)
    assert sorted(found.values.tolist()) == pytest.approx(sorted(rises), rel=1e-10)
    assert (found.m, found.groups, found.rho, found.lower_bound) == (1, 6, 0.1, True)


def test_groups_that_are_not_equal_count_by_their_items():
    """13 items in groups of 4 are four groups, of 4, 3, 3 and 3."""
    whole = landscape(13)
    found = tw.m_sharpness(whole, 0.1, 4, generator=generator(3))
    parts = dealt(whole, 4, generator(3))
    rises = [tw.sharpness(part, 0.1).value for part in parts]
    assert sorted(part.count for part in parts) == [3, 3, 3, 4]
    exact = sum(rise * part.count for rise, part in zip(rises, parts, strict=True)) / 13
    assert found.rise.value == pytest.approx(exact, rel=1e-12)
    assert found.values.tolist() == pytest.approx(rises)


def test_small_groups_are_sharper():
    """The maximum is convex: the mean over parts of each is at least that of any coarser division of it."""
    whole = landscape(8)
    value = [tw.m_sharpness(whole, 0.2, m, "ascent", steps=8, restarts=1).rise.value for m in (1, 4, 8)]
    assert value[0] > value[1] > value[2]


def test_ascent_is_at_least_one_step():
    whole = landscape(12)
    one = tw.m_sharpness(whole, 0.2, 3, generator=generator(1))
    found = tw.m_sharpness(whole, 0.2, 3, "ascent", steps=3, restarts=1, generator=generator(1))
    assert bool((found.values >= one.values - 1e-12).all())
    assert found.cost.gradients == 1 + 2 * 3
    assert (one.cost.gradients, one.cost.losses) == (1, 2)
    assert str(one) == f"3-sharpness S_0.2 ≥ {one.rise.value:.4g} (one-step, 4 groups)"


def test_some_of_the_groups():
    """The error is that of a sample from a finite set; what the data leave is there for all of them."""
    whole = landscape(40)
    everything = tw.m_sharpness(whole, 0.1, 1, generator=generator(2))
    some = tw.m_sharpness(whole, 0.1, 1, groups=10, generator=generator(2))
    assert torch.equal(some.values, everything.values[:10])
    spread = float(some.values.std()) / math.sqrt(10)
    assert some.rise.data_error == pytest.approx(spread)
    assert some.rise.standard_error == pytest.approx(spread * math.sqrt(1 - 10 / 40))
    assert (some.rise.dof, everything.rise.dof, everything.rise.standard_error) == (9, None, 0.0)
    assert everything.rise.data_error == pytest.approx(float(everything.values.std()) / math.sqrt(40))
    assert (some.cost.gradients, some.cost.losses) == (1, 2)
    assert (len(some.values), some.groups) == (10, 40)


def test_samples_of_groups_cover_the_whole():
    whole = landscape(20)
    exact, source, covered = tw.m_sharpness(whole, 0.1, 1).rise.value, generator(9), 0
    for _ in range(8):
        low, high = tw.m_sharpness(whole, 0.1, 1, groups=8, generator=source).rise.interval(0.99)
        covered += low <= exact <= high
    assert covered >= 7


def test_batch_norm_in_train_mode_is_refused():
    data = [(randn(6, 1, 6, 6), classes(6))]
    whole = tw.Landscape(cnn(), CROSS, data, mode="train")
    with pytest.raises(ArgumentError, match=r"landscape: expected one with mode='eval', got mode='train'"):
        tw.m_sharpness(whole, 0.1, 2)
    assert tw.m_sharpness(tw.Landscape(cnn(), CROSS, data), 0.1, 2).rise.value > 0


def test_batches_that_cannot_be_cut():
    with pytest.raises(DataError, match=r"landscape: expected an objective whose batches can be cut"):
        tw.m_sharpness(formula(lambda t: t[0], [1.0]), 0.1, 1)


def test_a_loss_that_is_unbounded_for_one_item():
    model = scrambled(nn.Linear(1, 1, bias=False).double())
    inputs = torch.tensor([[1.0], [1e200]], dtype=torch.float64)
    whole = tw.Landscape(model, tw.objectives.squared_error(), [(inputs[:1].repeat(2, 1), 0 * inputs)])
    assert tw.m_sharpness(whole, 0.1, 1).rise.value > 0
    far = tw.Landscape(model, tw.objectives.squared_error(), [(1e150 * inputs[:1].repeat(2, 1), 0 * inputs)])
    with pytest.raises(NonFiniteError, match=r"rho: expected a ball in which the loss is finite"):
        tw.m_sharpness(far, 1e10, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": 0.0, "m": 2}, r"rho: expected a positive finite number, got 0\.0"),
        ({"rho": 0.1, "m": 0}, r"m: expected between 1 and the 6 data items, got 0"),
        ({"rho": 0.1, "m": 7}, r"m: expected between 1 and the 6 data items, got 7"),
        ({"rho": 0.1, "m": 2, "groups": 1}, r"groups: expected between 2 and the 3 groups that there are, got 1"),
        ({"rho": 0.1, "m": 2, "groups": 4}, r"groups: expected between 2 and the 3 groups that there are, got 4"),
        ({"rho": 0.1, "m": 2, "steps": 4}, r"steps: expected None with method='one-step'"),
        ({"rho": 0.1, "m": 2, "method": "ascent", "steps": 0}, r"steps: expected at least 1, got 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        tw.m_sharpness(landscape(6), **arguments)


def test_groups_of_masked_items_count_for_nothing():
    """The same items without the masked one, in single items and by their mean."""
    model = scrambled(nn.Linear(2, 3, bias=False).double())
    inputs, targets = torch.eye(2, dtype=torch.float64).repeat(2, 1), torch.tensor([0, 1, -100, 2])
    kept = targets >= 0
    masked, plain = (
        tw.Landscape(model, CROSS, [batch]) for batch in ((inputs, targets), (inputs[kept], targets[kept]))
    )
    found, expected = (tw.m_sharpness(each, 0.05, 1) for each in (masked, plain))
    assert found.rise.value == pytest.approx(expected.rise.value, rel=1e-12)
    assert found.rise.data_error == pytest.approx(expected.rise.data_error, rel=1e-12)
    assert (found.groups, found.sizes, found.rise.standard_error) == (3, (1, 1, 1), 0.0)
    assert tw.m_sharpness(masked, 0.05, 2).rise.value > 0
    with pytest.raises(ArgumentError, match=r"groups: expected between 2 and the 3 groups that there are, got 4"):
        tw.m_sharpness(masked, 0.05, 1, groups=4)


def test_sizes_are_those_of_the_groups_that_there_are():
    """Four items in groups of 3 are two groups of 2; five are one of 3 and one of 2."""
    even, odd = tw.m_sharpness(landscape(4), 0.05, 3), tw.m_sharpness(landscape(5), 0.05, 3)
    assert (even.m, even.sizes, sorted(odd.sizes)) == (3, (2, 2), [2, 3])
    assert str(even).startswith("2-sharpness S_0.05 ≥ ")
    assert str(odd).startswith("2–3-sharpness S_0.05 ≥ ")


def test_what_is_unknown_is_named():
    with unchecked(), pytest.raises(ArgumentError, match=r"method: expected 'one-step' or 'ascent', got 'three'"):
        tw.m_sharpness(landscape(6), 0.1, 2, "three")
    with unchecked(), pytest.raises(ArgumentError, match=r"m: expected a whole number, got 1\.5"):
        tw.m_sharpness(landscape(6), 0.1, 1.5)
