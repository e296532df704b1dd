"""A metric of a scan in the place of its loss."""

from dataclasses import replace
from typing import Any, TypeVar

from thalweg.errors import ArgumentError
from thalweg.surfaces._results import Line, Surface

Scan = TypeVar("Scan", Line, Surface)


def with_metric(result: Scan, metric: str | None) -> Scan:
    """Return a scan whose loss is one of its metrics; quadratic models and estimates of errors are of the loss alone.

    Raises:
        ArgumentError: If it has no such metric.
    """
    if metric is None or metric == "loss":
        return result
    if metric not in result.metrics:
        known = ", ".join(map(repr, ["loss", *result.metrics]))
        raise ArgumentError(f"metric: expected one of {known}, got {metric!r}.")
    values = result.metrics[metric]
    own: dict[str, Any] = {"error": None, "converged": None} if isinstance(result, Surface) else {}
    return replace(result, loss=values, quadratic=None, **own)
