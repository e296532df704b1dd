"""Operators made of operators equal the same composition of dense matrices, however deep."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import thalweg as tw
from tests import golden
from tests.landscape.models import randn
from tests.operators.matrices import operator, orthonormal, symmetric
from tests.unchecked import unchecked
from thalweg.errors import ArgumentError, NonFiniteError
from thalweg.operators._added import added
from thalweg.operators._affine import scaled, shifted
from thalweg.operators._block import block
from thalweg.operators._composite import Composite
from thalweg.operators._deflated import deflated
from thalweg.operators._projected import projected
from thalweg.vectors import VectorSpace

SIZE = 7
KINDS = {
    "scaled": lambda op: scaled(op, -1.5),
    "shifted": lambda op: shifted(op, 0.3),
    "added": lambda op: added(op, operator(symmetric(SIZE, 5)), operator(symmetric(SIZE, 6))),
    "added alone": added,
    "deflated": lambda op: deflated(op, orthonormal(SIZE, 2)),
    "deflated by values": lambda op: deflated(op, orthonormal(SIZE, 2), torch.tensor([3.0, -1.0]).double()),
    "projected": lambda op: projected(op, orthonormal(SIZE, 4)),
    "block": lambda op: block(op, torch.tensor([5, 0, 3])),
}


def expected(kind: str, matrix: Tensor) -> Tensor:
    size = len(matrix)
    two, four = orthonormal(size, 2), orthonormal(size, 4)
    outside = torch.eye(size).double() - two @ two.mT
    places = torch.tensor([5, 0, 3])
    return {
        "scaled": -1.5 * matrix,
        "shifted": matrix + 0.3 * torch.eye(size).double(),
        "added": matrix + symmetric(size, 5) + symmetric(size, 6),
        "added alone": matrix,
        "deflated": outside @ matrix @ outside,
        "deflated by values": matrix - two @ torch.diag(torch.tensor([3.0, -1.0]).double()) @ two.mT,
        "projected": four.mT @ matrix @ four,
        "block": matrix[places][:, places],
    }[kind]


@pytest.fixture(params=list(KINDS))
def kind(request) -> str:
    return request.param


def test_equals_the_same_composition_of_matrices(kind):
    matrix = symmetric(SIZE)
    found = KINDS[kind](operator(matrix))
    assert isinstance(found, tw.Operator)
    assert tw.verify(found).passed
    torch.testing.assert_close(found.dense(), expected(kind, matrix), rtol=1e-13, atol=1e-13)
    assert found.shape == (len(expected(kind, matrix)),) * 2
    assert (found.dtype, found.device) == (torch.float64, torch.device("cpu"))
    assert found.space == VectorSpace(found.shape[0], torch.float64, torch.device("cpu"))


STEPS = ["scaled", "shifted", "added", "deflated", "values", "projected", "block"]


def composed(draw, inner: tw.Operator, matrix: Tensor) -> tuple[tw.Operator, Tensor]:
    """An operator around another one, and the matrix that it must equal."""
    step, size = draw(st.sampled_from(STEPS)), len(matrix)
    number = draw(st.floats(-3, 3))
    seed = draw(st.integers(0, 99))
    basis = orthonormal(size, draw(st.integers(1, size)), seed)
    if step == "scaled":
        return scaled(inner, number), number * matrix
    if step == "shifted":
        return shifted(inner, number), matrix + number * torch.eye(size).double()
    if step == "added":
        other = symmetric(size, seed)
        return added(inner, scaled(operator(other), -1)), matrix - other
    if step == "deflated":
        outside = torch.eye(size).double() - basis @ basis.mT
        return deflated(inner, basis), outside @ matrix @ outside
    if step == "values":
        values = randn(basis.shape[1], seed=seed)
        return deflated(inner, basis, values), matrix - basis @ torch.diag(values) @ basis.mT
    if step == "projected":
        return projected(inner, basis), basis.mT @ matrix @ basis
    places = torch.tensor(draw(st.lists(st.integers(0, size - 1), min_size=1, unique=True)))
    return block(inner, places), matrix[places][:, places]


@given(st.data())
def test_any_composition_equals_that_of_the_matrices(data):
    matrix = symmetric(data.draw(st.integers(1, 8)), data.draw(st.integers(0, 99)))
    made, scale = operator(matrix), float(matrix.abs().max())
    for _ in range(data.draw(st.integers(0, 6))):
        made, matrix = composed(data.draw, made, matrix)
        # What cancels leaves the rounding of the largest entries on the way.
        scale = max(scale, float(matrix.abs().max()))
    torch.testing.assert_close(tw.dense(made), matrix, rtol=0, atol=1e-12 * scale)
    vectors = randn(len(matrix), 3, seed=7)
    torch.testing.assert_close(made @ vectors, matrix @ vectors, rtol=0, atol=1e-12 * scale * len(matrix))
    verification = tw.verify(shifted(made, 10 * scale))
    assert verification.passed, str(verification)


@pytest.mark.parametrize("which", ["LA", "SA"])
def test_eigenpairs_of_every_kind(kind, which):
    matrix = symmetric(SIZE)
    found = tw.eigenpairs(KINDS[kind](operator(matrix)), 2, which, tol=1e-10)
    exact = torch.linalg.eigvalsh(expected(kind, matrix))
    wanted = exact.flip(0)[:2] if which == "LA" else exact[:2]
    torch.testing.assert_close(found.values, wanted, rtol=1e-9, atol=1e-9)


def test_products_are_counted_here_and_in_the_parts(kind):
    inner = operator(symmetric(SIZE))
    made = KINDS[kind](inner)
    assert (made.matvecs, inner.matvecs) == (0, 0), "building takes no products"
    made @ made.space.randn(count=3)
    made @ made.space.randn()
    assert made.matvecs == 4
    assert [part.matvecs for part in made.parts] == [4] * len(made.parts)
    assert made.parts[0] is inner
    with pytest.raises(ArgumentError, match=r"vectors: expected shape \(\d,\) or \(\d, k\), got \(9,\)\."):
        made @ torch.zeros(9, dtype=torch.float64)
    assert (made.matvecs, inner.matvecs) == (4, 4)


def test_any_layout_is_accepted_and_columns_are_contiguous(kind, generator):
    made = KINDS[kind](operator(symmetric(SIZE)))
    vectors = made.space.randn(generator, 3)
    size = len(vectors)
    by_columns = made @ vectors
    assert by_columns.shape == (size, 3)
    assert by_columns.mT.is_contiguous()
    wide = torch.zeros(2 * size, 6, dtype=torch.float64)
    wide[::2, 1::2] = vectors
    for other in (vectors.contiguous(), wide[::2, 1::2]):
        product = made @ other
        assert torch.equal(product, by_columns)
        assert product.mT.is_contiguous()
    for column in range(3):
        single = made @ wide[::2, 2 * column + 1]
        assert single.shape == (size,)
        assert single.is_contiguous()
        torch.testing.assert_close(single, by_columns[:, column], rtol=1e-13, atol=1e-13)


def test_inputs_are_left_alone_and_no_graph_is_made(kind):
    made = KINDS[kind](operator(symmetric(SIZE)))
    vectors = made.space.randn(count=2).requires_grad_()
    copy = vectors.detach().clone()
    product = made @ vectors
    assert not product.requires_grad
    product.zero_()
    assert torch.equal(vectors, copy)


class Identity:
    """Returns the very tensor that it was given, in whatever layout: what a user's own operator may do."""

    matvecs = 0
    provenance = None

    def __init__(self, size: int, dtype: torch.dtype = torch.float64) -> None:
        self.space = VectorSpace(size, dtype, torch.device("cpu"))
        self.shape, self.dtype, self.device = (size, size), dtype, self.space.device
        self.seen: list[Tensor] = []

    def __matmul__(self, vectors: Tensor) -> Tensor:
        self.seen.append(vectors)
        return vectors


