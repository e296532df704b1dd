"""May a batch be cut between any two rows?"""

from thalweg.errors import DataError
from thalweg.landscape._batches import Batch, tensors_of
from thalweg.objectives import Objective


def rows_are_items(batch: Batch, objective: Objective) -> bool:
    """Whether each entry along the first axis is a data item of its own."""
    if objective.sample_of is None:
        return True
    index, rows = objective.sample_of(batch), next((len(tensor) for tensor in tensors_of(batch) if tensor.ndim), 0)
    return index.numel() > 0 and int(index.max()) + 1 == rows


def require_cuttable(batch: Batch, objective: Objective) -> None:
    """Refuse to cut a batch through its data items.

    Raises:
        DataError: If an item has several rows.
    """
    if not rows_are_items(batch, objective):
        raise DataError(
            f"microbatch: expected None, since sample_of of {objective.name} puts several rows of a batch into one "
            "data item, which a cut would tear apart. Cut the data instead."
        )
