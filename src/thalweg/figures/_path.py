"""Loss and metrics along paths, with the reference chord and the barrier."""

from collections.abc import Sequence

from thalweg.errors import ArgumentError
from thalweg.figures import _paper, _screen
from thalweg.figures._dispatch import draw, plot
from thalweg.figures._numbers import number
from thalweg.figures._palette import GREY, SERIES, faint
from thalweg.figures._path_panels import PathCurve, PathPanel, Scale, path_panels
from thalweg.figures._ticks import tick_text
from thalweg.figures._types import Axes, PaperFigure, ScreenFigure
from thalweg.paths._results import Barrier, PathScan
from thalweg.study._results import Connection


@plot.register(PathScan)
def plot_path(
    result: PathScan,
    *,
    beside: Sequence[PathScan] = (),
    barrier: Barrier | None = None,
    names: Sequence[str] = (),
    scale: Scale = "linear",
    title: str | None = None,
) -> ScreenFigure:
    """Draw the loss, and each metric beside it, against the position on the path.

    The dashed chord joins the ends of the first path; the barrier is the largest rise above it, or fall below it, and
    the box around its end is where the path may be higher than any point that was looked at. Where a value is not
    finite the curve has a gap, and a cross under it.

    Args:
        result: The path.
        beside: Others in the same panels: a curve beside the line, or re-estimated statistics beside others.
        barrier: To be marked.
        names: Of all paths in the legend; by default what they are.
        scale: Of the loss: "linear", "log", or "auto" for the latter where peaks of several paths are far apart.
        title: Above the figure.
    """
    panels = path_panels([result, *beside], barrier, names, scale)
    figure = _screen.screen(len(panels), title=title)
    for index, panel in enumerate(panels, start=1):
        where = {"row": 1, "col": index}
        if panel.ticks is not None:
            figure.update_yaxes(type="log", tickvals=panel.ticks, ticktext=[tick_text(t) for t in panel.ticks], **where)
        if panel.chord is not None:
            x, y = panel.chord_points()
            figure.add_scatter(
                x=x, y=y, mode="lines", line={"color": GREY, "dash": "dash", "width": 1.4},
                hoverinfo="skip", name="chord between the ends", showlegend=index == 1, legendgroup="chord", **where,
            )  # fmt: skip
        for curve in panel.curves:
            figure.add_scatter(
                x=curve.x, y=curve.y, mode="lines+markers", marker_size=6,
                line={"color": curve.colour, "width": 2, "dash": curve.dash},
                name=_screen.text(curve.name), legendgroup=_screen.text(curve.name),
                showlegend=bool(beside) and index == 1,
                customdata=[number(float(v), 4) for v in curve.y],
                hovertemplate="α = %{x:.3g}<br>%{customdata}<extra></extra>", **where,
            )  # fmt: skip
            if curve.holed:
                figure.add_scatter(
                    x=curve.gaps, y=[curve.floor] * curve.gaps.size, mode="markers", name="not finite",
                    marker={"symbol": "x-thin", "size": 8, "line": {"color": curve.colour, "width": 2}},
                    legendgroup="gaps", showlegend=index == 1 and curve is _first_holed(panel),
                    hovertemplate="α = %{x:.3g}<br>not finite<extra></extra>", **where,
                )  # fmt: skip
        if panel.rise is not None and barrier is not None:
            if panel.box is not None:
                left, right, bottom, top = panel.box
                figure.add_scatter(
                    x=[left, right, right, left, left], y=[bottom, bottom, top, top, bottom], mode="lines",
                    fill="toself", fillcolor=faint(SERIES[1], 0.3), line={"color": SERIES[1], "width": 1.2},
                    hoverinfo="skip", name="where the barrier may end", **where,
                )  # fmt: skip
            at, low, high = panel.rise
            figure.add_scatter(
                x=[at, at], y=[low, high], mode="lines+markers", line={"color": SERIES[1], "width": 2},
                marker={"size": 11, "symbol": "line-ew", "line": {"color": SERIES[1], "width": 2}},
                hoverinfo="skip", name=f"barrier {_screen.text(_amount(barrier))}", **where,
            )  # fmt: skip
        _screen.upright_title(figure, _screen.text(panel.label), index)
    start, end = (_screen.text(label) for label in result.labels)
    figure.update_xaxes(tickvals=[0, 0.5, 1], title_text="position α")
    figure.update_xaxes(title_text=f"position α<br>0: {start}<br>1: {end}", row=1, col=1)
    _screen.legend_below(figure)
    figure.update_layout(margin_b=124 + 22 * bool(beside), height=400 + 22 * bool(beside))
    return figure


@plot.register(Connection)
def plot_connection(result: Connection, *, title: str | None = None) -> ScreenFigure:
    """Draw the path with its barrier: see :func:`plot_path`.

    Args:
        result: The path and its barrier.
        title: Above the figure.
    """
    return plot_path(result.path, barrier=result.barrier, title=title)


