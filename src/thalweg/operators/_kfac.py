"""K-FAC and EKFAC: the curvature of linear and convolution layers as Kronecker products, by way of curvlinops."""

import copy
import functools
import importlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from thalweg.errors import ArgumentError, MemoryBudgetError, MissingExtraError, ObjectiveError
from thalweg.landscape import Landscape
from thalweg.landscape._batches import Batch
from thalweg.memory import free_bytes
from thalweg.objectives._objective import pair
from thalweg.operators._factorable import Layers, factorable_layers, require_plain_terms, uses
from thalweg.operators._kronecker import KroneckerFactored
from thalweg.operators._require import require_landscape
from thalweg.vectors import draw_seeds

Kind = Literal["ggn", "monte-carlo", "empirical"]
Sharing = Literal["expand", "reduce"]

_FISHER = {"ggn": "type-2", "monte-carlo": "mc", "empirical": "empirical"}
# The loss of torch that stands for each objective, and how many of the objective's losses one of it is.
_LOSSES: dict[str, tuple[type[nn.Module], float]] = {
    "cross_entropy": (nn.CrossEntropyLoss, 1.0),
    "binary_cross_entropy": (nn.BCEWithLogitsLoss, 1.0),
    "mse": (nn.MSELoss, 1.0),
    "squared_error": (nn.MSELoss, 2.0),
}


def kfac(
    landscape: Landscape,
    *,
    kind: Kind = "ggn",
    sharing: Sharing = "expand",
    separate_bias: bool = False,
    draws: int = 1,
    generator: torch.Generator | None = None,
) -> KroneckerFactored:
    r"""Return the Kronecker-factored approximate curvature (K-FAC) of a landscape as an operator.

    The matrix is block-diagonal, one block a layer. For a layer :math:`s_n = W a_n + b` the block is

    .. math::
        B \otimes A, \quad A = \frac1N \sum_n \bar a_n \bar a_n^\top, \quad
        B = \frac1W \sum_n \Big(\frac{\partial f_n}{\partial s_n}\Big)^\top H_n \frac{\partial f_n}{\partial s_n}

    in the row-major order of the weights, with :math:`\bar a = (a, 1)`, N data items, W the total weight of the
    landscape and :math:`H_n` the Hessian of the losses of item n by the outputs. It is the layer's block of the GGN
    where A and B are independent over the data: for a single item, for a linear model under a squared error, and
    for every layer of a deep linear network under it.

    Supported are ``cross_entropy`` (of class indices), ``binary_cross_entropy``, ``mse`` and ``squared_error``,
    without masks and class weights, and the weights and biases of ``torch.nn.Linear`` and ``torch.nn.Conv2d``
    (without groups, padded with zeros) that run once a batch, with the data items along the first axis. Other
    parameters may be in the model, but not in the landscape.

    Cost: one forward pass and, for "ggn", a backward pass for every output; for the others one for every draw. Then
    a product costs two small matrix products a layer and no pass over the data.

    Args:
        landscape: Where to take it; the model is copied and stays what it is.
        kind: Whose matrix is approximated: "ggn" (the exact Fisher matrix too), "monte-carlo" (the Fisher matrix
            with targets drawn from the model, once), or "empirical" (with the targets of the data).
        sharing: How to treat the positions at which one item uses the weights of a layer: "expand" counts them as
            independent, "reduce" sums over them first (Eschenhagen et al., 2023).
        separate_bias: Whether weight and bias of a layer are blocks of their own, and not one block.
        draws: Targets an output, for "monte-carlo".
        generator: Of the draws; ``None`` is a fresh one of seed 0.

    Raises:
        ArgumentError: If an argument has a wrong value, or a parameter, layer or model is not supported.
        ObjectiveError: If the objective, or this kind of matrix with its batches, is not supported.
        MemoryBudgetError: If "ggn" would need more memory than is free.
        NonFiniteError: If an output is not finite.
        MissingExtraError: If curvlinops is not installed.

    Martens & Grosse (2015); Grosse & Martens (2016) for convolutions.

    Example:
        >>> import thalweg as tw
        >>> model = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.ones_(model.weight)
        >>> data = [(torch.tensor([[1.0, 0.0], [1.0, 2.0]]), torch.zeros(2, 1))]
        >>> kfac(tw.Landscape(model, tw.objectives.squared_error(), data)).dense().round(decimals=4)
        tensor([[1., 1.],
                [1., 2.]])
    """
    return _factored(landscape, "kfac", kind, sharing, separate_bias, draws, generator)


