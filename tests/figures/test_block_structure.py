"""The map shows the norms where they are, and what is behind them."""

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError
from thalweg.figures import draw, plot
from thalweg.measures import BlockStructure


def structure(count: int, name: str = "layer") -> BlockStructure:
    """Made-up norms that fall with the distance of two groups."""
    places = torch.arange(count, dtype=torch.float64)
    squares = 4.0 * 0.1 ** (places - places[:, None]).abs()
    names = [f"{name}{place}" for place in range(count)]
    return BlockStructure(
        members={each: (f"{each}.weight",) for each in names},
        sizes=tuple(10 + place for place in range(count)),
        squares=squares,
        standard_error=0.1 * squares,
        samples=torch.full((count, count), 16),
        frobenius=tw.Estimate(float(squares.sum()), 0.1),
        share=tw.Estimate(0.812, 0.013),
        cost=tw.Cost(matvecs=8),
    )


@pytest.mark.parametrize("quantity", ["norms", "rms", "coupling"])
def test_colours_are_logarithms_of_what_was_asked_for(quantity):
    result = structure(4)
    values = getattr(result, quantity).numpy()
    figure = plot(result, quantity=quantity)
    (cells,) = figure.data
    np.testing.assert_allclose(10 ** np.asarray(cells.z, dtype=float), values)
    (image,) = draw(result, quantity=quantity).axes[0].images
    np.testing.assert_allclose(10 ** image.get_array(), values)
    assert figure.layout.yaxis.range == (3.5, -0.5)
    assert figure.layout.xaxis.title.text == "81.2 % ± 1.3 % of ‖A‖² in the diagonal blocks"


def test_few_groups_have_their_numbers_and_names():
    result = structure(3)
    (cells,) = plot(result).data
    assert tuple(cells.text[0]) == ("2.0", "0.63", "0.20")
    assert cells.customdata[0][1] == "layer0 × layer1<br>0.632 ± 0.032"
    axes = draw(result).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()][:3] == ["layer0", "layer1", "layer2"]
    assert {"2.0", "0.63", "0.20"} <= {text.get_text() for text in axes.texts}


@pytest.mark.parametrize("count", [2, 12, 60])
def test_many_groups_are_numbered_instead(count):
    result = structure(count, name="encoder.transformer.block")
    figure = plot(result)
    last = f"encoder.transformer.block{count - 1}"
    assert figure.layout.yaxis.ticktext[-1] == f"{'…' + last[-25:] if len(last) > 26 else last} · {count}"
    assert figure.layout.xaxis.ticktext[-1] == str(count)
    assert (figure.data[0].text is None) == (count > 10)
    assert figure.layout.height < 1200
    paper = draw(result)
    paper.canvas.draw()
    # Everything is on the page.
    box, page = paper.get_tightbbox(), paper.get_size_inches()
    assert box.x0 > -0.05
    assert box.y0 > -0.05
    assert box.x1 < page[0] + 0.05
    assert box.y1 < page[1] + 0.05


def test_zero_blocks_stay_blank_and_small_ones_keep_the_last_colour():
    result = structure(3)
    result.squares[0, 2] = result.squares[2, 0] = 0
    result.squares[0, 1] = result.squares[1, 0] = 1e-30
    (cells,) = plot(result).data
    z = np.asarray(cells.z, dtype=float)
    assert np.isnan(z[0, 2])
    assert z[0, 1] == pytest.approx(np.log10(2e-6))
    assert cells.text[0][2] == ""
    draw(result)


def test_equal_norms_still_have_a_scale():
    result = structure(2)
    result.squares[:] = 4.0
    (cells,) = plot(result).data
    assert cells.zmin < cells.zmax
    assert cells.colorbar.ticktext == ("1", "2")
    draw(result)


def test_a_zero_matrix_and_an_unknown_quantity_are_named():
    result = structure(2)
    for function in (plot, draw):
        with unchecked(), pytest.raises(ArgumentError, match="quantity: expected one of 'norms', 'rms', 'coupling'"):
            function(result, quantity="norm")
    result.squares[:] = 0
    with pytest.raises(ArgumentError, match="result: expected a block that is not zero"):
        plot(result)
