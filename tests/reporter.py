"""A reporter of progress that remembers."""

from collections.abc import Iterator
from contextlib import contextmanager


class Reporter:
    """Collects the stages that were opened, and every advance in the latest of them."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []
        self.notes: list[str] = []
        self.done = 0

    def advance(self, n: int = 1, note: str = "") -> None:
        self.done += n
        self.notes.append(note)

    @contextmanager
    def stage(self, description: str, total: int | None = None) -> Iterator["Reporter"]:
        self.stages.append((description, total))
        yield self
