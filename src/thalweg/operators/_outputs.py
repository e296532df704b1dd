"""The model's outputs as plain tensors, and back."""

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

    def taken_apart(self, outputs: Outputs) -> Values:
        """Return the tensors of real numbers, those that can have a derivative."""
        # Numbers are not kept, only their places: whole numbers may matter to the terms, and stay.
        self._around = map_tensors(lambda tensor: tensor.new_empty(0) if _real(tensor) else tensor.detach(), outputs)
        return tuple(tensor for tensor in tensors_of(outputs) if _real(tensor))

    def filled(self, values: Values) -> Outputs:
        """Return outputs of the same structure with these tensors."""
        following = iter(values)
        return map_tensors(lambda tensor: next(following) if _real(tensor) else tensor, self._around)


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


def _real(tensor: Tensor) -> bool:
    return tensor.is_floating_point()
