"""A report is written beside its place and moved there when it is whole."""

import json
import tempfile
from pathlib import Path

from thalweg.errors import ArgumentError
from thalweg.figures import save
from thalweg.report._page import render
from thalweg.report._sections import sections
from thalweg.report._store import to_json
from thalweg.study._results import Findings

_ENTRIES = {"index.html", "results.json", "figures"}


def write_report(findings: Findings, folder: str | Path) -> Path:
    """Write a report: a page, the numbers, and the figures.

    ``index.html`` opens without a network; ``results.json`` holds everything that it shows (see
    :func:`read_results`); ``figures/`` has each figure as PNG and SVG. The report appears whole or not at
    all: it is written into a temporary folder beside ``folder`` and moved. An earlier report there is
    replaced when the new one is complete.

    Cost: about a second a measurement, and 6 MB on disk.

    Args:
        findings: What to show; at least one measurement.
        folder: Where; made with its parents if it does not exist.

    Returns:
        The path of ``index.html``.

    Raises:
        ArgumentError: If ``folder`` is a file, holds anything that is not a report or cannot be written to, or there
            is no measurement; nothing is touched then.
        MissingExtraError: If plotly, matplotlib or jinja2 is not installed.
    """
    if not findings.measurements:
        raise ArgumentError("findings: expected at least one measurement, got none.")
    target = Path(folder).absolute()
    if target.is_symlink():
        target = target.resolve()
    require_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as workshop:
        fresh = Path(workshop) / "fresh"
        _fill(fresh, findings)
        # Looked at again: somebody may have put something there in the meantime.
        require_replaceable(target)
        _move(fresh, target, Path(workshop) / "earlier")
    return target / "index.html"


def _fill(fresh: Path, findings: Findings) -> None:
    figures = fresh / "figures"
    figures.mkdir(parents=True)
    found, pictures = sections(findings), {}
    for section in found:
        for figure in section.figures:
            paper = figure.paper()
            save(paper, figures / f"{figure.stem}.png")
            # The layout has been found; finding it again for the second format would cost as much as drawing.
            paper.set_layout_engine("none")
            pictures[figure.stem] = save(paper, figures / f"{figure.stem}.svg").read_bytes()
    (fresh / "results.json").write_text(to_json(findings), encoding="utf-8")
    (fresh / "index.html").write_text(render(findings, found, pictures), encoding="utf-8", newline="\n")


def _move(fresh: Path, target: Path, earlier: Path) -> None:
    if not target.exists():
        fresh.rename(target)
        return
    target.rename(earlier)
    try:
        fresh.rename(target)
    except OSError:
        earlier.rename(target)
        raise


def require_replaceable(target: Path) -> None:
    """Check that a report can be written there, before any work is done.

    Raises:
        ArgumentError: If it is a file, holds anything but a report, or lies where nothing can be written.
    """
    above = next(folder for folder in target.parents if folder.exists())
    try:
        # The only sure test is to do it; permissions alone do not tell.
        tempfile.TemporaryDirectory(dir=above).cleanup()
    except OSError as error:
        raise ArgumentError(
            f"folder: expected a place that can be written to, got {target} ({error.strerror}). Name another one."
        ) from error
    if not target.exists():
        return
    if not target.is_dir():
        raise ArgumentError(f"folder: expected a folder, got the file {target}; name another place.")
    strangers = _strangers(target)
    if strangers:
        raise ArgumentError(
            f"folder: expected a new or empty folder or an earlier report, but {target} holds {strangers[0]!r}; "
            "nothing was changed. Name another folder, or empty this one."
        )


def _strangers(target: Path) -> list[str]:
    """Name what no report has; without a readable ``results.json`` of ours, everything."""
    names = sorted(entry.name for entry in target.iterdir())
    if not names:
        return []
    try:
        ours = json.loads((target / "results.json").read_text(encoding="utf-8"))["schema"].startswith(
            "thalweg-findings/"
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        ours = False
    if not ours:
        return names
    figures = target / "figures"
    drawn = sorted(entry.name for entry in figures.iterdir()) if figures.is_dir() else []
    return [name for name in names if name not in _ENTRIES] + [
        f"figures/{name}" for name in drawn if not name.endswith((".png", ".svg"))
    ]