def ekfac(
    landscape: Landscape,
    *,
    kind: Kind = "ggn",
    sharing: Sharing = "expand",
    separate_bias: bool = False,
    draws: int = 1,
    generator: torch.Generator | None = None,
) -> KroneckerFactored:
    r"""Return the eigenvalue-corrected K-FAC (EKFAC) of a landscape as an operator.

    Keeps the eigenvectors :math:`Q = Q_B \otimes Q_A` of :func:`kfac` and takes as eigenvalues the diagonal of
    :math:`Q^\top G Q`, G being the layer's block of the matrix that is approximated. So its trace is that of G,
    and of all matrices with these eigenvectors it is the closest to G in the Frobenius norm.

    Cost: twice that of :func:`kfac`, and an eigendecomposition of every factor.

    Args:
        landscape: As for :func:`kfac`.
        kind: As for :func:`kfac`.
        sharing: As for :func:`kfac`; it chooses the eigenvectors, the eigenvalues are right either way.
        separate_bias: As for :func:`kfac`.
        draws: As for :func:`kfac`.
        generator: As for :func:`kfac`.

    Raises:
        ArgumentError: As :func:`kfac`.
        ObjectiveError: As :func:`kfac`.
        MemoryBudgetError: As :func:`kfac`.
        NonFiniteError: As :func:`kfac`.
        MissingExtraError: As :func:`kfac`.

    George, Laurent, Bouthillier, Ballas & Vincent (2018).

    Example:
        >>> import thalweg as tw
        >>> model = nn.Linear(2, 1, bias=False)
        >>> data = [(torch.tensor([[1.0, 0.0], [1.0, 2.0]]), torch.zeros(2, 1))]
        >>> landscape = tw.Landscape(model, tw.objectives.squared_error(), data)
        >>> print(f"{ekfac(landscape).trace():.4f}")  # (1 + 1 + 4) / 2
        3.0000
    """
    return _factored(landscape, "ekfac", kind, sharing, separate_bias, draws, generator)


def _factored(
    landscape: Landscape,
    engine: Literal["kfac", "ekfac"],
    kind: Kind,
    sharing: Sharing,
    separate_bias: bool,
    draws: int,
    generator: torch.Generator | None,
) -> KroneckerFactored:
    require_landscape(landscape)
    if kind not in tuple(_FISHER):
        raise ArgumentError(f"kind: expected 'ggn', 'monte-carlo' or 'empirical', got {kind!r}.")
    if sharing not in ("expand", "reduce"):
        raise ArgumentError(f"sharing: expected 'expand' or 'reduce', got {sharing!r}.")
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise ArgumentError(f"draws: expected a whole number of at least 1, got {draws!r}.")
    if kind != "monte-carlo" and (draws != 1 or generator is not None):
        raise ArgumentError(f"draws, generator: expected none with kind={kind!r}, which draws nothing.")
    if landscape.objective.name not in _LOSSES:
        raise ObjectiveError(
            f"objective: expected {', '.join(_LOSSES)}, whose curvature {engine} can factor, "
            f"got {landscape.objective.name}."
        )
    layers = factorable_layers(landscape)
    peers = _curvlinops()
    loss, multiple = _LOSSES[landscape.objective.name]
    # A matrix of products of gradients grows with the square of the loss, one of second derivatives with the loss.
    scale = multiple ** (-2 if kind == "empirical" else -1) / landscape.weight
    seed = draw_seeds(generator, 1)[0] if kind == "monte-carlo" else 0
    with landscape.reading():
        rows = _Rows(landscape, kind, loss(reduction="sum"), multiple, layers)
        named = dict(rows.model.named_parameters())
        peer = (peers.KFACLinearOperator if engine == "kfac" else peers.EKFACLinearOperator)(
            rows,
            rows.loss,
            [named[name] for name in landscape.layout.names],
            rows,
            check_deterministic=False,
            seed=seed,
            fisher_type=_FISHER[kind],
            mc_samples=draws,
            kfac_approx=sharing,
            # It only matters to means, and this is a sum.
            num_per_example_loss_terms=1,
            separate_weight_and_bias=separate_bias,
            num_data=landscape.count,
        )
        peer.compute_kronecker_factors()
        if engine == "ekfac":
            peer.compute_eigenvalue_correction()
    names = {f"model.{layer}" if layer else "model": chosen for layer, chosen in layers.items()}
    return KroneckerFactored(landscape, engine, peer, scale, names, peers.KFACInverseLinearOperator)


