"""What algorithms say of operators that are not what they promise."""

import math

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.krylov.spectra import operator

SIZE = 30
ALGORITHMS = {
    "eigenpairs": lambda op: tw.eigenpairs(op, 3),
    "lobpcg": lambda op: tw.lobpcg(op, 2),
    "power_iteration": tw.power_iteration,
    "trace": lambda op: tw.trace(op, probes=20, distribution="gaussian"),
    "trace, hutch++": lambda op: tw.trace(op, probes=20, method="hutch++"),
    "trace, xtrace": lambda op: tw.trace(op, probes=20, method="xtrace"),
    "diagonal": tw.diagonal,
    "diagonal, xdiag": lambda op: tw.diagonal(op, probes=20, method="xdiag"),
    "density": lambda op: tw.density(op, probes=2, steps=15),
    "function_trace": lambda op: tw.function_trace(op, torch.exp, probes=2, steps=15),
    "logdet": lambda op: tw.logdet(op, probes=2, steps=15, damping=2.0),
    "spectrum": lambda op: tw.spectrum(op, top=2, bottom=1, steps=15),
}
# Nothing but products of a probe with itself, which a skew part leaves as they are.
INDIFFERENT = ("trace", "trace, hutch++", "diagonal")
EVERY = pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())


@EVERY
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_product_that_is_not_finite_is_named(algorithm, value):
    """In blocks, too: the seventh vector, whatever is multiplied with it."""
    _, matrix = operator(np.linspace(-1, 1.5, SIZE).tolist())
    made = 0

    def product(v):
        nonlocal made
        made += 1
        result = matrix @ v
        if made == 7:
            result[11] = value
        return result

    op = tw.FunctionOperator(product, SIZE, dtype=torch.float64)
    with pytest.raises(
        tw.errors.NonFiniteError,
        match=r"^product: expected finite entries, got a non-finite one in product 7 of this operator\.$",
    ):
        algorithm(op)


def skewed(strength: float, dtype: torch.dtype = torch.float64) -> tw.FunctionOperator:
    _, matrix = operator(np.linspace(-1, 1.5, SIZE).tolist())
    skew = torch.randn(SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole = (matrix + strength * (skew - skew.mT) / SIZE**0.5).to(dtype)
    return tw.FunctionOperator(lambda v: whole @ v, SIZE, dtype=dtype)


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name not in INDIFFERENT])
@pytest.mark.parametrize("strength", [1.0, 0.05])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_an_asymmetric_operator_is_named(name, strength, dtype):
    with pytest.raises(
        tw.errors.ArgumentError,
        match=r"^operator: expected a symmetric matrix, but .* Check it with verify\(operator\)\.$",
    ):
        ALGORITHMS[name](skewed(strength, dtype))


@pytest.mark.parametrize("name", INDIFFERENT)
def test_a_skew_part_does_not_matter_to_a_trace(name):
    """zᵀ(A − Aᵀ)z = 0; the diagonal has none of it."""
    found, op = ALGORITHMS[name](skewed(1.0)), skewed(1.0)
    if name == "diagonal":
        assert bool(((found.values - op.dense().diagonal()).abs() <= 5 * found.standard_error).all())
    else:
        assert abs(found.value - 0.25 * SIZE) <= 4 * found.standard_error


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@EVERY
def test_a_symmetric_operator_is_not_accused(algorithm, dtype):
    """Far apart eigenvalues have the most rounding where symmetry asks for zeros."""
    _, matrix = operator((10.0 ** np.linspace(-4, 2, SIZE)).tolist(), dtype=dtype)
    algorithm(tw.FunctionOperator(lambda v: matrix @ v, SIZE, dtype=dtype))


def test_a_log_determinant_that_does_not_exist():
    op, _ = operator(np.linspace(-1, 1.5, SIZE).tolist())
    with pytest.raises(
        tw.errors.ArgumentError,
        match=r"^operator: expected a positive definite matrix for its log-determinant, but it has the Ritz value "
        r"-[\d.]+ with damping 0\. Take damping above [\d.]+, or absolute=True for the magnitudes\.$",
    ):
        tw.logdet(op)
    assert tw.spectrum(op, damping=0.5).logdet is None
    assert tw.spectrum(op, damping=1.5).logdet is not None


def test_more_steps_than_dimensions_stop_there():
    """All eigenvalues are exact then, and no product is wasted."""
    values = np.linspace(-1, 1.5, SIZE).tolist()
    op, _ = operator(values)
    assert tw.eigenpairs(op, SIZE, max_matvecs=1000).values.tolist() == pytest.approx(values[::-1])
    assert op.matvecs == SIZE
    density = tw.density(op, probes=1, steps=1000)
    assert density.nodes[0].tolist() == pytest.approx(values)
    assert density.cost.matvecs == SIZE
    assert tw.logdet(op, probes=2, steps=1000, damping=2.0).cost.matvecs == 2 * SIZE
    found = tw.spectrum(op, top=1000, steps=1000)
    assert found.trace.value == pytest.approx(sum(values))
    assert found.trace.standard_error == 0
    assert found.cost.matvecs == SIZE
