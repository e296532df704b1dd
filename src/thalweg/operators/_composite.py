"""An operator that is made of other operators."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from thalweg.errors import ArgumentError
from thalweg.estimate import Provenance
from thalweg.landscape import Landscape, Layout
from thalweg.operators._counted import Counted
from thalweg.operators._operator import Operator
from thalweg.vectors import VectorSpace


class Composite(Counted):
    """A matrix made of other operators, known by its products.

    Made by :func:`scaled`, :func:`shifted`, :func:`added`, :func:`deflated`, :func:`projected` and :func:`block`;
    what they return can be composed again. Its products are counted here, and what they ask of its parts is counted
    there.
    """

    def __init__(
        self,
        space: VectorSpace,
        parts: tuple[Operator, ...],
        product: Callable[[Tensor], Tensor],
        layout: Layout | None,
        text: str,
        factor: float | None = None,
    ) -> None:
        super().__init__(space)
        self._parts = parts
        self._product = product
        self._layout = layout
        self._text = text
        self._factor = factor

    @property
    def parts(self) -> tuple[Operator, ...]:
        """The operators that it is made of."""
        return self._parts

    @property
    def factor(self) -> float | None:
        """What its one part is multiplied by, whole or in a subspace; ``None`` where it is made in another way."""
        return self._factor

    @property
    def layout(self) -> Layout | None:
        """Names and shapes of the parameters that vectors run over; ``None`` where these are not known."""
        return self._layout

    @property
    def provenance(self) -> Provenance | None:
        """How products with the parts are computed, their engines joined.

        ``None`` where nothing is known of a part, or parts differ in more than the engine.
        """
        known = [part.provenance for part in self._parts]
        first = known[0]
        if first is None:
            return None
        engines = dict.fromkeys(each.engine for each in known if each is not None and each.engine is not None)
        joint = replace(first, engine=" + ".join(engines) or None)
        alike = all(each is not None and replace(each, engine=joint.engine) == joint for each in known)
        return joint if alike else None

    @property
    def shares_passes(self) -> bool:
        """Whether the vectors of a block share work in any part."""
        return any(getattr(part, "shares_passes", True) for part in self._parts)

    def settled(self) -> dict[str, Any]:
        """Return what the parts have settled on."""
        return {"parts": [part.settled() if isinstance(part, Counted) else {} for part in self._parts]}

    def settle(self, settled: Mapping[str, Any]) -> None:
        """Have the parts take the ways that those of another operator have settled on."""
        for part, way in zip(self._parts, settled.get("parts", ()), strict=False):
            if isinstance(part, Counted):
                part.settle(way)

    def __repr__(self) -> str:
        return self._text

    def _block(self, block: Tensor) -> Tensor:
        # In one layout, so that the same vectors give the same bits whatever layout they came in.
        return _contiguous(self._product(_contiguous(block)))


def require_operator(operator: Any, name: str = "operator") -> None:
    """Refuse what is no operator.

    Raises:
        ArgumentError: If it lacks what every operator has.
    """
    if not isinstance(operator, Operator):
        if isinstance(operator, (list, tuple)):
            raise ArgumentError(f"{name}: expected an operator, got {type(operator).__name__}. Pass them one by one.")
        raise ArgumentError(
            f"{name}: expected an operator, got {type(operator).__name__}. Wrap a function that multiplies a vector "
            "in FunctionOperator."
        )


def layout_of(operator: Operator) -> Layout | None:
    """Return names and shapes of the parameters that an operator's vectors run over, or ``None``."""
    if isinstance(operator, Composite):
        return operator.layout
    landscape = getattr(operator, "landscape", None)
    return landscape.layout if isinstance(landscape, Landscape) else None


def _contiguous(block: Tensor) -> Tensor:
    return block.mT.contiguous().mT
