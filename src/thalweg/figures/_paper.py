"""What all figures for paper share: a canvas of their own, quiet axes, and how they are written."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thalweg.errors import ArgumentError
from thalweg.figures._extra import load
from thalweg.figures._palette import INK
from thalweg.figures._types import Axes, PaperFigure

FORMATS = (".pdf", ".png", ".svg")


def text(name: str, longest: int = 60) -> str:
    r"""Make a name safe for matplotlib, which reads formulas between dollar signs, and cut it where it is long.

    Example:
        >>> print(text("a $5 model"))
        a \$5 model
    """
    line = " ".join(name.split())
    if len(line) > longest:
        line = line[: longest - 1].rstrip() + "…"
    return line.replace("$", r"\$")


def under(label: str, notes: Sequence[str], longest: int = 64) -> str:
    """Return what stands under a panel: the label of its axis, and notes in lines that are no wider than it."""
    return "\n".join([label, *(line for note in notes for line in textwrap.wrap(note, longest))])


def paper(
    panels: int = 1, *, title: str | None = None, width: float | None = None, height: float = 3.1, **subplot: Any
) -> tuple[PaperFigure, list[Axes]]:
    """Make a figure with panels side by side, in inches, on a canvas that belongs to no window.

    Args:
        panels: How many.
        title: Above all of them.
        width: In inches; from the number of panels by default.
        height: In inches.
        **subplot: For each panel, such as ``projection="3d"``.
    """
    figure = load("matplotlib.figure").Figure(figsize=(width or 4.6 * panels, height), layout="constrained")
    load("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    if title is not None:
        figure.suptitle(text(title, 90), x=0.01, ha="left", fontsize=11, color=INK["light"])
    axes = [figure.add_subplot(1, panels, index + 1, **subplot) for index in range(panels)]
    return figure, axes


def grid(
    rows: int, columns: int, *, title: str | None = None, width: float, height: float = 1.05
) -> tuple[PaperFigure, list[Axes]]:
    """Make a figure with rows of panels, each row ``height`` inches high."""
    size = (width, 0.8 + height * rows)
    figure = load("matplotlib.figure").Figure(figsize=size, layout="constrained")
    load("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    if title is not None:
        figure.suptitle(text(title, 90), x=0.01, ha="left", fontsize=11, color=INK["light"])
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(rows * columns)]


def panel(axes: Axes | None, title: str | None, **options: Any) -> tuple[PaperFigure, Axes]:
    """Return the given axes with their figure, or those of a new figure with one panel."""
    if axes is None:
        figure, (axes,) = paper(title=title, **options)
        return figure, axes
    if title is not None:
        axes.set_title(text(title, 90), loc="left")
    parent: PaperFigure = axes.figure  # type: ignore[assignment]  # a subfigure draws and saves as a figure does
    return parent, axes


def quiet(axes: Axes, *, x: str = "", y: str = "", grid: Any = "both") -> None:
    """Label the axes, the vertical one above its upper end, and take away what carries no information."""
    ink = INK["light"]
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color("#a8a59d")
    axes.tick_params(which="both", color="#a8a59d", labelcolor=ink, labelsize=8.5)
    if grid:
        axes.grid(visible=True, axis=grid, color="#e6e3dc", linewidth=0.6)
        axes.set_axisbelow(True)
    axes.set_xlabel(x, fontsize=9.5, color=ink)
    if y:
        axes.text(0, 1.03, y, transform=axes.transAxes, fontsize=9.5, color=ink, ha="left", va="bottom", in_layout=True)


def legend(axes: Axes, **options: Any) -> None:
    """Add a legend without a frame."""
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK["light"], **options)


def legend_below(figure: PaperFigure, panels: Sequence[Axes], columns: int = 3) -> None:
    """Add one legend for all panels under them, each label once, without a frame."""
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        figure.legend(
            list(found.values()), list(found), loc="outside lower left", ncols=min(columns, len(found)), frameon=False,
            fontsize=8.5, labelcolor=INK["light"],
        )  # fmt: skip


def save(figure: PaperFigure, path: str | Path, *, dpi: int = 160) -> Path:
    """Write a figure as PNG, SVG or PDF: the same figure gives the same bytes.

    Args:
        figure: What :func:`thalweg.figures.draw` returned, or any matplotlib figure.
        path: Its suffix names the format.
        dpi: Dots per inch of a PNG.

    Returns:
        The path.

    Raises:
        ArgumentError: If the suffix is another one.

    Example:
        >>> import tempfile
        >>> figure, axes = paper()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(figure, Path(folder) / "empty.svg").stat().st_size > 0
        True
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ArgumentError(f"path: expected a suffix of {', '.join(FORMATS)}, got {path.suffix!r} in {path.name!r}.")
    matplotlib = load("matplotlib")
    metadata = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[path.suffix]
    with matplotlib.rc_context({"svg.hashsalt": "thalweg", "svg.fonttype": "path"}):
        figure.savefig(path, dpi=dpi, metadata=metadata, facecolor="white")
    return path
