"""The summary table: every number with its error and what it cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thalweg.estimate import Cost, Estimate
from thalweg.figures._numbers import duration, number, percent, thousands, with_error
from thalweg.krylov._results import Eigenpairs
from thalweg.landscape._evaluation import Evaluation
from thalweg.measures._measure_results import Quantity
from thalweg.measures._results import Sharpness
from thalweg.study._results import Measurement


@dataclass(frozen=True)
class Cell:
    """A value and, smaller, what belongs to it; the value is ``None`` where it was not determined."""

    value: str | None
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One quantity: its name, what it is, and a cell for each measurement."""

    label: str
    meaning: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """Rows under one heading."""

    heading: str
    rows: tuple[Row, ...]


_NONE = Cell(None)


def groups(measurements: Sequence[Measurement]) -> tuple[Group, ...]:
    """Return the table; a row that no measurement has a value for is left out."""

    def row(label: str, meaning: str, cell: Callable[[Measurement], Cell]) -> Row:
        return Row(label, meaning, tuple(cell(item) for item in measurements))

    wanted = (
        Group(
            "Fit",
            (*_fit(measurements, "training", lambda m: m.train), *_fit(measurements, "test", lambda m: m.test)),
        ),
        Group(
            "Stationarity",
            (
                row("gradient norm ‖∇L‖", "zero at a critical point", lambda m: _estimate(m.gradient_norm)),
                row("gain of one gradient step", "ΔL of a step of length 1/λ₁, and by the quadratic model", _step),
                row("smallest eigenvalue", "± residual bound", lambda m: _eigenvalue(m.bottom)),
                row("negative eigenvalues", "found below the threshold for zero", _negative),
            ),
        ),
        Group(
            "Curvature",
            (
                row("largest eigenvalue λ₁", "± residual bound", lambda m: _eigenvalue(m.top)),
                row("trace of the Hessian", "sum of all eigenvalues", lambda m: _estimate(m.trace)),
                row("spectral width", "λ_max − λ_min", _width),
                row("condition number", "λ₁ / max(|λ_min|, ε)", _condition),
                row("effective condition number", "λ₁ / least above τλ₁", lambda m: _plain(m.conditioning.effective)),
                row("bulk condition number", "λ₁ / median positive", lambda m: _plain(m.conditioning.bulk)),
            ),
        ),
        Group(
            "Sharpness",
            (
                row("S by ascent", "largest rise found within radius ρ", lambda m: _sharpness(m.ascent)),
                row("S by one step", "rise along the gradient", lambda m: _sharpness(m.one_step)),
                row("stable learning rate 2/λ₁", "plain gradient descent", lambda m: _plain(m.stable_learning_rate)),
            ),
        ),
        Group(
            "Dimension",
            (
                row("parameters", "", lambda m: Cell(thousands(m.size))),
                row("outliers", "above the largest gap among the largest", _outliers),
                row("effective rank", "(tr H)² / tr H²", lambda m: _estimate(m.effective_rank)),
                row("gradient in leading eigenvectors", "share of ‖∇L‖², and that of a random direction", _anisotropy),
            ),
        ),
        Group("Noise and further sums", _further(measurements)),
        Group(
            "Cost",
            (
                row("data items", "of the landscape", lambda m: Cell(thousands(m.train.samples))),
                row("products with the Hessian", "", lambda m: Cell(thousands(m.cost.matvecs))),
                row("gradients", "full passes", lambda m: Cell(thousands(m.cost.gradients))),
                row("loss evaluations", "full passes", lambda m: Cell(thousands(m.cost.losses))),
                row("time", "measuring", lambda m: Cell(duration(m.cost.seconds))),
                row("time", "training", lambda m: _NONE if m.history is None else Cell(duration(m.history.seconds))),
            ),
        ),
    )  # fmt: skip
    kept = (Group(g.heading, tuple(r for r in g.rows if any(c.value is not None for c in r.cells))) for g in wanted)
    return tuple(group for group in kept if group.rows)


def cost_text(cost: Cost) -> str:
    """Write a cost as a person would; empty where nothing was spent.

    Example:
        >>> cost_text(Cost(88, 1, 0, 5.41))
        '88 products, 1 gradient, 5.4 s'
    """
    counted = ((cost.matvecs, "product"), (cost.gradients, "gradient"), (cost.losses, "loss pass"))
    words = [
        f"{thousands(n)} {word}{'' if n == 1 else 'es' if word.endswith('s') else 's'}" for n, word in counted if n
    ]
    if cost.seconds > 0:
        words.append(duration(cost.seconds))
    return ", ".join(words)


