import math
from dataclasses import replace

import numpy as np
import torch

from thalweg.figures import draw, plot


def test_training_and_test_are_drawn_against_the_epoch(item):
    history = item.history
    figure = plot(history)
    assert [trace.name for trace in figure.data] == ["train", "test"] * 2
    np.testing.assert_allclose(figure.data[0].y, history.train_loss)
    np.testing.assert_allclose(figure.data[3].y, history.test_accuracy)
    np.testing.assert_array_equal(figure.data[0].x, history.epoch)


def test_only_what_there_is_gets_a_panel(item):
    bare = replace(item.history, train_accuracy=None, test_accuracy=None, test_loss=None)
    assert [trace.name for trace in plot(bare).data] == ["train"]
    assert len(draw(bare).axes) == 1
    assert len(draw(item.history).axes) == 2


def test_the_loss_is_logarithmic_where_its_range_is_wide_and_positive(item):
    assert plot(item.history).layout.yaxis.type == "log"
    narrow = replace(item.history, train_loss=1 + item.history.train_loss, test_loss=None)
    assert plot(narrow).layout.yaxis.type is None
    assert plot(replace(item.history, train_loss=item.history.train_loss - 1)).layout.yaxis.type is None


def test_a_diverged_epoch_is_a_gap(item):
    loss = item.history.train_loss.clone()
    loss[3] = math.inf
    assert np.isnan(plot(replace(item.history, train_loss=loss)).data[0].y[3])
    assert draw(replace(item.history, train_loss=torch.full_like(loss, math.nan))).axes