class _Rows(nn.Module):
    """A copy of the model that stands at the landscape's point, as curvlinops wants it: rows of outputs, and the data.

    What curvlinops would get wrong without a word is refused while it runs.
    """

    def __init__(self, landscape: Landscape, kind: Kind, loss: nn.Module, multiple: float, layers: Layers) -> None:
        super().__init__()
        self.model = _standing(landscape)
        self.loss = loss
        self._landscape = landscape
        self._kind = kind
        self._multiple = multiple
        self._layers = layers
        self._items: int | None = None
        self._calls = Counter[str]()
        for layer in layers:
            self.model.get_submodule(layer).register_forward_pre_hook(functools.partial(self._watch, layer))

    def __iter__(self) -> Iterator[tuple[Batch, Tensor]]:
        """Yield batches and rows of targets."""
        name = self._landscape.objective.name
        for _, batch in self._landscape.batches():
            targets = pair(batch, name)[1]
            if name == "cross_entropy":
                yield batch, targets.reshape(-1)
            else:
                rows = targets.reshape(len(targets), -1).to(self._landscape.space.dtype)
                # curvlinops refuses targets between 0 and 1 also where they do not matter.
                yield batch, rows if self._kind == "empirical" else torch.zeros_like(rows)

    def forward(self, batch: Batch) -> Tensor:
        """Return the outputs (rows, C), a row being one position of one data item, or all of an item's outputs."""
        objective = self._landscape.objective
        targets = pair(batch, objective.name)[1]
        self._calls.clear()
        self._items = len(targets)
        outputs = objective.outputs(self.model, batch)
        self._items = None
        require_plain_terms(objective, self.loss, self._multiple, outputs, batch)
        terms = 1 if objective.name == "squared_error" else targets[:1].numel()
        if self._kind == "empirical" and terms > 1:
            raise ObjectiveError(
                f"kind: expected 'ggn' or 'monte-carlo' where a data item has {terms} terms of {objective.name}, got "
                "'empirical', whose gradients of single terms would be mixed up."
            )
        if objective.name != "cross_entropy":
            rows: Tensor = outputs.reshape(len(outputs), -1)
        elif self._kind == "ggn" and terms > 1:
            raise ObjectiveError(
                f"kind: expected 'monte-carlo' where a data item has {terms} terms of cross_entropy, got 'ggn', in "
                "which their second derivatives would be mixed up."
            )
        else:
            rows = outputs.movedim(1, -1).reshape(-1, outputs.shape[1])
        self._require_one_use(rows)
        if self._kind == "ggn":
            _require_memory(rows)
        return rows

    def _watch(self, layer: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Look at a layer's input, before curvlinops does."""
        name = layer or "it"
        if self._items is None:
            raise ArgumentError(
                f"model: expected {name} to run in the forward pass alone, but it runs again in the backward pass. "
                "Turn gradient checkpointing off."
            )
        self._calls[layer] += 1
        axes = 4 if isinstance(module, nn.Conv2d) else 2
        if len(inputs) != 1 or inputs[0].ndim < axes or len(inputs[0]) != self._items:
            got = f"shape {tuple(inputs[0].shape)}" if len(inputs) == 1 else f"{len(inputs)} positional inputs"
            raise ArgumentError(
                f"model: expected {name} to get one positional input of at least {axes} axes, the first of them over "
                f"the {self._items} data items, got {got}. Leave its parameters out with params=."
            )
        if torch.is_autocast_enabled(inputs[0].device.type):
            raise ArgumentError(f"model: expected full precision, but {name} runs under autocast. Turn it off.")

    def _require_one_use(self, rows: Tensor) -> None:
        counts = uses(rows)
        for layer, chosen in self._layers.items():
            module = self.model.get_submodule(layer)
            for part in chosen:
                found = counts[id(getattr(module, part))]
                if self._calls[layer] != 1 or found != 1:
                    raise ArgumentError(
                        f"model: expected {layer or 'it'} to run once a batch, and its {part} to be used nowhere else, "
                        f"but it runs {self._calls[layer]} times and the outputs depend on its {part} in {found} "
                        "places. Leave its parameters out with params=."
                    )


def _standing(landscape: Landscape) -> nn.Module:
    """Copy the model, in the mode that it is in, to the landscape's point."""
    try:
        model = copy.deepcopy(landscape.model)
    except (RuntimeError, TypeError) as error:
        raise ArgumentError(
            f"model: expected one that copy.deepcopy copies, since a copy is evaluated; it says: {error}"
        ) from error
    chosen = dict(zip(landscape.layout.names, landscape.leaves(grad=False), strict=True))
    values = {**landscape._point.fixed, **chosen}  # noqa: SLF001 - the rest of the point
    for name, parameter in model.named_parameters():
        parameter.data, parameter.grad = values[name].clone(), None
        parameter.requires_grad_(name in chosen)
    buffers = landscape.buffers
    for name, buffer in model.named_buffers():
        buffer.data = buffers[name]
    return model


def _require_memory(rows: Tensor) -> None:
    # The square roots of the Hessians of all rows, as they are made and stacked.
    needed, free = 2 * rows.numel() * rows.shape[1] * rows.element_size(), free_bytes(rows.device)
    if needed > free:
        raise MemoryBudgetError(
            f"kind: expected 'monte-carlo' for {len(rows)} × {rows.shape[1]} outputs a pass, got 'ggn', which takes "
            f"{needed / 1e9:.3g} GB where {free / 1e9:.3g} GB are free. Smaller batches (microbatch=) take less."
        )


def _curvlinops() -> Any:
    try:
        return importlib.import_module("curvlinops")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f'{error.name} is not installed; K-FAC comes with the extra "kfac": pip install "thalweg[kfac]".'
        ) from error
