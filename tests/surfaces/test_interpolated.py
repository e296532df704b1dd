"""Interpolated cells of adaptive surfaces stay where losses can be."""

import torch

from tests.formula import formula
from thalweg.surfaces import adaptive_scan, merge_tree

EYE = torch.eye(2, dtype=torch.float64)


def steep(x, y):
    return torch.exp(6 * (x + y))


def scanned(f, points, checks=32):
    """The adaptive surface and the true one."""
    found = adaptive_scan(formula(lambda t: f(*t), [0.0, 0.0]), EYE, points=points, checks=checks)
    y, x = torch.meshgrid(found.y, found.x, indexing="ij")
    return found, f(x, y)


def test_a_positive_loss_stays_positive_and_within_its_estimate():
    found, truth = scanned(steep, 51)
    extent = float(truth.max() - truth.min())
    assert found.share < 0.15
    assert float(found.loss.min()) > 0
    assert float((found.loss - truth).abs().max()) <= found.largest_error * extent * (1 + 1e-12)


def test_a_minimum_between_the_points_of_the_grids_is_not_cut_off():
    """What is below all that was measured is kept where its estimate says that it is known."""
    found, truth = scanned(lambda x, y: (x - 0.33) ** 2 + (y + 0.17) ** 2 + 0.1, 25, checks=0)
    torch.testing.assert_close(found.loss, truth, rtol=0, atol=1e-12)
    assert float(found.loss.min()) < float(found.loss[found.measured].min())


def test_a_constant_loss_is_constant():
    found = adaptive_scan(formula(lambda t: 0 * t.sum() + 3, [0.0, 0.0]), EYE, points=17, checks=4)
    assert bool((found.loss == 3).all())
    assert (found.largest_error, found.converged) == (0, True)
    assert merge_tree(found).minima == 1
