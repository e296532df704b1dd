"""A table of quantities."""

from dataclasses import dataclass
from typing import Any

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Provenance, format_with_error
from thalweg.measures._spectrum import Spectrum
from thalweg.record import Record


@dataclass(frozen=True)
class Quantity(Record):
    """One number about a landscape.

    Attributes:
        name: What it is called, such as "trace".
        value: The number; ``None`` where it is not defined or could not be determined.
        standard_error: Of the estimator; ``None`` where the number has bounds instead, or nothing is known.
        low: Lower end of the 95 % interval, or the lower bound; ``None`` where there is none.
        high: The same above.
        kind: "exact", "estimate", "bounds" (the truth lies between ``low`` and ``high``) or "lower bound".
        note: What else has to be known, such as why there is no value; may be empty.
    """

    name: str
    value: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    kind: str
    note: str = ""

    def __str__(self) -> str:
        bound = "≥ " if self.kind == "lower bound" else ""
        shown = "–" if self.value is None else bound + format_with_error(self.value, self.standard_error)
        return f"{self.name}: {shown}{f' ({self.note})' if self.note else ''}"


@dataclass(frozen=True)
class Measures(Record):
    """Quantities of one landscape, a row each, measured together.

    ``result["trace"]`` is a row.

    Attributes:
        rows: The quantities, in the order asked for.
        spectrum: The shared run that eigenvalues and sums over them come from, without vectors; ``None`` if no quantity
            needs one.
        planned: What it was expected to take.
        cost: What it took.
        provenance: How it was computed.
    """

    rows: tuple[Quantity, ...]
    spectrum: Spectrum | None
    planned: Cost
    cost: Cost
    provenance: Provenance | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The quantities."""
        return tuple(row.name for row in self.rows)

    def __getitem__(self, name: str) -> Quantity:
        for row in self.rows:
            if row.name == name:
                return row
        raise ArgumentError(f"name: expected one of {', '.join(map(repr, self.names))}, got {name!r}.")

    def columns(self) -> dict[str, list[Any]]:
        """Return the table column by column, as ``pandas.DataFrame`` takes it."""
        fields = ("name", "value", "standard_error", "low", "high", "kind", "note")
        return {field: [getattr(row, field) for row in self.rows] for field in fields}

    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        lines = [f"{row.name:{width}}  {str(row).partition(': ')[2]}" for row in self.rows]
        return "\n".join([*lines, f"{'cost':{width}}  {self.cost}"])
