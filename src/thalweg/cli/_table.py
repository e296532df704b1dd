"""Tables of results on the terminal."""

import sys
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table


def print_rows(rows: Mapping[str, str], title: str) -> None:
    """Print a table of two columns."""
    print_columns([(label, [text]) for label, text in rows.items()], title)


def print_columns(rows: Sequence[tuple[str, Sequence[str]]], title: str, heads: Sequence[str] = ()) -> None:
    """Print a table of several columns, with heads over them if there is more than one.

    Args:
        rows: A label, and a text for each column.
        title: Above the table.
        heads: Of the columns.
    """
    table = Table(box=box.SIMPLE_HEAD, title=escape(title), title_justify="left", show_header=len(heads) > 1)
    table.add_column("")
    for index in range(len(rows[0][1])):
        table.add_column(escape(heads[index]) if heads else "", justify="right")
    for label, texts in rows:
        table.add_row(escape(label), *map(escape, texts))
    # Where there is no terminal there is no width to keep to.
    wide = max(140, 40 + 26 * len(rows[0][1]))
    Console(highlight=False, width=None if sys.stdout.isatty() else wide).print(table)