def test_a_part_may_return_what_it_was_given(kind):
    made = KINDS[kind](Identity(SIZE))
    vectors = made.space.randn(count=2)
    copy = vectors.clone()
    image = expected(kind, torch.eye(SIZE).double()) @ copy
    torch.testing.assert_close(made @ vectors, image, rtol=1e-13, atol=1e-13)
    assert torch.equal(vectors, copy)


def test_a_part_sees_contiguous_vectors(kind):
    inner = Identity(SIZE)
    made = KINDS[kind](inner)
    made @ made.space.randn(count=3).contiguous()
    (seen,) = inner.seen
    assert seen.shape == (SIZE, 3)
    assert seen.mT.is_contiguous()


class Recording(VectorSpace):
    """A space that notes how often it reduces, as one whose vectors are spread over devices would have to."""

    grams = 0

    def gram(self, left: Tensor, right: Tensor | None = None) -> Tensor:
        type(self).grams += 1
        return super().gram(left, right)


@pytest.mark.parametrize(
    ("kind", "reductions"), [("deflated", 2), ("deflated by values", 1), ("projected", 1), ("scaled", 0), ("block", 0)]
)
def test_reductions_over_entries_are_the_spaces(kind, reductions):
    inner = Identity(SIZE)
    inner.space = Recording(SIZE, torch.float64, torch.device("cpu"))
    made = KINDS[kind](inner)
    before = Recording.grams
    made @ made.space.zeros(5)
    assert Recording.grams - before == reductions, "one a block of vectors and sweep, not one a vector"


