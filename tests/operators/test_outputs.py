"""Models that return objects: the Gauss–Newton matrix needs the tensors in them."""

import gc
import weakref
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import thalweg as tw
from tests.landscape.models import randn, scrambled, tied, tokens
from thalweg.errors import ObjectiveError


class Cache:
    def __init__(self, keys):
        self.keys = keys


class Wrapped(nn.Module):
    """Logits in an object of no known type, with a cache beside them that holds its graph."""

    def __init__(self):
        super().__init__()
        self.body = tied()
        self.caches = []

    def forward(self, input_ids):
        logits = self.body(input_ids)
        cache = Cache(logits * 2)
        self.caches.append(weakref.ref(cache))
        return SimpleNamespace(logits=logits, cache=cache, loss=None)


@pytest.mark.parametrize("make", [tw.ggn, tw.residual, tw.fisher])
@pytest.mark.parametrize("engine", ["double-backward", "forward-over-reverse"])
def test_tensors_in_an_object_are_found(make, engine):
    batch = [tokens(4)]
    plain = tw.Landscape(tied(), tw.objectives.causal_lm(), batch)
    wrapped = tw.Landscape(Wrapped(), tw.objectives.causal_lm(), batch)
    found = make(wrapped, engine=engine) @ wrapped.theta
    torch.testing.assert_close(found, make(plain, engine=engine) @ plain.theta, rtol=1e-12, atol=1e-14)


def test_caches_do_not_outlive_a_product():
    model = Wrapped()
    landscape = tw.Landscape(model, tw.objectives.causal_lm(), [tokens(4)])
    op = tw.ggn(landscape, engine="double-backward", keep=False)
    op @ landscape.theta
    gc.collect()
    assert all(cache() is None for cache in model.caches)


def test_an_object_without_tensors_is_named():
    class Empty(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = scrambled(nn.Linear(4, 3).double())

        def forward(self, x):
            return {"hidden": [lambda: self.linear(x)]}

    objective = tw.objectives.Objective(
        "lazy",
        lambda model, batch: model(batch),
        lambda outputs, batch: outputs["hidden"][0]().square().sum(1),
        convex=True,
    )
    landscape = tw.Landscape(Empty(), objective, [randn(3, 4)], check=False)
    with pytest.raises(
        ObjectiveError, match="outputs: expected tensors of real numbers from the model, got dict without"
    ):
        tw.ggn(landscape) @ landscape.theta
