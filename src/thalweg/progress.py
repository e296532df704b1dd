"""Progress of long work: silent unless the caller asks, and then a bar on the terminal.

Long functions take ``progress``: ``False`` (nothing is shown), ``True`` (bars on standard error, if that is a
terminal and rich is installed), or an object of the caller's own with the two methods of :class:`Progress`.
Inside they use :func:`track`::

    with track(len(batches), "training", progress) as bar:
        for batch in batches:
            ...
            bar.advance()

and hand ``bar`` on as the ``progress`` of the functions they call, whose bars then appear below.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from thalweg.errors import ArgumentError

if TYPE_CHECKING:
    import rich.progress

__all__ = ["Progress", "Silent", "track"]


@runtime_checkable
class Progress(Protocol):
    """What long work reports to."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count ``n`` further steps as done; ``note`` says in a few words where the work stands."""

    def stage(self, description: str, total: int | None = None) -> "AbstractContextManager[Progress]":
        """Open a part of the work with steps of its own; ``None`` means that their number is unknown."""


class Silent:
    """Progress that nobody watches.

    Example:
        >>> with Silent().stage("training", 10) as bar:
        ...     bar.advance()
    """

    def advance(self, n: int = 1, note: str = "") -> None:
        """Do nothing."""
        del n, note

    def stage(self, description: str, total: int | None = None) -> AbstractContextManager[Progress]:
        """Return something silent again."""
        del description, total
        return nullcontext(self)


@contextmanager
def track(total: int | None, description: str, progress: bool | Progress = False) -> Iterator[Progress]:
    """Report a piece of work of ``total`` steps for the length of a ``with`` block.

    Args:
        total: Number of steps, or ``None`` if it is unknown.
        description: A few words in front of the bar.
        progress: ``False``: silent. ``True``: a bar on standard error, if that is a terminal and rich is
            installed; silent otherwise. A reporter: a stage of it.

    Yields:
        The reporter to advance, and to hand on to parts of the work.

    Raises:
        ArgumentError: If ``progress`` is none of these.

    Example:
        >>> with track(3, "counting") as bar:
        ...     for _ in range(3):
        ...         bar.advance(note="still counting")
    """
    if not isinstance(progress, (bool, Progress)):
        raise ArgumentError(
            f"progress: expected True, False, or a reporter with advance and stage, got {type(progress).__name__}."
        )
    if not isinstance(progress, bool):
        with progress.stage(description, total) as bar:
            yield bar
    elif progress and sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        with _terminal() as bars, _Task(bars).stage(description, total) as bar:
            yield bar
    else:
        yield Silent()


class _Task:
    """One bar of a display that several share; the display itself is the task without a number."""

    def __init__(self, bars: "rich.progress.Progress", number: "rich.progress.TaskID | None" = None) -> None:
        self._bars = bars
        self._number = number

    def advance(self, n: int = 1, note: str = "") -> None:
        if self._number is not None:
            self._bars.update(self._number, advance=n, note=_plain(note))

    @contextmanager
    def stage(self, description: str, total: int | None = None) -> Iterator[Progress]:
        # Indented by depth; a stage inside another one goes when it ends, the outermost stays to be read.
        outermost = self._number is None
        number = self._bars.add_task(_plain(("" if outermost else "  ") + description), total=total, note="")
        try:
            yield _Task(self._bars, number)
        finally:
            self._bars.stop_task(number)
            if not outermost:
                self._bars.remove_task(number)


def _terminal() -> "rich.progress.Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=Console(stderr=True),
    )


def _plain(text: str) -> str:
    """Take away the meaning that square brackets have for rich."""
    from rich.markup import escape

    return escape(text)
