"""The schedules of torch are the oracle."""

import pytest
import torch

from thalweg.errors import ArgumentError
from thalweg.training._schedule import learning_rate


def test_the_cosine_is_that_of_torch():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=17)
    for step in range(17):
        assert learning_rate("cosine", 0.3, step, 17) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        scheduler.step()


def test_the_constant_is_constant():
    assert {learning_rate("constant", 0.3, step, 5) for step in range(5)} == {0.3}


def test_another_schedule_is_an_error():
    with pytest.raises(ArgumentError, match=r"schedule: expected 'cosine' or 'constant', got 'linear'\."):
        learning_rate("linear", 0.3, 0, 5)
