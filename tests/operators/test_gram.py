"""The Gram matrix of gradients: the other side of the covariance."""

import pytest
import torch

import thalweg as tw
from tests.operators.battery import setting, twin
from thalweg.errors import MemoryBudgetError

# Items that act on one another are what some cases are about.
pytestmark = pytest.mark.filterwarnings("ignore::thalweg.errors.DependentItemsWarning")


@pytest.mark.parametrize("model", ["tanh", "convolutions", "convolutions in train mode", "tied and masked", "entries"])
def test_it_has_the_spectrum_of_the_covariance(model):
    landscape = setting(model).landscape
    gram = tw.gradient_gram(landscape)
    assert gram.shape == (landscape.count, landscape.count)
    torch.testing.assert_close(gram, gram.mT, rtol=0, atol=1e-15)
    expected = torch.linalg.eigvalsh(twin("gradient covariance", model)).flip(0)
    found = torch.linalg.eigvalsh(gram).flip(0)
    count = min(len(expected), len(found))
    scale = float(expected[0])
    torch.testing.assert_close(found[:count], expected[:count], rtol=0, atol=1e-12 * scale)
    assert expected[count:].abs().max() < 1e-12 * scale if len(expected) > count else True
    # Centred: the mean gradient is nothing.
    assert gram.sum(dim=0).abs().max() < 1e-12 * scale


def test_memory_changes_how_and_not_what():
    landscape = setting("tanh").landscape
    row = 8 * landscape.size
    whole = tw.gradient_gram(landscape)
    for memory in (2 * row, 3 * row, 5 * row, 100 * row):
        torch.testing.assert_close(tw.gradient_gram(landscape, memory=memory), whole, rtol=1e-12, atol=1e-15)
    with pytest.raises(
        MemoryBudgetError, match=r"memory: expected room for at least two gradients, 688 bytes, got 687\."
    ):
        tw.gradient_gram(landscape, memory=2 * row - 1)
