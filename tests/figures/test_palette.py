"""The palette's promises, by the definitions of contrast (WCAG 2) and colour-blindness (Machado et al., 2009)."""

import itertools

import numpy as np
import pytest

from thalweg.figures._palette import BACKGROUND, DEPTH, GREY, INK, SERIES, SURFACE, depth_scale, faint, series

NORMAL = np.eye(3)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def linear(colour):
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(first, second):
    low, high = sorted(linear(colour) @ LUMINANCE for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


def oklab(rgb):
    """Ottosson (2020): distances are near to what the eye sees; black to white is 1."""
    cone = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
    lab = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
    return lab @ np.cbrt(cone @ np.clip(rgb, 0, 1))


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_curves_and_text_stand_out_from_the_page_and_from_cards(mode):
    for background in (BACKGROUND[mode], SURFACE[mode]):
        assert all(contrast(colour, background) >= 3 for colour in (*SERIES, GREY))
        assert contrast(INK[mode], background) >= 7


@pytest.mark.parametrize("sight", [NORMAL, PROTANOPIA, DEUTERANOPIA])
def test_the_first_four_colours_stay_apart_for_every_eye(sight):
    seen = [oklab(sight @ linear(colour)) for colour in SERIES[:4]]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.07


def test_the_depth_scale_rises_in_lightness_throughout_for_every_eye():
    for sight in (NORMAL, PROTANOPIA, DEUTERANOPIA):
        lightness = [oklab(sight @ linear(colour))[0] for colour in DEPTH]
        assert np.all(np.diff(lightness) > 0.03)
    assert depth_scale()[0] == (0.0, DEPTH[0])
    assert depth_scale()[-1] == (1.0, DEPTH[-1])


def test_colours_start_again():
    assert series(len(SERIES)) == series(0) != series(1)


def test_a_faint_colour_keeps_its_hue():
    assert faint("#ff0080", 0.5) == "rgba(255, 0, 128, 0.5)"
