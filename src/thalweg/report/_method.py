"""How the numbers came about: methods, settings, versions."""

from thalweg.figures._numbers import number
from thalweg.study._results import Findings


def configuration(findings: Findings) -> tuple[tuple[str, str], ...]:
    """Return the settings of the run as words, in their own order."""
    return tuple((key.replace("_", " "), written(value)) for key, value in findings.configuration.items())


def written(value: float | str | bool | None) -> str:
    """Write a setting.

    Example:
        >>> written(True), written(None), written(0.05), written(64), written("cosine")
        ('yes', 'not set', '0.05', '64', 'cosine')
    """
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}".replace("-", "−") if 1e-4 <= abs(value) < 1e6 or value == 0 else number(value)
    return str(value)


def provenance(findings: Findings) -> tuple[tuple[str, str], ...]:
    """Return versions, and how products were computed where that is on record."""
    rows = [(name, version) for name, version in findings.versions.items()]
    recorded = [item.trace.provenance for item in findings.measurements if item.trace.provenance is not None]
    for label, values in (
        ("engine", [entry.engine for entry in recorded]),
        ("micro-batch", [None if entry.microbatch is None else str(entry.microbatch) for entry in recorded]),
        ("precision", [entry.dtype for entry in recorded]),
        ("device", [entry.device for entry in recorded]),
        ("threads", [str(entry.threads) for entry in recorded]),
    ):
        known = list(dict.fromkeys(value for value in values if value is not None))
        if known:
            rows.append((label, ", ".join(known)))
        elif label == "micro-batch" and recorded:
            rows.append((label, "whole batches"))
    return tuple(rows)


def methods(findings: Findings) -> tuple[tuple[str, str], ...]:
    """Return each quantity with the sentence that says how it was computed."""
    first = findings.measurements[0]
    probes, steps = len(first.density.nodes), first.density.nodes.shape[1] - first.density.known
    others = f", the others by stochastic Lanczos quadrature, {probes} probes of at most {steps} steps" if steps else ""
    rows = {
        "Eigenvalues": (
            f"the {len(first.top.values)} largest and {len(first.bottom.values)} smallest by Lanczos, reorthogonalised "
            "where it is due, then a deflated restart that looks for missed copies. ± is a residual bound: an exact "
            "eigenvalue lies that close."
        ),
        "Trace": (
            "converged eigenvalues exactly, the others by random probes in the complement of their eigenvectors; ± is "
            "the standard error by the law of the probes."
        ),
        "Density": f"the same eigenvalues exactly{others}; smoothed by a Gaussian.",
        "Noise": "Σ is the covariance of single data items’ gradients; its trace is exact for these data.",
        "Sharpness": (
            f"S = max over ‖δ‖ ≤ ρ of L(θ+δ) − L(θ), ρ = {first.ascent.rho:g}: by one gradient step, and by projected "
            "ascent. Where the maximum may be larger, it says ≥."
        ),
        "Effective rank": "(tr H)² / tr H², both from the same probes.",
        "Data error": (
            "the standard error from having these samples and not others; shown as “data ±” where it was determined."
        ),
    }
    if findings.connections:
        rows["Barrier"] = (
            "the largest rise of the loss above a reference, over the points scanned, so a lower bound for the "
            "continuous path. References: the chord between the ends (linear), and the larger, mean and smaller end "
            "loss."
        )
    surface = next((item.surface for item in findings.measurements if item.surface is not None), None)
    if surface is not None:
        rows["Surface"] = (
            f"{len(surface.y)} × {len(surface.x)} points along {surface.labels[0]} and {surface.labels[1]}."
        )
    return tuple(rows.items())
