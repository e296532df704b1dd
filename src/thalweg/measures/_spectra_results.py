"""Several spectra side by side."""

from dataclasses import dataclass, field

from thalweg.errors import ArgumentError
from thalweg.estimate import Cost, Estimate, Provenance, format_with_error
from thalweg.measures._spectrum import Spectrum
from thalweg.record import Record


@dataclass(frozen=True)
class BlockSpectra(Record):
    """The spectrum of each diagonal block of a matrix.

    ``result["name"]`` is the spectrum of a group.

    Attributes:
        spectra: A spectrum for each group, without eigenvectors, in the order of the groups.
        members: The parameters of each group.
        matrix: What the matrix is.
        cost: What all of them took; a product is one with a block, and cheaper than one with the whole matrix.
        provenance: How the whole landscape is computed.
    """

    spectra: dict[str, Spectrum]
    members: dict[str, tuple[str, ...]]
    matrix: str
    cost: Cost
    provenance: Provenance | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The groups."""
        return tuple(self.spectra)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many entries each group has."""
        return tuple(spectrum.size for spectrum in self.spectra.values())

    @property
    def trace(self) -> Estimate:
        """The trace of the whole matrix, which is the sum over its blocks."""
        return sum_of([spectrum.trace for spectrum in self.spectra.values()])

    def __getitem__(self, name: str) -> Spectrum:
        return chosen(self.spectra, name)

    def __str__(self) -> str:
        return f"{self.matrix}, block by block\n{table(self.spectra)}"


@dataclass(frozen=True)
class MatrixSpectra(Record):
    """Spectra of several matrices of one landscape.

    ``result["hessian"]`` is the spectrum of a matrix.

    Attributes:
        spectra: A spectrum for each matrix, without eigenvectors, in the order asked for.
        same_as: Matrices that equal another one here, whose spectrum was taken for theirs.
        cost: What all of them took.
        provenance: How the landscape is computed.
    """

    spectra: dict[str, Spectrum]
    cost: Cost
    same_as: dict[str, str] = field(default_factory=dict)
    provenance: Provenance | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The matrices."""
        return tuple(self.spectra)

    def __getitem__(self, name: str) -> Spectrum:
        return chosen(self.spectra, name)

    def __str__(self) -> str:
        notes = [f"{name} equals {other} here" for name, other in self.same_as.items()]
        return "\n".join([table(self.spectra), *notes])


def chosen(spectra: dict[str, Spectrum], name: str) -> Spectrum:
    """Return one of several spectra.

    Raises:
        ArgumentError: If there is none of this name.
    """
    if name not in spectra:
        raise ArgumentError(f"name: expected one of {', '.join(map(repr, spectra))}, got {name!r}.")
    return spectra[name]


def sum_of(estimates: list[Estimate]) -> Estimate:
    """Add independent estimates; degrees of freedom by Welch and Satterthwaite."""
    errors = [estimate.standard_error for estimate in estimates]
    value = sum(estimate.value for estimate in estimates)
    known = [error for error in errors if error is not None]
    if len(known) < len(errors):
        return Estimate(value)
    variance = sum(error**2 for error in known)
    parts = [(e.standard_error or 0.0, e.dof) for e in estimates]
    spread = sum(error**4 / dof for error, dof in parts if dof and error)
    dof = max(1, int(variance**2 / spread)) if spread else None
    return Estimate(value, variance**0.5, dof)


def table(spectra: dict[str, Spectrum]) -> str:
    """Write one line a spectrum."""
    rows: list[tuple[str, ...]] = [("", "size", "λ max", "λ min", "trace", "‖A‖²", "outliers")]
    for name, one in spectra.items():
        sums = [_short(estimate) for estimate in (one.trace, one.frobenius)]
        # What may be zero by its bound is no eigenvalue to print.
        ends = [(float(pairs.values[0]), max(one.zero, float(pairs.residuals[0]))) for pairs in (one.top, one.bottom)]
        rows.append(
            (
                name,
                f"{one.size:,}",
                *(_beyond(*end) for end in ends),
                *sums,
                "–" if one.outliers is None else str(one.outliers),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def _short(estimate: Estimate) -> str:
    """Without an error that four digits do not show."""
    error = estimate.standard_error
    return format_with_error(estimate.value, None if error is None or error < 1e-4 * abs(estimate.value) else error)


def _beyond(value: float, zero: float) -> str:
    return "0" if abs(value) <= zero else f"{value:.4g}"
