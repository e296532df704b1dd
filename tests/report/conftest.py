import pytest

pytest.importorskip("plotly")
pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from tests.report import synthetic


@pytest.fixture(scope="session")
def four():
    """Four measurements and a connection, as a demo finds them."""
    return synthetic.findings()


@pytest.fixture(scope="session")
def one():
    """One measurement and nothing else."""
    return synthetic.single()


@pytest.fixture(scope="session")
def written(four, tmp_path_factory):
    """The folder of the report on ``four``; not to be changed."""
    from thalweg.report import write_report

    return write_report(four, tmp_path_factory.mktemp("report") / "demo").parent
