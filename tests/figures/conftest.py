import pytest

pytest.importorskip("plotly")
pytest.importorskip("matplotlib")

from tests.report import synthetic


@pytest.fixture(scope="session")
def four():
    return synthetic.findings()


@pytest.fixture(scope="session")
def item():
    """One measurement with everything that there is to draw, and three cells without a finite loss."""
    return synthetic.measurement(seed=3, holes=3)