def _fit(
    measurements: Sequence[Measurement], data: str, evaluation: Callable[[Measurement], Evaluation | None]
) -> tuple[Row, ...]:
    found = [evaluation(item) for item in measurements]
    names = list(dict.fromkeys(name for one in found if one is not None for name in one.metrics))
    rows = [
        Row(f"{data} loss", "mean over the data", tuple(_NONE if one is None else _estimate(one.loss) for one in found))
    ]
    for name in names:
        estimates = [None if one is None else one.metrics.get(name) for one in found]
        rows.append(Row(f"{data} {name}", "", tuple(_estimate(e, digits=4) for e in estimates)))
    return tuple(rows)


def _estimate(estimate: Estimate | None, digits: int = 3) -> Cell:
    if estimate is None:
        return _NONE
    details = []
    if estimate.data_error is not None:
        details.append(f"data ± {number(estimate.data_error, 2)}")
    if estimate.converged is False:
        details.append("accuracy asked for not reached")
    details.append(cost_text(estimate.cost))
    return Cell(with_error(estimate.value, estimate.standard_error, digits), tuple(filter(None, details)))


def _eigenvalue(pairs: Eigenpairs) -> Cell:
    details = [] if bool(pairs.converged[0]) else ["not converged"]
    if not pairs.complete:
        details.append("copies may be missing")
    text = with_error(float(pairs.values[0]), float(pairs.residuals[0]))
    return Cell(text, (*details, f"{len(pairs.values)} eigenvalues: {cost_text(pairs.cost)}"))


def _further(measurements: Sequence[Measurement]) -> tuple[Row, ...]:
    """Rows that any measurement has, with their own words."""
    found = [{row.name: row for row in item.further} for item in measurements]
    names = dict.fromkeys(name for rows in found for name in rows)
    return tuple(Row(name, "", tuple(_quantity(rows.get(name)) for rows in found)) for name in names)


def _quantity(row: Quantity | None) -> Cell:
    if row is None or row.value is None:
        return _NONE
    text = with_error(row.value, row.standard_error)
    if row.kind == "bounds" and row.low is not None and row.high is not None:
        text = with_error(row.value, (row.high - row.low) / 2)
    return Cell(text, (row.note,) if row.note else ())


def _step(item: Measurement) -> Cell:
    if item.step is None:
        return _NONE
    details = (f"model {number(item.step.quadratic)}", cost_text(item.step.cost))
    return Cell(number(item.step.actual), tuple(filter(None, details)))


def _negative(item: Measurement) -> Cell:
    found, bound = item.negative, "" if item.negative.exhaustive else "≥ "
    if not found.count:
        among = "" if found.exhaustive else f" in {len(item.bottom.values)}"
        return Cell(f"none{among}", (f"threshold {number(found.threshold, 2)}",))
    return Cell(
        f"{bound}{found.count}", (f"mass {bound}{number(found.mass)}", f"threshold {number(found.threshold, 2)}")
    )


def _width(item: Measurement) -> Cell:
    return Cell(number(item.width.value), (f"at most {number(item.width.slack, 1)} more",))


def _condition(item: Measurement) -> Cell:
    details = [f"ε = {number(item.conditioning.epsilon, 1)}"]
    if item.conditioning.raw is not None:
        details.append(f"signed {number(item.conditioning.raw)}")
    return Cell(number(item.conditioning.magnitude), tuple(details))


def _sharpness(found: Sharpness) -> Cell:
    details = [f"ρ = {found.rho:g}"]
    if found.restarts is not None:
        details.append(f"{len(found.restarts)} starts")
    details.append(cost_text(found.cost))
    return Cell(("≥ " if found.lower_bound else "") + number(found.value), tuple(filter(None, details)))


def _outliers(item: Measurement) -> Cell:
    among = f"among the top {len(item.top.values)}"
    return Cell("no gap", (among,)) if item.outliers is None else Cell(str(item.outliers), (among,))


def _anisotropy(item: Measurement) -> Cell:
    found = item.anisotropy
    if found.shares is None or not len(found.shares):
        return _NONE
    k = len(found.shares)
    return Cell(percent(float(found.shares[-1])), (f"top {k}", f"random {percent(float(found.null_mean[-1]), 2)}"))


def _plain(value: float | None) -> Cell:
    return _NONE if value is None else Cell(number(value))
