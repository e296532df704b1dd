"""The results in a few lines on a terminal."""

import sys

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from thalweg.estimate import Estimate, format_with_error
from thalweg.krylov import Eigenpairs
from thalweg.study import Findings, Measurement


def print_summary(findings: Findings) -> None:
    """Print one column a measurement and one line a connection."""
    table = Table(box=box.SIMPLE_HEAD, title=escape(findings.title), title_justify="left")
    table.add_column("")
    for measurement in findings.measurements:
        table.add_column(escape(measurement.name), justify="right")
    columns = [_rows(measurement) for measurement in findings.measurements]
    for label in dict.fromkeys(label for column in columns for label in column):
        table.add_row(label, *(column.get(label, "–") for column in columns))
    # Where there is no terminal there is no width to keep to.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for connection in findings.connections:
        first, second = connection.path.labels
        console.print(escape(f"{first} → {second}: {connection.barrier}"))


def _rows(found: Measurement) -> dict[str, str]:
    rate = found.stable_learning_rate
    rows = {"parameters": f"{found.size:,}", "training loss": _with_data(found.train.loss)}
    rows |= {f"training {name}": _with_data(value) for name, value in found.train.metrics.items()}
    if found.test is not None:
        rows["test loss"] = _with_data(found.test.loss)
        rows |= {f"test {name}": _with_data(value) for name, value in found.test.metrics.items()}
    rows |= {
        "gradient norm": str(found.gradient_norm),
        "largest eigenvalue λ₁": _bounded(found.top),
        "smallest eigenvalue": _bounded(found.bottom),
        "stable learning rate 2/λ₁": "–" if rate is None else f"{rate:.4g}",
        "trace": str(found.trace),
        f"sharpness S_{found.ascent.rho:g}": f"{'≥ ' if found.ascent.lower_bound else ''}{found.ascent.value:.4g}",
        "outliers": "–" if found.outliers is None else str(found.outliers),
        "effective rank": "–" if found.effective_rank is None else str(found.effective_rank),
        "products": str(found.cost.matvecs),
        "seconds": f"{found.cost.seconds:.1f}",
    }
    return rows


def _with_data(estimate: Estimate) -> str:
    return format_with_error(estimate.value, estimate.data_error)


def _bounded(pairs: Eigenpairs) -> str:
    value, residual = float(pairs.values[0]), float(pairs.residuals[0])
    # A bound far below the digits shown is better told in powers of ten.
    return format_with_error(value, residual) if residual > 1e-4 * abs(value) else f"{value:.4g} (±{residual:.0e})"
