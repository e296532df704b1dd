"""The trial of engines: the fastest that agrees is kept, and the reason is said."""

import functools
from types import SimpleNamespace

import pytest
import torch

import thalweg as tw
from tests.landscape.models import classes, mlp, randn
from thalweg.errors import DeterminismError, DifferentiationError
from thalweg.operators.engines import choose as choose_by

choose = functools.partial(choose_by, tolerance=1e-8)
BLOCK = torch.ones(5, 2, dtype=torch.float64)


class Clock:
    """Stands still but for the products."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def takes(seconds, factor=2.0, noise=0.0, clock=None):
    count = [0]

    def product(block):
        if clock is not None:
            clock.now += seconds
        count[0] += 1
        return factor * block + noise * count[0]

    return lambda: SimpleNamespace(name="", product=product)


def fails(error):
    def product(block):
        raise error

    return lambda: SimpleNamespace(name="", product=product)


def test_the_fastest_is_kept_and_the_others_are_named():
    clock = Clock()
    candidates = {"safe": takes(2, clock=clock), "fast": takes(1, clock=clock), "slow": takes(4, clock=clock)}
    found = choose(candidates, BLOCK, clock=clock)
    assert found.name == "fast"
    assert found.reason == "by a trial in which 5 % count as equal; safe took 2x its time; slow took 4x its time"


def test_what_is_not_clearly_faster_does_not_displace():
    clock = Clock()
    for seconds, kept in ((0.96, "safe"), (0.94, "other")):
        candidates = {"safe": takes(1, clock=clock), "other": takes(seconds, clock=clock)}
        assert choose(candidates, BLOCK, clock=clock).name == kept


def test_who_disagrees_drops_out():
    found = choose({"safe": takes(1), "wrong": takes(0.0, factor=2.001)}, BLOCK)
    assert found.name == "safe"
    assert "wrong disagrees" in found.reason


@pytest.mark.parametrize(
    "error", [DifferentiationError("no"), torch.OutOfMemoryError("full"), RuntimeError("can't allocate memory")]
)
def test_who_cannot_drops_out(error):
    found = choose({"safe": takes(0.0), "unable": fails(error)}, BLOCK)
    assert found.name == "safe"
    assert f"unable failed ({type(error).__name__}: {error})" in found.reason
    with pytest.raises(type(error)):
        choose({"unable": fails(error), "safe": takes(0.0)}, BLOCK)


def test_a_column_that_nearly_vanishes_is_all_rounding():
    block = torch.ones(4, 2, dtype=torch.float64)

    def rounded(noise):
        scale = torch.tensor([1.0, 1e-16], dtype=torch.float64)
        return lambda: SimpleNamespace(name="", product=lambda block: scale * block + noise)

    assert "disagrees" not in choose({"safe": rounded(0.0), "other": rounded(1e-16)}, block).reason


def test_errors_of_other_kinds_are_not_hidden():
    """Where the trusted one works, they say why another cannot; its own are raised."""
    found = choose({"safe": takes(0.0), "broken": fails(RuntimeError("shapes"))}, BLOCK)
    assert "broken failed (RuntimeError: shapes)" in found.reason
    with pytest.raises(RuntimeError, match="shapes"):
        choose({"broken": fails(RuntimeError("shapes")), "safe": takes(0.0)}, BLOCK)
    with pytest.raises(TypeError, match="no"):
        choose({"safe": takes(0.0), "broken": fails(TypeError("no"))}, BLOCK)


def test_a_product_that_does_not_repeat_is_refused():
    with pytest.raises(DeterminismError, match="two by safe differ by more than rounding"):
        choose({"safe": takes(0.0, noise=0.1)}, BLOCK)


def test_an_operator_says_what_it_chose():
    landscape = tw.Landscape(mlp(), tw.objectives.cross_entropy(), [(randn(8, 4), classes(8))])
    op = tw.hessian(landscape)
    assert op.engine == "auto"
    op @ landscape.theta
    assert op.engine == (
        "double-backward for single vectors (most graphs are kept, so that it has the fewest operations)"
    )
    op @ landscape.space.randn(count=8)
    assert " for blocks (by a trial " in op.engine
    assert "forward-over-reverse" in op.engine
    rebuilding = tw.hessian(landscape, keep=False)
    rebuilding @ landscape.theta
    assert " for single vectors (by a trial " in rebuilding.engine
    assert rebuilding.provenance.engine in ("double-backward", "forward-over-reverse")
    both = op.provenance.engine
    assert both == "double-backward" or both.startswith("double-backward for single vectors; ")
    assert "trial" not in both
