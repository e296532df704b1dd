"""What can be factored by layers: which parameters, which objectives, which ways to run."""

import math
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from thalweg.errors import ArgumentError, NonFiniteError, ObjectiveError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.landscape._checks import named_once
from thalweg.objectives import Objective
from thalweg.objectives._objective import pair

Layers = dict[str, list[str]]


def factorable_layers(landscape: Landscape) -> Layers:
    """Return which of "weight" and "bias" are selected, by the name of the layer.

    Raises:
        ArgumentError: If a selected parameter belongs to no linear or convolution layer or to several, if they are
            of several types, if data items influence each other, or if the landscape casts by itself.
    """
    if landscape.autocast is not None:
        raise ArgumentError("landscape: expected full precision, got one with autocast=. Build it without.")
    owners: dict[int, list[tuple[str, nn.Module, str]]] = {}
    for layer, module in landscape.model.named_modules():
        if isinstance(module, _BatchNorm) and landscape.mode == "train":
            raise ArgumentError(
                f"model: expected data items that do not influence each other, but {layer or 'it'} "
                f"({type(module).__name__}) normalises over the batch. Measure with mode='eval' and running statistics."
            )
        for part, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            owners.setdefault(id(parameter), []).append((layer, module, part))
    named = dict(landscape.model.named_parameters(remove_duplicate=False))
    layers: Layers = {}
    supported, refused = [], []
    for name in landscape.layout.names:
        places = owners[id(named[name])]
        if len(places) > 1:
            shared = " and ".join(f"{layer}.{part}".lstrip(".") for layer, _, part in places)
            raise ArgumentError(
                f"params: expected parameters of one layer each, got {name}, which is tied ({shared}). "
                "Leave it out with params=."
            )
        ((layer, module, part),) = places
        reason = _unsupported(module, part)
        if reason is None:
            layers.setdefault(layer, []).append(part)
            supported.append(name)
        else:
            refused.append(f"{name} ({reason})")
    if refused:
        others = f"Choose others with params=, here {supported!r}." if supported else "There are no others here."
        raise ArgumentError(
            "params: expected weights and biases of torch.nn.Linear and torch.nn.Conv2d layers alone, "
            f"got {named_once(refused)}. {others}"
        )
    dtypes = {leaf.dtype for leaf in landscape.leaves(grad=False)}
    if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
        raise ArgumentError(
            "params: expected parameters of torch.float32 or torch.float64 and of one type, got "
            f"{', '.join(sorted(map(str, dtypes)))}. Build the landscape with dtype=."
        )
    return layers


def require_plain_terms(objective: Objective, loss: nn.Module, multiple: float, outputs: Any, batch: Batch) -> None:
    """Check that the objective sums what its name says, and nothing that curvlinops would not see.

    Args:
        objective: Its terms times ``multiple`` must sum to ``loss``.
        loss: The loss that stands for it, a sum.
        multiple: See there.
        outputs: Of the model.
        batch: What they belong to.

    Raises:
        ObjectiveError: If they are others, or weights are not one.
        NonFiniteError: If an output is not finite.
    """
    name, targets = objective.name, pair(batch, objective.name)[1]
    terms = objective.terms(outputs, batch).detach()
    if name == "cross_entropy" and targets.is_floating_point():
        raise ObjectiveError("cross_entropy: expected targets that are class indices, got probabilities.")
    if name == "cross_entropy" and outputs.shape[1] < 2:
        raise ObjectiveError("cross_entropy: expected logits of at least 2 classes, got 1.")
    weights = None if objective.weights is None else objective.weights(batch)
    if weights is not None and not bool((weights == 1).all()):
        raise ObjectiveError(
            f"weights: expected ones, got others from {name}: masks and class weights cannot be factored."
        )
    if not bool(outputs.isfinite().all()):
        raise NonFiniteError("outputs: expected finite numbers, got one that is infinite or not a number.")
    plain = loss(outputs.detach(), targets if name == "cross_entropy" else targets.to(outputs.dtype))
    expected, found = float(plain) / multiple, float(terms.sum())
    if not math.isclose(found, expected, rel_tol=math.sqrt(torch.finfo(outputs.dtype).eps), abs_tol=1e-30):
        raise ObjectiveError(
            f"objective: expected the terms of {name}, which sum to {expected:.6g}, got others that sum to "
            f"{found:.6g}: label smoothing and terms of one's own cannot be factored."
        )


def uses(outputs: Tensor) -> Counter[int]:
    """Count the places in its graph at which a tensor depends on each leaf, by the leaf's identity."""
    counts, seen = Counter[int](), set[Any]()
    todo: list[Any] = [outputs.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        for following, _ in node.next_functions:
            leaf = getattr(following, "variable", None)
            if leaf is not None:
                counts[id(leaf)] += 1
            todo.append(following)
    return counts


def _unsupported(module: nn.Module, part: str) -> str | None:
    """Say why a parameter cannot be factored."""
    kind = type(module)
    # Subclasses that run in their own way are other layers.
    if part not in ("weight", "bias") or kind.forward not in (nn.Linear.forward, nn.Conv2d.forward):
        return kind.__name__
    if not isinstance(module, nn.Conv2d):
        return None
    if module.groups != 1:
        return f"{kind.__name__} with groups={module.groups}"
    if module.padding_mode != "zeros":
        return f"{kind.__name__} with padding_mode={module.padding_mode!r}"
    spans = [step * (size - 1) for step, size in zip(module.dilation, module.kernel_size, strict=True)]
    if module.padding == "same" and any(span % 2 for span in spans):
        return f"{kind.__name__} with padding='same' and a kernel of even size"
    return None
