"""The model's outputs as plain tensors, and back."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from thalweg.errors import ObjectiveError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import map_tensors, tensors_of
from thalweg.landscape._program import Outputs
from thalweg.operators._form import Values


class Structure:
    """What lies around the tensors of a model's outputs, so that others can take their place.

    It remembers the latest outputs that were taken apart; engines ask for what is in the middle right after that.
    """

    def __init__(self) -> None:
        self._around: Outputs = None
        self._object: Any = None

    def taken_apart(self, outputs: Outputs) -> Values:
        """Return the tensors of real numbers, those that can have a derivative.

        Raises:
            ObjectiveError: If there are none.
        """
        self._object = copy.copy(outputs) if _opaque(outputs) else None
        inside = outputs if self._object is None else vars(outputs)
        values = tuple(tensor for tensor in tensors_of(inside) if _real(tensor))
        if not values:
            raise ObjectiveError(
                f"outputs: expected tensors of real numbers from the model, got {type(outputs).__name__} without any."
            )
        # Numbers are not kept, only their places: whole numbers may matter to the terms, and stay.
        self._around = map_tensors(lambda tensor: tensor.new_empty(0) if _real(tensor) else tensor.detach(), inside)
        return values

    def filled(self, values: Values) -> Outputs:
        """Return outputs of the same structure with these tensors, once: caches among them would keep graphs alive."""
        following, (inside, self._around) = iter(values), (self._around, None)
        outputs = map_tensors(lambda tensor: next(following) if _real(tensor) else tensor, inside)
        if self._object is None:
            return outputs
        shell, self._object = self._object, None
        vars(shell).update(outputs)
        return shell


def require_convex(landscape: Landscape, matrix: str) -> None:
    """Check that the objective tells outputs from terms, and that its terms are convex in the outputs.

    Raises:
        ObjectiveError: If it does not declare so.
    """
    if not landscape.objective.convex:
        raise ObjectiveError(
            f"objective: expected terms that are convex in the outputs for the {matrix}, and "
            f"{landscape.objective.name} does not declare it. If they are, say so: "
            "dataclasses.replace(objective, convex=True). A black box has a Hessian only."
        )


def _opaque(outputs: Outputs) -> bool:
    """Whether it is an object of the model's own, with tensors as attributes."""
    known = isinstance(outputs, (Tensor, Mapping, tuple, list)) or dataclasses.is_dataclass(outputs)
    return not known and hasattr(outputs, "__dict__")


def _real(tensor: Tensor) -> bool:
    return tensor.is_floating_point()
