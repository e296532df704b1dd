"""By how much the right class wins."""

import time

import torch
from torch import Tensor

from thalweg.errors import ObjectiveError
from thalweg.estimate import Cost
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.measures._capacity_results import Margins
from thalweg.operators._require import require_landscape


def margins(landscape: Landscape) -> Margins:
    r"""Return the margin of every term of a classification: the logit of its class less the largest other one.

    .. math:: f_y - \max_{j \ne y} f_j

    It is positive where the prediction is right. Of binary cross-entropy, with one logit f for y = 1 against 0, it is
    (2y − 1) f. Masked terms have none. Bounds on generalisation divide norms by a low quantile of it, since logits grow
    with the weights.

    Cost: one pass without gradients.

    Args:
        landscape: With the objective ``cross_entropy`` or ``binary_cross_entropy``.

    Raises:
        ObjectiveError: If the objective is no such classification, or the model has a single class.

    Example:
        >>> import thalweg as tw
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> data = [(torch.tensor([[3.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 0]))]
        >>> margins(tw.Landscape(model, tw.objectives.cross_entropy(), data)).values
        tensor([ 2., -1.], dtype=torch.float64)
    """
    require_landscape(landscape)
    if landscape.objective.name not in ("cross_entropy", "binary_cross_entropy"):
        raise ObjectiveError(
            "margins: expected a classification (cross_entropy or binary_cross_entropy), and "
            f"{landscape.objective.name} has no classes."
        )
    started, found = time.perf_counter(), []
    with landscape.reading(), torch.no_grad():
        leaves = landscape.leaves(grad=False)
        for _, batch in landscape.batches():
            outputs = landscape.outputs(leaves, batch)
            kept = landscape.terms_of(outputs, batch).weights > 0
            found.append(_of_batch(landscape.objective.name, outputs, batch, kept)[kept].double().cpu())
    cost = Cost(losses=1, seconds=time.perf_counter() - started)
    return Margins(torch.cat(found), cost)


def _of_batch(name: str, outputs: Tensor, batch: Batch, kept: Tensor) -> Tensor:
    targets: Tensor = batch[1]
    if name == "binary_cross_entropy":
        return torch.where(targets > 0.5, outputs, -outputs)
    if outputs.shape[1] < 2:
        raise ObjectiveError("margins: expected at least two classes, got logits of one.")
    truth = targets.argmax(dim=1) if targets.is_floating_point() else torch.where(kept, targets, 0).long()
    own = outputs.gather(1, truth.unsqueeze(1))
    others = outputs.scatter(1, truth.unsqueeze(1), -torch.inf).amax(dim=1)
    return torch.sub(own.squeeze(1), others)