def test_float32_stays_float32():
    matrix = symmetric(SIZE).float()
    basis = orthonormal(SIZE, 2).float()
    made = block(deflated(shifted(scaled(operator(matrix), 2), 0.5), basis, torch.ones(2)), range(4))
    assert made.dtype == torch.float32
    assert (made @ torch.ones(4)).dtype == torch.float32
    wanted = (2 * matrix + 0.5 * torch.eye(SIZE) - basis @ basis.mT)[:4, :4]
    torch.testing.assert_close(made.dense(), wanted, rtol=1e-5, atol=1e-5)
    message = r"vectors: expected torch\.float32 on cpu, got torch\.float64 on cpu\. Convert it with \.to\("
    with pytest.raises(ArgumentError, match=message):
        made @ torch.ones(4).double()
    with pytest.raises(ArgumentError, match=r"vectors: expected torch\.float32 on cpu, got torch\.float32 on meta"):
        made @ torch.ones(4, device="meta")


def test_a_product_that_overflows_is_named():
    made = scaled(scaled(operator(symmetric(SIZE)), 1e200), 1e200)
    message = r"product: expected finite entries, got a non-finite one in product 1 of this operator\."
    with pytest.raises(NonFiniteError, match=message):
        made @ torch.ones(SIZE).double()
    assert made.matvecs == 0


@pytest.mark.parametrize("other", [torch.eye(SIZE), None, golden])
def test_what_is_no_operator_is_named(kind, other):
    message = (
        rf"operators?: expected an operator, got {type(other).__name__}\. Wrap a function that multiplies a vector "
        r"in FunctionOperator\."
    )
    with unchecked(), pytest.raises(ArgumentError, match=message):
        KINDS[kind](other)


@pytest.fixture(scope="module")
def hessian():
    return tw.hessian(golden.g1())


def test_provenance_is_that_of_the_part(hessian):
    for made in (scaled(hessian, 2), block(hessian, "0.*"), projected(hessian, orthonormal(9, 2)), added(hessian)):
        assert made.provenance == hessian.provenance
    assert scaled(operator(symmetric(SIZE)), 2).provenance is None


def test_provenance_of_several_parts_joins_their_engines(hessian):
    def part(**changed):
        made = Identity(9)
        made.provenance = replace(hessian.landscape.provenance("one"), **changed)
        return made

    one, unknown = part(), Identity(9)
    assert added(one, part()).provenance == one.provenance
    assert added(one, part(engine="two"), part()).provenance == part(engine="one + two").provenance
    assert added(part(engine=None), one).provenance == one.provenance
    assert added(part(engine=None), part(engine=None)).provenance == part(engine=None).provenance
    assert added(one, part(samples=5)).provenance is None
    assert added(one, unknown).provenance is None
    assert added(unknown, one).provenance is None


def test_says_what_it_is_made_of(hessian):
    found = repr(shifted(scaled(hessian, 2), -0.25))
    assert found == f"shifted(scaled({hessian!r}, 2), -0.25)"
    assert repr(deflated(hessian, orthonormal(9, 2))) == f"deflated({hessian!r}, 2 vectors)"
    assert repr(projected(hessian, orthonormal(9, 3))) == f"projected({hessian!r}, 3 vectors)"
    assert repr(block(hessian, range(4))) == f"block({hessian!r}, 4 entries)"
    assert repr(added(hessian, hessian)) == f"added({hessian!r}, {hessian!r})"
    assert isinstance(added(hessian), Composite)