@plot.register(Barrier)
def plot_barrier(result: Barrier, *, beside: Sequence[PathScan] = (), title: str | None = None) -> ScreenFigure:
    """Draw the points that a barrier was refined at, and where the barrier may end: see :func:`plot_path`.

    Args:
        result: Of a curve.
        beside: Other paths in the same panels.
        title: Above the figure.
    """
    return plot_path(_refined(result), beside=beside, barrier=result, title=title)


@draw.register(PathScan)
def draw_path(
    result: PathScan,
    axes: Axes | None = None,
    *,
    beside: Sequence[PathScan] = (),
    barrier: Barrier | None = None,
    names: Sequence[str] = (),
    scale: Scale = "linear",
    title: str | None = None,
) -> PaperFigure:
    """Draw for paper what :func:`plot_path` draws for the screen; into given axes, the loss alone.

    Args:
        result: The path.
        axes: Where to draw; a new figure by default.
        beside: Others in the same panels.
        barrier: To be marked.
        names: Of all paths in the legend; by default what they are.
        scale: Of the loss: "linear", "log", or "auto" for the latter where peaks of several paths are far apart.
        title: Above the figure.
    """
    panels = path_panels([result, *beside], barrier, names, scale)
    if axes is None:
        figure, places = _paper.paper(len(panels), title=title, width=4.2 * max(len(panels), 1), height=3.4)
    else:
        figure, axes = _paper.panel(axes, title)
        places = [axes]
    for index, (panel, place) in enumerate(zip(panels, places, strict=False)):
        if panel.ticks is not None:
            place.set_yscale("log")
            place.set_yticks(panel.ticks, [tick_text(t) for t in panel.ticks])
        if panel.chord is not None:
            place.plot(*panel.chord_points(), "--", color=GREY, linewidth=1.1, label="chord between the ends")
        for curve in panel.curves:
            label = _paper.text(curve.name) if beside else None
            style = "o-" if curve.dash == "solid" else "o:"
            place.plot(curve.x, curve.y, style, color=curve.colour, markersize=3.5, linewidth=1.5, label=label)
            if curve.holed:
                place.plot(
                    curve.gaps, [curve.floor] * curve.gaps.size, "x", color=curve.colour, markersize=5,
                    label="not finite" if curve is _first_holed(panel) else None,
                )  # fmt: skip
        if panel.rise is not None and barrier is not None:
            if panel.box is not None:
                left, right, bottom, top = panel.box
                place.fill(
                    [left, right, right, left], [bottom, bottom, top, top], facecolor=(*_rgb(SERIES[1]), 0.3),
                    edgecolor=SERIES[1], linewidth=0.9, label="where the barrier may end",
                )  # fmt: skip
            at, low, high = panel.rise
            place.plot(
                [at, at], [low, high], "_-", color=SERIES[1], linewidth=1.5, markersize=9, markeredgewidth=1.5,
                label=f"barrier {_paper.text(_amount(barrier))}",
            )  # fmt: skip
        ends = "" if index else f"\n0: {_paper.text(result.labels[0], 40)}\n1: {_paper.text(result.labels[1], 40)}"
        _paper.quiet(place, x="position α" + ends, y=_paper.text(panel.label))
    if axes is None:
        _paper.legend_below(figure, places)
    elif places[0].get_legend_handles_labels()[0]:
        _paper.legend(places[0])
    return figure


@draw.register(Connection)
def draw_connection(result: Connection, axes: Axes | None = None, *, title: str | None = None) -> PaperFigure:
    """Draw for paper what :func:`plot_connection` draws for the screen.

    Args:
        result: The path and its barrier.
        axes: Where to draw; a new figure by default.
        title: Above the figure.
    """
    return draw_path(result.path, axes, barrier=result.barrier, title=title)


@draw.register(Barrier)
def draw_barrier(
    result: Barrier, axes: Axes | None = None, *, beside: Sequence[PathScan] = (), title: str | None = None
) -> PaperFigure:
    """Draw for paper what :func:`plot_barrier` draws for the screen.

    Args:
        result: Of a curve.
        axes: Where to draw; a new figure by default.
        beside: Other paths in the same panels.
        title: Above the figure.
    """
    return draw_path(_refined(result), axes, beside=beside, barrier=result, title=title)


def _refined(result: Barrier) -> PathScan:
    if result.path is None:
        raise ArgumentError(
            "result: expected a barrier of a curve, whose points are known, got that of a scan. Plot the scan itself, "
            "with barrier=."
        )
    return result.path


def _first_holed(panel: PathPanel) -> PathCurve | None:
    """The curve whose crosses stand in the legend for all."""
    return next((curve for curve in panel.curves if curve.holed), None)


def _amount(barrier: Barrier) -> str:
    of = "" if barrier.metric == "loss" else f" of the {barrier.metric}"
    if barrier.interval is None:
        return number(barrier.linear) + of
    return f"{number(barrier.linear)} to {number(barrier.interval[1])}{of}"


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
