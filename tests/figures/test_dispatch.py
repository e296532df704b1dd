"""What every figure keeps: both ways of drawing it, names as they are, no global state, errors by name."""

import subprocess
import sys
from dataclasses import replace

import matplotlib as mpl
import pytest

from thalweg.errors import ArgumentError, MissingExtraError
from thalweg.figures import draw, plot, save, template
from thalweg.figures._dispatch import choice
from thalweg.figures._extra import load

HOSTILE = '<b>$x_1$</b> <a href="javascript:alert(1)">%{x}</a> & Co.'


def results(four, item):
    return {
        "eigenpairs": item.top,
        "density": item.density,
        "path": four.connections[0].path,
        "connection": four.connections[0],
        "line": item.line,
        "surface": item.surface,
        "history": item.history,
        "measurement": item,
        "measurements": four.measurements,
        "list": list(four.measurements),
    }


@pytest.mark.parametrize(
    "name",
    [
        "eigenpairs",
        "density",
        "path",
        "connection",
        "line",
        "surface",
        "history",
        "measurement",
        "measurements",
        "list",
    ],
)
def test_every_result_has_both_figures(four, item, name):
    result = results(four, item)[name]
    screen = plot(result, title=HOSTILE)
    assert screen.data
    assert screen.layout.title.text.startswith("&lt;b&gt;")
    assert "<b>" not in screen.layout.title.text
    paper = draw(result, title=HOSTILE)
    assert paper.axes
    assert "x_1" in paper.get_suptitle()


def test_names_are_never_read_as_markup(four):
    path = replace(four.connections[0].path, labels=(HOSTILE, "b"), metrics={HOSTILE: four.connections[0].path.loss})
    named = tuple(replace(item, name=HOSTILE) for item in four.measurements)
    for figure in (plot(path), plot(named), plot(replace(four.measurements[0].line, label=HOSTILE))):
        text = figure.to_json()
        assert "\\u003ca href" not in text
        assert "<a href" not in text
    ticks = plot(named, measures=("trace",)).layout.yaxis.ticktext
    assert all(tick.startswith("&lt;b&gt;") for tick in ticks)


def test_a_bracket_in_a_hover_text_is_data_not_a_template(four):
    named = tuple(replace(item, name="%{x}") for item in four.measurements)
    (trace,) = plot(named, measures=("trace",)).data
    assert "%{x}" not in trace.hovertemplate
    assert trace.customdata[0][0] == "%{x}"


def test_a_dollar_sign_is_a_dollar_sign_on_paper(four, tmp_path):
    named = tuple(replace(item, name="$\\frac{$ and $x$") for item in four.measurements)
    assert save(draw(named, measures=("trace",)), tmp_path / "a.png").stat().st_size > 0


def test_drawing_into_given_axes_uses_them(four, item):
    from matplotlib.figure import Figure

    for result in (
        item.top,
        item.density,
        four.connections[0],
        item.line,
        item.surface,
        item.history,
        four.measurements,
    ):
        figure = Figure()
        axes = figure.add_subplot()
        assert draw(result, axes) is figure
        assert axes.has_data()
        draw(result, figure.add_subplot(), title="a title")
        assert figure.axes[-1].get_title(loc="left") or len(figure.axes) > 2


def test_the_same_figure_gives_the_same_bytes(item, tmp_path):
    for suffix in ("png", "svg", "pdf"):
        first, second = (save(draw(item.line), tmp_path / f"{n}.{suffix}").read_bytes() for n in (1, 2))
        assert first == second


def test_a_strange_suffix_is_named(item, tmp_path):
    with pytest.raises(ArgumentError, match=r"path: expected a suffix of \.pdf, \.png, \.svg, got '\.jpg' in 'a\.jpg'"):
        save(draw(item.line), tmp_path / "a.jpg")


@pytest.mark.parametrize("function", [plot, draw])
def test_another_type_is_named(function):
    with pytest.raises(ArgumentError, match=r"result: expected one of Barrier, .*, tuple, got int\."):
        function(3)


def test_another_word_is_named():
    assert choice("scale", "log", ("log",)) == "log"
    with pytest.raises(ArgumentError, match=r"scale: expected one of 'linear', 'log', got 'cubic'\."):
        choice("scale", "cubic", ("linear", "log"))


def test_a_missing_package_names_the_extra(monkeypatch, item):
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.subplots", None)
    with pytest.raises(
        MissingExtraError, match=r'plotly is not installed; .*"report": pip install "thalweg\[report\]"'
    ):
        plot(item.line)


def test_an_import_that_fails_for_another_reason_is_not_renamed(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there") as caught:
        load("broken_package")
    assert not isinstance(caught.value, MissingExtraError)


def test_importing_figures_imports_neither_plotly_nor_matplotlib():
    extras = "{'plotly', 'matplotlib', 'jinja2'}"
    code = f"import sys, thalweg.figures, thalweg.report; print(sorted({extras} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_matplotlib_keeps_its_state(item, tmp_path):
    before, backend = dict(mpl.rcParams), mpl.get_backend(auto_select=False)
    save(draw(item.surface, kind="3d"), tmp_path / "a.svg")
    assert dict(mpl.rcParams) == before
    assert mpl.get_backend(auto_select=False) == backend


def test_a_figure_can_be_put_on_a_dark_page(item):
    figure = plot(item.line)
    light = figure.layout.template.layout.font.color
    figure.update_layout(template=template("dark"))
    assert figure.layout.template.layout.font.color != light
